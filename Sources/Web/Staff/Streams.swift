import Kernel
import Logging
import Synchronization

/// Everybody who hears live what is in their inbox, and the one watcher that asks for all of them.
///
///     browsers ─ GET /events ─► listeners ◄─ one watcher: every 400 ms whose numbers changed, every 2 s which sessions go on
///
/// The watcher runs while somebody listens. What is told says how much is unread and nothing else, so a message that is lost
/// costs nothing: the next number is as true.
final class Streams: Sendable {
    enum Message: Sendable, Equatable {
        case unread(Int64)
        /// The session is over.
        case ended
        /// Nothing, so that a connection nobody holds any more is noticed.
        case beat
    }

    static let poll = Duration.milliseconds(400)
    static let looksAtSessions = Duration.seconds(2)
    static let beats = Duration.seconds(20)
    /// A browser has one. Others of its session are connections it has left, noticed with the next beat.
    static let perSession = 4

    private struct Listener {
        let number: Int
        let person: String
        let session: String
        let feed: AsyncStream<Message>.Continuation
        /// Was told nothing yet.
        var isNew = true
    }

    private struct State {
        var listeners: [Int: Listener] = [:]
        var count = 0
        var isWatched = false
    }

    private let inboxes: any Inboxes
    private let most: Int
    private let stopping: Stopping
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter most: how many listeners there may be.
    init(_ inboxes: any Inboxes, most: Int, stopping: Stopping, logger: Logger) {
        self.inboxes = inboxes
        self.most = most
        self.stopping = stopping
        self.logger = logger
    }

    var count: Int { state.withLock { $0.listeners.count } }

    /// Whether another of this session would be taken.
    func hasRoom(for session: String) -> Bool {
        !stopping.hasBegun
            && state.withLock { state in
                state.listeners.count < most || state.listeners.values.contains { $0.session == session }
            }
    }

    /// Begins to listen; `nil` when there is no room. What is opened must be closed.
    func open(_ person: String, session: String) -> (number: Int, messages: AsyncStream<Message>)? {
        guard !stopping.hasBegun else { return nil }
        let (messages, feed) = AsyncStream.makeStream(of: Message.self, bufferingPolicy: .bufferingNewest(8))
        let (number, starts) = state.withLock { state -> (Int?, Bool) in
            let own = state.listeners.values.filter { $0.session == session }.sorted { $0.number < $1.number }
            if let oldest = own.first, own.count >= Self.perSession || state.listeners.count >= most {
                state.listeners[oldest.number] = nil
                oldest.feed.finish()
            }
            guard state.listeners.count < most else { return (nil, false) }
            state.count += 1
            state.listeners[state.count] = Listener(number: state.count, person: person, session: session, feed: feed)
            defer { state.isWatched = true }
            return (state.count, !state.isWatched)
        }
        guard let number else { return nil }
        if starts { Task { await self.watch() } }
        return (number, messages)
    }

    func close(_ number: Int) {
        let listener = state.withLock { $0.listeners.removeValue(forKey: number) }
        listener?.feed.finish()
    }

    // MARK: Watching

    private func watch() async {
        var mark: Int64?
        var looked = ContinuousClock.now
        var beaten = looked
        while true {
            if stopping.hasBegun {
                endAll()
                return
            }
            // In one step, so that whoever comes now either is seen or starts a watcher.
            let listeners = state.withLock { state in
                state.isWatched = !state.listeners.isEmpty
                return state.listeners
            }
            guard !listeners.isEmpty else { return }
            var pause = Self.poll
            do throws(OperationError) {
                let new = Set(listeners.values.filter(\.isNew).map(\.person)).sorted()
                let news = try await inboxes.news(since: mark, andOf: new)
                // The first mark is where listening begins; what is unread by then is asked for with the next.
                if mark == nil { pause = .zero } else { tell(news, listeners) }
                mark = news.mark
                if ContinuousClock.now - looked >= Self.looksAtSessions {
                    looked = .now
                    let sessions = Set(listeners.values.map(\.session))
                    let live = try await inboxes.live(sessions.sorted())
                    end(sessions.subtracting(live))
                }
            } catch {
                // Nobody is told anything wrong meanwhile; pages show what they were made with.
                logger.debug("listening to inboxes failed and is tried again", metadata: ["error": "\(error)"])
                pause = .seconds(2)
            }
            if ContinuousClock.now - beaten >= Self.beats {
                beaten = .now
                for listener in listeners.values { listener.feed.yield(.beat) }
            }
            try? await Task.sleep(for: pause)
        }
    }

    private func tell(_ news: InboxNews, _ listeners: [Int: Listener]) {
        for (number, listener) in listeners {
            guard let unread = news.unread[listener.person] else { continue }
            listener.feed.yield(.unread(unread))
            if listener.isNew { state.withLock { $0.listeners[number]?.isNew = false } }
        }
    }

    private func end(_ sessions: Set<String>) {
        guard !sessions.isEmpty else { return }
        let ended = state.withLock { state in
            let ended = state.listeners.filter { sessions.contains($0.value.session) }
            for number in ended.keys { state.listeners[number] = nil }
            return ended
        }
        for listener in ended.values {
            listener.feed.yield(.ended)
            listener.feed.finish()
        }
    }

    /// The server stops: browsers come back by themselves, to it or to another.
    private func endAll() {
        let all = state.withLock { state in
            defer {
                state.listeners = [:]
                state.isWatched = false
            }
            return state.listeners
        }
        for listener in all.values { listener.feed.finish() }
    }
}
