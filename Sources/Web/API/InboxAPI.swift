import Hummingbird
import Kernel

extension StaffAPI {
    /// One's own inbox beside reading it: reading state is no operation (decision 27).
    func inboxRoutes() -> [Route] {
        [
            signed(.post, "/inbox/{id}/read") { exchange, signed in
                _ = try signed.session
                var body = try await BodyReader(exchange)
                try body.finish()
                guard
                    try await inboxes().markRead(exchange.parameters["id"] ?? "", of: signed.caller.person)
                else { throw Problem(.notFound, "There is no such notice in your inbox.") }
                return .noContent()
            },
            signed(.post, "/inbox/read") { exchange, signed in
                _ = try signed.session
                var body = try await BodyReader(exchange)
                let text = body.text("until", required: true)
                try body.finish()
                guard let until = text.flatMap(Instant.init(rfc3339:)) else {
                    throw Problem.invalid([
                        FieldError(pointer: "/until", detail: "until must be a time such as 2026-11-27T09:00:00Z.")
                    ])
                }
                let count = try await inboxes().markAllRead(of: signed.caller.person, until: until)
                return .json(["read": .int(Int64(count))])
            },
        ]
    }

    private func inboxes() throws -> any Inboxes {
        guard let inboxes = context.inboxes else { throw Problem(.notFound, "There are no inboxes here.") }
        return inboxes
    }
}
