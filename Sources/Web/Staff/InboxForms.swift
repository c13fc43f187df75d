import HTML
import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

extension StaffConsole {
    /// What is posted about one's own inbox: reading state, which is no operation (decision 27).
    func inboxFormRoutes() -> [FormRoute] {
        [
            FormRoute("/inbox/read-all") { posted in
                guard let microseconds = Int64(posted.text("until")) else {
                    throw Problem(.badRequest, "The form does not say until when everything is read.")
                }
                _ = try await inboxes().markAllRead(
                    of: posted.signed.caller.person, until: Instant(microseconds: microseconds))
                return .seeOther("/inbox")
            },
            FormRoute("/inbox/{id}/read") { posted in
                guard
                    try await inboxes().markRead(
                        posted.parameters["id"] ?? "", of: posted.signed.caller.person)
                else { throw Problem(.notFound, "There is no such notice in your inbox.") }
                return .seeOther(posted.text("view") == "all" ? "/inbox?view=all" : "/inbox")
            },
        ]
    }

    private func inboxes() throws -> any Inboxes {
        guard let inboxes = context.inboxes else { throw Problem(.notFound, "There are no inboxes here.") }
        return inboxes
    }

    // MARK: Live

    /// `/events`: one stream for a browser. `/events/now`: the same number once, for who can hold none. A browser asks for both
    /// by itself, so neither keeps an idle session alive.
    func streamRoutes() -> [Route] {
        [
            Route(.get, "/events", .api) { exchange in
                let (caller, session) = try await hearer(exchange)
                guard let streams = context.streams else { throw Problem(.notFound, "There is nothing to hear here.") }
                guard streams.hasRoom(for: session.id) else {
                    throw OperationError.tooManyRequests(retryAfter: .seconds(60))
                }
                return Response(
                    status: .ok,
                    headers: [
                        .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store, no-transform",
                    ],
                    body: .init { writer in
                        guard let (number, messages) = streams.open(caller.person, session: session.id) else {
                            return try await writer.finish(nil)
                        }
                        defer { streams.close(number) }
                        try await writer.write(ByteBuffer(string: "retry: 2000\n\n"))
                        for await message in messages {
                            try await writer.write(ByteBuffer(string: Self.text(message, session.id)))
                        }
                        try await writer.finish(nil)
                    })
            },
            Route(.get, "/events/now", .api) { exchange in
                let (caller, session) = try await hearer(exchange)
                let person = caller.person
                let inboxes = try self.inboxes()
                let mark = try await inboxes.news(since: nil, andOf: []).mark
                let unread = try await inboxes.news(since: mark, andOf: [person]).unread[person] ?? 0
                return .json(["unread": .int(unread), "session": .string(session.id)])
            },
        ]
    }

    private func hearer(_ exchange: Exchange) async throws -> (Caller, SessionInfo) {
        guard let token = exchange.cookie(context.configuration.sessionCookie),
            let found = try await context.authenticate(token, exchange, exchange.source(.console), isUse: false)
        else { throw OperationError.unauthenticated }
        try context.requests.spend(found.1.id)
        return found
    }

    private static func text(_ message: Streams.Message, _ session: String) -> String {
        switch message {
        case .unread(let count):
            let data: JSON = ["unread": .int(count), "session": .string(session)]
            return "event: unread\ndata: \(data.canonicalText)\n\n"
        case .ended: return "event: end\ndata: {}\n\n"
        case .beat: return ": still here\n\n"
        }
    }
}
