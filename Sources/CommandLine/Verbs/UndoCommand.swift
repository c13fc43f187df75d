import ArgumentParser
import Kernel

struct UndoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undo", abstract: "Take back what an event recorded, by its inverse operation.",
        discussion: "Shows the inverse first; refused when the target changed since, or when the time is over.")

    @Argument(help: "The event's id (evt_…).") var event: String
    @Option(help: "Why, where the inverse operation asks; its own code is used when left out.") var reasonCode: String?
    @Option(help: "Why, in your words.") var justification: String?
    @Option(help: "The ticket it belongs to.") var ticket: String?
    @Option(help: "Where others must agree: carry it out then at the earliest, as in '2030-01-31 09:00' (UTC).")
    var notBefore: String?
    @Flag(help: "Say what it would do; change nothing.") var dryRun = false
    @Flag(help: "Don't ask to confirm.") var yes = false
    @Option(help: "A fresh code, where the server asks for one.") var code: String?
    @Option(
        help:
            "Your own key: the same key again, with the same --if-match, answers the same outcome. Where you gave no version, the one to repeat with is told."
    )
    var idempotencyKey: String?
    @Option(help: "Only if it still has this version.") var ifMatch: String?
    @OptionGroup var output: OutputOption
    @OptionGroup var server: ServerOption

    func run() async throws {
        var request = OperationVerb.Request()
        request.options["reason-code"] = reasonCode
        request.options["justification"] = justification
        request.options["ticket"] = ticket
        if let notBefore, Instant(typed: notBefore) == nil {
            throw ValidationError("--not-before must be a time in UTC, such as '2030-01-31 09:00', or RFC 3339.")
        }
        request.options["not-before"] = notBefore
        request.options["idempotency-key"] = idempotencyKey
        request.options["if-match"] = ifMatch
        if dryRun { request.switches.insert("dry-run") }
        if yes { request.switches.insert("yes") }
        if output.json { request.switches.insert("json") }
        var client = try server.client()
        client.code = code
        let submission = Submission(
            title: "Undo", path: "/api/v1/audit-events/\(APIClient.encode(event))/undo", request: request,
            confirmByTyping: false, takesInput: false)
        try submission.checkCanConfirm(client.terminal)
        try await submission.run(with: client)
    }
}
