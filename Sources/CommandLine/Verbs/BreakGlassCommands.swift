import ArgumentParser
import Kernel

struct BreakGlassCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "breakglass", abstract: "Emergencies, what was done within them, and their reviews.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "breakglass", in: $0.catalog) } ?? "",
            subcommands: [List.self, Show.self, Events.self])
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List emergencies.")
        @Option(help: "Only those in this state: open, ended (its review is owed), reviewed.") var state: String?
        @Option(help: "Only those on this tenant, by its id or slug.") var tenant: String?
        @OptionGroup var page: PageOption
        func run() async throws {
            let client = try page.server.client()
            var id: String?
            if let tenant { id = try await TargetLookup(client: client).id(of: tenant, prefix: "ten", type: "tenant") }
            let table = TextTable(columns: [
                .init("ID", member: "id"),
                .init("TENANT") { ($0["tenant_name"] ?? $0["tenant_id"] ?? .null).shown },
                .init("OPENED BY") {
                    ($0["person_name"] ?? $0["person"] ?? .null).shown + ($0["solo"] == true ? " (alone)" : "")
                },
                .init("STATE", member: "state"), .init("OPENED", member: "opened_at"),
                .init("REVIEW DUE", member: "review_due_at"), .init("VERDICT", member: "verdict"),
            ])
            try await page.show(
                "/api/v1/breakglass-sessions", [("state", state), ("tenant", id)], as: table,
                empty: "There are no such emergencies.", with: client)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show one: who opened it, who agreed, why, and what its review found.")
        @Argument(help: "Its id (brk_…).") var breakglass: String
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.get("/api/v1/breakglass-sessions/\(APIClient.encode(breakglass))")
            client.terminal.write(output.json ? answer.pretty() + "\n" : answer.lines())
        }
    }

    struct Events: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "events", abstract: "List what its opener did while it was open, the newest first.")
        @Argument(help: "Its id (brk_…).") var breakglass: String
        @Option(help: "Only changes, or only looks: everything, changes, looks.") var show: String?
        @OptionGroup var page: PageOption
        func run() async throws {
            let table = TextTable(columns: [
                .init("AT", member: "at"),
                .init("WHEN") { event in event["outside"]?.string.map { "just \($0)" } ?? "within" },
                .init("ACTION", member: "action"), .init("OUTCOME", member: "outcome"),
                .init("TARGET") { ($0["target"]?["name"] ?? $0["target"]?["id"] ?? .null).shown },
                .init("EVENT", member: "id"),
            ])
            try await page.show(
                "/api/v1/breakglass-sessions/\(APIClient.encode(breakglass))/events", [("show", show)], as: table,
                empty: "Nothing was done within it.", with: page.server.client())
        }
    }
}
