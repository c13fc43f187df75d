import ArgumentParser
import Kernel

/// Which requests a list shows.
struct ApprovalListOptions: ParsableArguments {
    enum View: String, ExpressibleByArgument, CaseIterable {
        case asking, mine, open, decided
    }

    @Option(
        help: "Which: those you could sign, your own, all that wait (needs approval.view), or those decided on.")
    var view = View.asking
    @OptionGroup var page: PageOption

    func show() async throws {
        let catalog = Invocation.current.catalog
        let table = TextTable(columns: [
            .init("ID", member: "id"), .init("REQUEST") { ApprovalText.title($0, in: catalog) },
            .init("ASKED BY") { ($0["requester_name"] ?? $0["requester"] ?? .null).shown },
            .init("WHO MUST AGREE") { ApprovalText.wanted($0) }, .init("STATE", member: "state"),
            .init("EXPIRES") { String(($0["expires_at"]?.string ?? "").prefix(16)).replacing("T", with: " ") },
        ])
        try await page.show(
            "/api/v1/approvals", [("view", view.rawValue)], as: table, empty: "There are no such requests.",
            with: page.server.client())
    }
}

struct ApprovalsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals", abstract: "List requests that need a second person (the same as approval list).")
    @OptionGroup var options: ApprovalListOptions
    func run() async throws { try await options.show() }
}

struct ApprovalCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "approval", abstract: "Requests that need a second person.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "approval", in: $0.catalog) } ?? "",
            subcommands: [List.self, Show.self, Reveal.self])
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List requests.")
        @OptionGroup var options: ApprovalListOptions
        func run() async throws { try await options.show() }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show one request in full: what it would do, who signed, who must agree.")
        @Argument(help: "Its id (apr_…).") var approval: String
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.get("/api/v1/approvals/\(APIClient.encode(approval))")
            guard !output.json else { return client.terminal.print(answer.pretty()) }
            client.terminal.print(
                ApprovalText.describe(answer, in: Invocation.current.catalog, on: client.terminal))
            if answer["has_reveal"] == true {
                client.terminal.note("It has something to show you, once: postern approval reveal \(approval)")
            }
        }
    }

    struct Reveal: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reveal", abstract: "Show, once, what a request of yours answered: a link or a token.",
            discussion: """
                Within a day after it was carried out. It is written to a terminal and kept nowhere: where the output goes \
                elsewhere, nothing is fetched.
                """)
        @Argument(help: "Its id (apr_…).") var approval: String
        @Option(help: "A fresh code, where the server asks for one.") var code: String?
        @OptionGroup var server: ServerOption
        func run() async throws {
            var client = try server.client()
            client.code = code
            guard client.terminal.width != nil else {
                throw CommandFailure(
                    .usage, "What is shown once is written to a terminal, and this is none. Nothing was fetched.")
            }
            let answer = try await client.json(
                APIRequest("POST", "/api/v1/approvals/\(APIClient.encode(approval))/reveal"))
            client.terminal.note("This is shown once and kept nowhere:")
            for (name, value) in (answer["reveal"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
                client.terminal.print("\(name.replacing("_", with: " ")): \(value.shown)".printable)
            }
        }
    }
}
