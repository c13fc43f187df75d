import HTTPTypes
import Hummingbird
import Kernel

/// What Slack asks of the staff listener: slash commands and presses of buttons. Both are believed by their signature alone.
struct SlackRoutes: Sendable {
    static let paths: Set<String> = ["/slack/commands", "/slack/interactions"]
    /// Slack sends a few hundred bytes.
    private static let longest = 64 * 1024
    /// Slack tells its user of an error after three seconds.
    private static let patience = Duration.milliseconds(2500)

    let context: WebContext

    init(_ context: WebContext) { self.context = context }

    func routes() -> [Route] {
        guard let slack = context.slack else { return [] }
        return [
            Route(.post, "/slack/commands", .api) { exchange in
                let fields = try await admitted(exchange, slack)
                // Slack looks now and then whether the address is still right.
                if fields["ssl_check"] != nil { return .json([:]) }
                func field(_ name: String) -> String { fields[name]?.first ?? "" }
                let command = SlackCommand(
                    team: field("team_id"), user: field("user_id"), teamName: field("team_domain"),
                    userName: field("user_name"), text: field("text"))
                guard !command.team.isEmpty, !command.user.isEmpty else {
                    throw Problem(.badRequest, "team_id and user_id are missing.")
                }
                try context.requests.spend("slack \(command.team) \(command.user)")
                let answered = await answer(within: Self.patience) { () -> Result<JSON, OperationError> in
                    do throws(OperationError) {
                        return .success(try await slack.answer(command, requestID: exchange.requestID))
                    } catch {
                        return .failure(error)
                    }
                }
                // Slack shows nothing of an answer that is no 200.
                switch answered {
                case .success(let json)?: return .json(json)
                case .failure(let error)?: return Self.say(Problem(error).detail)
                case nil: return Self.say("This took too long. Look in the console.")
                }
            },
            // The buttons open the console by themselves; Slack only tells that one was pressed.
            Route(.post, "/slack/interactions", .api) { exchange in
                let fields = try await admitted(exchange, slack)
                guard let text = fields["payload"]?.first, let payload = try? JSON(parsing: text),
                    payload["type"]?.string != nil
                else { throw Problem(.badRequest, "payload is missing, or is no JSON with a type.") }
                return .json([:])
            },
        ]
    }

    private static func say(_ text: String) -> Response {
        .json(["response_type": "ephemeral", "text": .string(text)])
    }

    /// The fields of a request that Slack signed. The signature covers the bytes as they were sent, so they are looked at before
    /// anything is made of them.
    private func admitted(_ exchange: Exchange, _ slack: any SlackDesk) async throws -> [String: [String]] {
        let source = "slack \(exchange.client.source)"
        try context.strangers.spend(source, cost: 0)
        let body = try await exchange.body(limit: Self.longest)
        guard
            try await slack.admits(
                exchange.headers[.slackSignature], timestamp: exchange.headers[.slackTimestamp], body: body)
        else {
            _ = context.strangers.take(source)
            throw Problem(
                .slackRefused,
                "The signature does not fit the signing secret, is more than five minutes old, or was used before.")
        }
        guard let text = String(validating: body, as: UTF8.self), let fields = URLText.fields(text) else {
            throw Problem(.badRequest, "The form holds text that is not valid UTF-8.")
        }
        return fields
    }
}

extension HTTPField.Name {
    static let slackSignature = Self("X-Slack-Signature")!
    static let slackTimestamp = Self("X-Slack-Request-Timestamp")!
}
