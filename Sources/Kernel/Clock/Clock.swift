import Foundation
import Synchronization

/// Where the current time comes from. `Date()` appears nowhere else.
public struct Clock: Sendable {
    private let read: @Sendable () -> Instant
    public init(_ read: @escaping @Sendable () -> Instant) { self.read = read }

    public var now: Instant { read() }

    public static let system = Clock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// Time since the machine started, also while it slept.
    public static let steady = Clock {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// What tells this start of the machine from others, and is the same for everything that runs on it; `nil` where the system does
    /// not say. `steady` counts from there.
    public static let boot: String? = {
        guard let file = fopen("/proc/sys/kernel/random/boot_id", "re") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = fread(&bytes, 1, bytes.count, file)
        let text = String(decoding: bytes.prefix(count), as: UTF8.self).filter { !$0.isWhitespace }
        return text.isEmpty ? nil : text
    }()

    /// The system clock, except that it never goes back within this process: what deadlines on the embedded database
    /// compare with.
    public static func monotone(_ source: Clock = .system) -> Clock {
        let last = MonotoneState()
        return Clock { last.advance(to: source.now) }
    }
}

private final class MonotoneState: Sendable {
    private let last = Mutex(Int64.min)
    func advance(to now: Instant) -> Instant {
        last.withLock { last in
            last = max(last, now.microseconds)
            return Instant(microseconds: last)
        }
    }
}

/// A clock that tests move by hand.
public final class ManualClock: Sendable {
    private let state: Mutex<Int64>
    public init(_ start: Instant) { state = Mutex(start.microseconds) }
    public var clock: Clock { Clock { [self] in Instant(microseconds: state.withLock { $0 }) } }
    public func advance(_ span: Span) { state.withLock { $0 += span.microseconds } }
}
