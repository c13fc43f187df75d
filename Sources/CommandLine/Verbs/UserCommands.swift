import ArgumentParser
import Kernel

struct UserCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "user", abstract: "The people of your customers.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "user", in: $0.catalog) } ?? "",
            subcommands: [List.self, Show.self, Activity.self])
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List users.")
        @Option(help: "Only with this status; may be repeated.") var status: [String] = []
        @Option(help: "Only members of this tenant, by its id or slug.") var tenant: String?
        @Option(help: "Only addresses that begin like this.") var email: String?
        @Option(help: "Write all that match, as comma-separated values, to this file (- for standard output).")
        var csv: String?
        @OptionGroup var factor: FactorOption
        @OptionGroup var page: PageOption
        func run() async throws {
            let query = status.map { ("status", $0) } + [("tenant", tenant), ("q", email)]
            if let csv {
                let client = try factor.client(of: page.server)
                return try await page.export("/api/v1/users/export", query, to: csv, with: client)
            }
            let table = TextTable(columns: [
                .init("ID", member: "id"), .init("NAME", member: "name"), .init("E-MAIL", member: "email"),
                .init("STATUS", member: "status"),
                .init("TENANTS") { user in
                    let names = (user["tenants"]?.array ?? []).compactMap { $0["name"]?.string }
                    let more = (user["tenant_count"]?.int ?? 0) - Int64(names.count)
                    return names.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
                },
                .init("LAST SIGN-IN") { ($0["last_login_at"]?.string ?? "").prefix(10).description },
            ])
            try await page.show(
                "/api/v1/users", query, as: table,
                empty: "There are no such users.", with: page.server.client())
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show one user and where they belong.")
        @Argument(help: "Their id, external id or e-mail address.") var user: String
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let id = try await TargetLookup(client: client).id(of: user, prefix: "usr", type: "user")
            let answer = try await client.get("/api/v1/users/\(APIClient.encode(id))")
            client.terminal.write(output.json ? answer.pretty() + "\n" : answer.lines())
        }
    }

    struct Activity: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "activity", abstract: "What was recorded about them.")
        @Argument(help: "Their id, external id or e-mail address.") var user: String
        @OptionGroup var page: PageOption
        func run() async throws {
            let client = try page.server.client()
            let id = try await TargetLookup(client: client).id(of: user, prefix: "usr", type: "user")
            let table = TextTable(columns: [
                .init("AT", member: "at"), .init("ACTION", member: "action"), .init("OUTCOME", member: "outcome"),
                .init("BY") { ($0["actor"]?["name"] ?? $0["actor"]?["id"] ?? .null).shown },
                .init("EVENT", member: "event_id"),
            ])
            try await page.show(
                "/api/v1/users/\(APIClient.encode(id))/activity", as: table, empty: "Nothing is recorded yet.",
                with: client)
        }
    }
}
