import Kernel
import Logging
import Synchronization
import Testing

@testable import Web

/// Who hears live what is in their inbox, and what it costs.
@Suite struct StreamsTests {
    /// Inboxes as a test sets them, which count what they are asked.
    final class Counted: Inboxes {
        struct State {
            var mark: Int64 = 1
            var unread: [String: Int64] = [:]
            var changed: [String: Int64] = [:]
            var ended: Set<String> = []
            var asked = 0
            var fails = false
        }
        let state = Mutex(State())

        func set(_ unread: Int64, of person: String) {
            state.withLock { state in
                state.mark += 1
                state.unread[person] = unread
                state.changed[person] = state.mark
            }
        }

        func markRead(_ id: String, of person: String) async throws(OperationError) -> Bool { false }
        func markAllRead(of person: String, until: Instant) async throws(OperationError) -> Int { 0 }
        func news(since mark: Int64?, andOf people: [String]) async throws(OperationError) -> InboxNews {
            let (news, fails) = state.withLock { state -> (InboxNews, Bool) in
                state.asked += 1
                var unread: [String: Int64] = [:]
                for (person, at) in state.changed where mark.map({ at > $0 }) ?? false {
                    unread[person] = state.unread[person]
                }
                if mark != nil { for person in people { unread[person] = state.unread[person] ?? 0 } }
                return (InboxNews(mark: state.mark, unread: unread), state.fails)
            }
            if fails { throw .unavailable("The database can't be reached.") }
            return news
        }
        func live(_ sessions: [String]) async throws(OperationError) -> Set<String> {
            state.withLock { Set(sessions).subtracting($0.ended) }
        }
        func onShift(
            for needs: [ApprovalNeed], askedBy person: String
        ) async throws(OperationError) -> OnShift { OnShift(present: [], able: 0, sendsMail: false) }
        func foretold(_ preview: Preview, by caller: Caller) async throws(OperationError) -> ToldBeside {
            ToldBeside(asking: [], done: [])
        }
        func told(of applied: Applied, by caller: Caller) async throws(OperationError) -> [Effect] {
            if state.withLock({ $0.fails }) { throw .unavailable("The database can't be reached.") }
            return []
        }
    }

    private let inboxes = Counted()
    private let stopping = Stopping()

    private func streams(most: Int = 100) -> Streams {
        Streams(inboxes, most: most, stopping: stopping, logger: Logger(label: "test"))
    }

    /// The next message that is no beat.
    private func next(_ iterator: inout AsyncStream<Streams.Message>.AsyncIterator) async -> Streams.Message? {
        while let message = await iterator.next() { if message != .beat { return message } }
        return nil
    }

    @Test func `whoever comes hears the number, and every other number of theirs`() async throws {
        inboxes.set(3, of: "stf_ada")
        let streams = streams()
        let opened = try #require(streams.open("stf_ada", session: "ses_1"))
        var ada = opened.messages.makeAsyncIterator()
        var bob = try #require(streams.open("stf_bob", session: "ses_2")).messages.makeAsyncIterator()
        #expect(await next(&ada) == .unread(3))
        #expect(await next(&bob) == .unread(0))
        inboxes.set(1, of: "stf_bob")
        #expect(await next(&bob) == .unread(1))
        inboxes.set(4, of: "stf_ada")
        #expect(await next(&ada) == .unread(4))
        streams.close(opened.number)
        #expect(await next(&ada) == nil)
        #expect(streams.count == 1)
    }

    @Test func `one watcher asks for everybody, and for nobody when nobody listens`() async throws {
        let streams = streams(most: 500)
        var opened: [(number: Int, messages: AsyncStream<Streams.Message>)] = []
        for number in 0..<400 {
            opened.append(try #require(streams.open("stf_\(number)", session: "ses_\(number)")))
        }
        for (_, messages) in opened {
            var iterator = messages.makeAsyncIterator()
            #expect(await next(&iterator) == .unread(0))
        }
        // The mark, now and then, and everybody's numbers once; not one question for each.
        #expect(inboxes.state.withLock { $0.asked } < 200)
        for (number, _) in opened { streams.close(number) }
        #expect(streams.count == 0)
        try await Task.sleep(for: Streams.poll * 5)
        let asked = inboxes.state.withLock { $0.asked }
        try await Task.sleep(for: Streams.poll * 3)
        #expect(inboxes.state.withLock { $0.asked } == asked)
        // And begins again with the next.
        inboxes.set(2, of: "stf_ada")
        var again = try #require(streams.open("stf_ada", session: "ses_a")).messages.makeAsyncIterator()
        #expect(await next(&again) == .unread(2))
    }

    @Test func `a session that is over hears so, and nothing more`() async throws {
        let streams = streams()
        var ada = try #require(streams.open("stf_ada", session: "ses_1")).messages.makeAsyncIterator()
        #expect(await next(&ada) == .unread(0))
        inboxes.state.withLock { _ = $0.ended.insert("ses_1") }
        #expect(await next(&ada) == .ended)
        #expect(await next(&ada) == nil)
        #expect(streams.count == 0)
    }

    @Test func `there is an end to streams, and a session takes its own place`() async throws {
        let streams = streams(most: 3)
        let first = try #require(streams.open("stf_ada", session: "ses_1"))
        _ = try #require(streams.open("stf_bob", session: "ses_2"))
        _ = try #require(streams.open("stf_cyd", session: "ses_3"))
        #expect(!streams.hasRoom(for: "ses_4") && streams.open("stf_dan", session: "ses_4") == nil)
        #expect(streams.hasRoom(for: "ses_1"))
        _ = try #require(streams.open("stf_ada", session: "ses_1"))
        var old = first.messages.makeAsyncIterator()
        #expect(await next(&old) != .ended)
        #expect(streams.count == 3)
        // A browser that loads page after page leaves connections behind.
        let many = self.streams()
        for _ in 0..<20 { _ = try #require(many.open("stf_ada", session: "ses_1")) }
        #expect(many.count == Streams.perSession)
    }

    @Test func `a server that stops lets everybody go at once`() async throws {
        let streams = streams()
        var ada = try #require(streams.open("stf_ada", session: "ses_1")).messages.makeAsyncIterator()
        #expect(await next(&ada) == .unread(0))
        stopping.begin()
        #expect(await next(&ada) == nil)
        #expect(streams.open("stf_ada", session: "ses_1") == nil && !streams.hasRoom(for: "ses_1"))
    }

    @Test func `while the database is away nobody is told anything, and then what is true`() async throws {
        let streams = streams()
        var ada = try #require(streams.open("stf_ada", session: "ses_1")).messages.makeAsyncIterator()
        #expect(await next(&ada) == .unread(0))
        inboxes.state.withLock { $0.fails = true }
        inboxes.set(5, of: "stf_ada")
        try await Task.sleep(for: Streams.poll * 2)
        inboxes.state.withLock { $0.fails = false }
        #expect(await next(&ada) == .unread(5))
    }
}
