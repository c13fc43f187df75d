import Foundation
import Kernel
import Synchronization

/// Hands mails to one server by SMTP: over TLS from the first byte (`smtps`), or after STARTTLS and never without it
/// (`smtp`). Each attempt has a thread of its own.
public struct MailCourier: Courier {
    public struct Settings: Sendable {
        /// `smtp://mail.example.com:587`, `smtps://mail.example.com`
        public var url: String
        public var user: String?
        public var password: String?
        public var from: Mailbox
        /// PEM file of the authorities to trust instead of the system's.
        public var authorities: String?
        /// For everything from the look-up of the name to the server's last word.
        public var timeout = Span.seconds(25)

        public init(url: String, from: Mailbox) {
            self.url = url
            self.from = from
        }
    }

    private let settings: Settings
    private let clock: Clock

    public init(_ settings: Settings, clock: Clock = .system) {
        self.settings = settings
        self.clock = clock
    }

    /// Attempts block their thread; how many there are at once is bounded by the outbox.
    private static let threads = DispatchQueue(label: "postern.mail", attributes: .concurrent)
    /// More than any notice of ours.
    private static let mostBytes = 1 << 20

    public func deliver(_ parcel: Parcel) async -> SendOutcome {
        guard let message = MailMessage(parcel.body) else {
            return .refused(status: nil, note: "There is nobody to write to any more")
        }
        guard Mailbox.isAddress(message.to) else {
            return .refused(status: nil, note: "The address is not one that every mail server takes")
        }
        let bytes = MailFormat.bytes(message, from: settings.from, id: parcel.delivery, at: clock.now)
        guard bytes.count <= Self.mostBytes else { return .refused(status: nil, note: "The mail is too long") }
        return await run { SMTPTransfer(settings, to: message.to, bytes: bytes, stop: $0).perform() }
    }

    /// Why nothing would arrive; `nil` when the server takes TLS, user and password. Sends nothing.
    public func problem() async -> String? {
        switch await run({ SMTPTransfer(settings, to: nil, bytes: [], stop: $0).perform() }) {
        case .failed(_, let note, _), .refused(_, let note): note + "."
        default: nil
        }
    }

    private func run(_ work: @escaping @Sendable (StopMark) -> SendOutcome) async -> SendOutcome {
        let stop = StopMark()
        let answer = FirstAnswer()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.wait(with: continuation)
                Self.threads.async { answer.give(work(stop)) }
            }
        } onCancel: {
            stop.set()
            // The thread sees the mark within a second; whoever stops does not wait for it.
            answer.give(.interrupted)
        }
    }
}

/// Set once, from anywhere.
final class StopMark: Sendable {
    private let mark = Atomic<Bool>(false)
    var isSet: Bool { mark.load(ordering: .relaxed) }
    func set() { mark.store(true, ordering: .relaxed) }
}

/// The first of several answers counts.
private final class FirstAnswer: Sendable {
    private enum State {
        case open
        case waiting(CheckedContinuation<SendOutcome, Never>)
        case given(SendOutcome)
        case done
    }
    private let state = Mutex(State.open)

    func wait(with continuation: CheckedContinuation<SendOutcome, Never>) {
        let ready: SendOutcome? = state.withLock { state in
            if case .given(let outcome) = state {
                state = .done
                return outcome
            }
            state = .waiting(continuation)
            return nil
        }
        if let ready { continuation.resume(returning: ready) }
    }

    func give(_ outcome: SendOutcome) {
        let waiting: CheckedContinuation<SendOutcome, Never>? = state.withLock { state in
            switch state {
            case .open:
                state = .given(outcome)
                return nil
            case .waiting(let continuation):
                state = .done
                return continuation
            case .given, .done: return nil
            }
        }
        waiting?.resume(returning: outcome)
    }
}
