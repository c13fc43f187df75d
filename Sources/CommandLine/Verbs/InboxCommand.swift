import ArgumentParser
import Kernel

struct InboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inbox", abstract: "What you were told: requests, and changes of your account.",
        subcommands: [List.self, Read.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List what you have not read.")
        @Flag(help: "Also what you have read.") var all = false
        @OptionGroup var page: PageOption
        func run() async throws {
            let table = TextTable(columns: [
                .init("AT") { String(($0["created_at"]?.string ?? "").prefix(16)).replacing("T", with: " ") },
                .init("WHAT", member: "title"), .init("WHO", member: "who"), .init("MORE", member: "detail"),
                .init("PATH", member: "path"), .init("ID", member: "id"),
            ])
            try await page.show(
                "/api/v1/inbox", [("view", all ? "all" : nil)], as: table,
                empty: all ? "Nothing was told to you yet." : "You have read everything.",
                with: page.server.client())
        }
    }

    struct Read: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "read", abstract: "Mark as read everything that is there now.")
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.json(
                APIRequest("POST", "/api/v1/inbox/read", body: ["until": .string(Clock.system.now.rfc3339)]))
            let count = answer["read"]?.int ?? 0
            client.terminal.write(
                output.json ? answer.pretty() + "\n" : "\(count) \(count == 1 ? "notice is" : "notices are") read.\n")
        }
    }
}
