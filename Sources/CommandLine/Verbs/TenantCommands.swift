import ArgumentParser
import Foundation
import Kernel

/// Options of verbs that answer a page of a list.
struct PageOption: ParsableArguments {
    @Option(help: "How many to show, 1 to 200.") var limit = 50
    @Option(help: "Start after this cursor, from the page before.") var cursor: String?
    @OptionGroup var output: OutputOption
    @OptionGroup var server: ServerOption

    func validate() throws {
        guard (1...200).contains(limit) else { throw ValidationError("--limit must be from 1 to 200.") }
    }

    /// Fetches all pages as comma-separated values.
    func export(
        _ path: String, _ query: [(String, String?)], to file: String, with client: APIClient
    ) async throws {
        guard cursor == nil, !output.json else {
            throw CommandFailure(.usage, "--csv writes all that match; leave --cursor and --json out.")
        }
        try await Download(client).save(path + APIClient.query(query), to: file == "-" ? nil : file)
    }

    /// Fetches one page and shows it.
    func show(
        _ path: String, _ query: [(String, String?)] = [], as table: TextTable, empty: String, with client: APIClient
    ) async throws {
        let answer = try await client.get(path, query + [("limit", String(limit)), ("cursor", cursor)])
        table.show(answer, isJSON: output.json, empty: empty, on: client.terminal)
    }
}

struct TenantCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "tenant", abstract: "Customers: look at them, and work on them.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "tenant", in: $0.catalog) } ?? "",
            subcommands: [List.self, Show.self, Search.self, History.self, Activity.self, Users.self])
    }

    static let table = TextTable(columns: [
        .init("ID", member: "id"), .init("NAME", member: "name"), .init("SLUG", member: "slug"),
        .init("STATUS", member: "status"), .init("PLAN", member: "plan"), .init("REGION", member: "region"),
        .init("CREATED") { ($0["created_at"]?.string ?? "").prefix(10).description },
    ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List tenants.")
        @Option(help: "Only with this status; may be repeated.") var status: [String] = []
        @Option(help: "Only on this plan; may be repeated.") var plan: [String] = []
        @Option(help: "Only in this tier; may be repeated.") var tier: [String] = []
        @Option(help: "Only in this region; may be repeated.") var region: [String] = []
        @Option(help: "created (the newest first), name, or last_activity (the latest first).") var sort: String?
        @Option(help: "Write all that match, as comma-separated values, to this file (- for standard output).")
        var csv: String?
        @OptionGroup var page: PageOption
        func run() async throws {
            var query: [(String, String?)] = [("sort", sort)]
            for (name, values) in [("status", status), ("plan", plan), ("tier", tier), ("region", region)] {
                query += values.map { (name, $0) }
            }
            if let csv {
                return try await page.export("/api/v1/tenants/export", query, to: csv, with: page.server.client())
            }
            try await page.show(
                "/api/v1/tenants", query,
                as: TenantCommand.table, empty: "There are no such tenants.", with: page.server.client())
        }
    }

    struct Search: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "search", abstract: "Find customers by id, external id, slug, name or e-mail address.")
        @Argument(help: "What to look for.") var text: String
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.get("/api/v1/search", [("q", text)])
            guard !output.json else { return client.terminal.print(answer.pretty()) }
            let items = answer["items"]?.array ?? []
            guard !items.isEmpty else { return client.terminal.note("Nothing matches \"\(text.printable)\".") }
            let table = TextTable(columns: [
                .init("KIND", member: "type"), .init("ID", member: "id"), .init("NAME", member: "name"),
                .init("SLUG OR E-MAIL") { ($0["slug"] ?? $0["email"] ?? .null).shown },
                .init("STATUS", member: "status"),
            ])
            client.terminal.write(table.text(items, on: client.terminal))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one tenant.")
        @Argument(help: "Its id, slug or external id.") var tenant: String
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let id = try await TargetLookup(client: client).id(of: tenant, prefix: "ten", type: "tenant")
            let answer = try await client.get("/api/v1/tenants/\(APIClient.encode(id))")
            client.terminal.write(output.json ? answer.pretty() + "\n" : answer.lines())
        }
    }

    struct History: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "history", abstract: "How its status changed.")
        @Argument(help: "Its id, slug or external id.") var tenant: String
        @OptionGroup var page: PageOption
        func run() async throws {
            let client = try page.server.client()
            let id = try await TargetLookup(client: client).id(of: tenant, prefix: "ten", type: "tenant")
            let table = TextTable(columns: [
                .init("AT", member: "at"), .init("FROM", member: "from"), .init("TO", member: "to"),
                .init("REASON", member: "reason_code"),
                .init("BY") { ($0["actor"]?["id"] ?? $0["actor"] ?? .null).shown },
                .init("EVENT", member: "event_id"), .init("WHY", member: "justification"),
            ])
            try await page.show(
                "/api/v1/tenants/\(APIClient.encode(id))/history", as: table, empty: "Its status never changed.",
                with: client)
        }
    }

    struct Activity: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "activity", abstract: "What was recorded about it.")
        @Argument(help: "Its id, slug or external id.") var tenant: String
        @OptionGroup var page: PageOption
        func run() async throws {
            let client = try page.server.client()
            let id = try await TargetLookup(client: client).id(of: tenant, prefix: "ten", type: "tenant")
            let table = TextTable(columns: [
                .init("AT", member: "at"), .init("ACTION", member: "action"), .init("OUTCOME", member: "outcome"),
                .init("BY") { ($0["actor"]?["name"] ?? $0["actor"]?["id"] ?? .null).shown },
                .init("EVENT", member: "event_id"),
            ])
            try await page.show(
                "/api/v1/tenants/\(APIClient.encode(id))/activity", as: table, empty: "Nothing is recorded yet.",
                with: client)
        }
    }

    struct Users: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "users", abstract: "Its members.")
        @Argument(help: "Its id, slug or external id.") var tenant: String
        @OptionGroup var page: PageOption
        func run() async throws {
            let client = try page.server.client()
            let id = try await TargetLookup(client: client).id(of: tenant, prefix: "ten", type: "tenant")
            func member(_ name: String) -> @Sendable (JSON) -> String {
                { ($0["user"]?[name] ?? $0[name] ?? .null).shown }
            }
            let table = TextTable(columns: [
                .init("ID", member("id")), .init("NAME", member("name")), .init("E-MAIL", member("email")),
                .init("ROLE", member: "role"), .init("STATUS", member: "status"),
            ])
            try await page.show(
                "/api/v1/tenants/\(APIClient.encode(id))/users", as: table, empty: "It has no members.", with: client)
        }
    }
}
