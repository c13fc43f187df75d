import ArgumentParser
import Kernel

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "What happened, and the proof of it.",
        subcommands: [List.self, Show.self, Receipt.self, Export.self, Verify.self, Prune.self, Successor.self])

    /// Filters of the audit log, as the API names them.
    struct Filter: ParsableArguments {
        @Option(help: "Only by this actor: an id such as stf_…, or a staff member's e-mail.") var actor: String?
        @Option(help: "Only about this tenant: its id or slug.") var tenant: String?
        @Option(help: "Only about this target.") var target: String?
        @Option(help: "Only this action, such as tenant.suspend.") var action: String?
        @Option(name: .customLong("class"), help: "Only this class, such as mutation or access.") var eventClass:
            String?
        @Option(help: "Only this outcome: applied, requested, denied, failed or blocked.") var outcome: String?
        @Option(help: "From this day or time on, such as 2026-11-17 or 2026-11-17T14:00:00Z.") var from: String?
        @Option(help: "Until the end of this day, or before this time.") var until: String?

        var query: [(String, String?)] {
            [
                ("actor", actor), ("tenant", tenant), ("target", target), ("action", action), ("class", eventClass),
                ("outcome", outcome), ("from", from), ("until", until),
            ]
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List events, newest first.")
        @OptionGroup var filter: Filter
        @OptionGroup var page: PageOption
        func run() async throws {
            let table = TextTable(columns: [
                .init("AT", member: "at"), .init("ACTION", member: "action"), .init("OUTCOME", member: "outcome"),
                .init("ACTOR") { ($0["actor"]?["id"] ?? $0["actor"] ?? .null).shown },
                .init("TARGET") { ($0["target"]?["id"] ?? $0["target"] ?? .null).shown }, .init("ID", member: "id"),
            ])
            try await page.show(
                "/api/v1/audit-events", filter.query, as: table, empty: "There are no such events.",
                with: page.server.client())
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one event.")
        @Argument(help: "Its id (evt_…).") var event: String
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.get("/api/v1/audit-events/\(APIClient.encode(event))")
            guard !output.json else { return client.terminal.print(answer.pretty()) }
            // The exact bytes are for machines; what was sealed is what a person wants to read.
            let hidden: Set = ["leaf", "leaf_base64", "sealed"]
            let plain = (answer.object ?? [:]).filter { !hidden.contains($0.key) && !$0.value.isNull && $0.value != [] }
            client.terminal.write(JSON.object(plain).lines())
            guard let sealed = answer["sealed"]?.object, !sealed.isEmpty else { return }
            client.terminal.print("")
            client.terminal.write(JSON.object(sealed.mapValues { $0["value"] ?? $0 }).lines())
        }
    }

    struct Receipt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "receipt", abstract: "Fetch the proof that an event is in the log.",
            discussion:
                "The receipt holds the event's sealed values. Anybody can check it: postern verify --receipt FILE --key KEY"
        )
        @Argument(help: "The event's id (evt_…).") var event: String
        @Option(
            name: [.customShort("o"), .customLong("out")], help: "Write it to this file, readable by you only.",
            completion: .file())
        var out: String?
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.get("/api/v1/audit-events/\(APIClient.encode(event))/receipt")
            guard let out else { return client.terminal.print(answer.pretty()) }
            try PrivateFile.write(answer.pretty() + "\n", to: out)
            client.terminal.print("Receipt written to \(out).")
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export", abstract: "Export events: JSON lines with their proofs, or a table.",
            discussion: """
                The table (--format csv) holds the index and the hash of each event's leaf. With --proofs the same events are \
                also written as JSON lines, so that the table can be checked with nothing but the log's public key.
                """)
        @OptionGroup var filter: Filter
        @Option(help: "jsonl (with proofs) or csv (for spreadsheets).") var format = "jsonl"
        @Option(
            name: [.customShort("o"), .customLong("out")], help: "Write to this file, readable by you only.",
            completion: .file())
        var out: String?
        @Option(
            help: "With --format csv: write the proofs of the same events to this file.", completion: .file())
        var proofs: String?
        @OptionGroup var factor: FactorOption
        @OptionGroup var server: ServerOption

        func validate() throws {
            guard ExportFormat(rawValue: format) != nil else { throw ValidationError("--format is jsonl or csv.") }
            guard proofs != nil else { return }
            guard format == "csv" else {
                throw ValidationError("--proofs goes with --format csv; JSON lines hold them.")
            }
            guard let out else {
                throw ValidationError("--proofs needs --out: the table and its proofs are two files.")
            }
            guard out != proofs else { throw ValidationError("--out and --proofs must be two files.") }
        }

        func run() async throws {
            let client = try factor.client(of: server)
            let path = "/api/v1/audit-events/export"
            guard let proofs, let out else {
                let query = filter.query + (format == "csv" ? [("format", format)] : [])
                return try await Download(client).save(path + APIClient.query(query), to: out)
            }
            // One export: the table is made of the very lines that prove it.
            let (table, lines) = (try ExportFile(path: out), try ExportFile(path: proofs))
            let events = EventLines()
            do {
                try table.write(events.header)
                try await client.stream(path + APIClient.query(filter.query)) { piece in
                    try lines.write(piece)
                    try table.write(events.records(of: piece))
                }
                guard events.isWhole else {
                    throw CommandFailure(.unexpected, "The export was cut off; nothing was kept.")
                }
                try lines.finish()
                try table.finish()
            } catch {
                lines.abandon()
                table.abandon()
                throw error
            }
            client.terminal.note("\(events.count) events written to \(out), their proofs to \(proofs).")
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Prove that the log and the data agree.")
        @OptionGroup var options: VerifyOptions
        func run() async throws { try await options.run() }
    }

    struct Prune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "prune", abstract: "Move events whose retention has ended to an archive.",
            discussion: """
                Each event is verified, written to a JSONL file with its proof, named by a retention.pruned event and only \
                then removed; its hash and every proof stay valid. Sealed values are not archived: they end with their \
                retention. An archive is checked with: postern verify --export FILE --key KEY. What was stopped goes on with \
                the next run. Run it on the server's machine, from a timer if you like.
                """)
        @Option(help: "The folder the files go to; it must exist.", completion: .directory) var archive: String?
        @Flag(help: "Only say how many would go; write nothing.") var dryRun = false
        @OptionGroup var output: OutputOption

        func validate() throws {
            if archive == nil, !dryRun { throw ValidationError("Say where the events go: --archive FOLDER") }
        }

        func run() async throws {
            let invocation = Invocation.current
            let result = try await invocation.installation.prune(into: dryRun ? nil : archive)
            let terminal = invocation.terminal
            guard !output.json else { return terminal.print(result.json(isDryRun: dryRun).pretty()) }
            for (retention, count) in result.moved.sorted(by: { $0.key < $1.key }) {
                terminal.print("\(retention): \(count)")
            }
            for file in result.files { terminal.print(file) }
            let verb = dryRun ? "would leave" : "left"
            terminal.print(result.total == 1 ? "1 event \(verb)." : "\(result.total) events \(verb).")
            if result.kept > 0 {
                terminal.print(
                    "\(result.kept) are due and stay: the last about a row, or the reason why something else is gone.")
            }
        }
    }

    struct Successor: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "successor", abstract: "Open a new log after one that can't be continued.",
            discussion: """
                Needed after the database was restored from a backup that is older than a published checkpoint. The new log \
                starts with a record that names the old one, signed by both keys. Run it on the server's machine.
                """)
        @Option(help: "The new log's name, such as console.example.com/log2.") var origin: String
        @Flag(help: "Don't ask to confirm.") var yes = false

        func run() async throws {
            let invocation = Invocation.current
            if !yes {
                guard invocation.terminal.isInteractive else {
                    throw CommandFailure(.usage, "This is not a terminal, so nobody can confirm. Add --yes.")
                }
                let answer = try invocation.terminal.prompt("Type the new log's name to open it: ")
                guard answer == origin else { throw CommandFailure(.refused, "Not confirmed; nothing was changed.") }
            }
            invocation.terminal.print(try await invocation.installation.openSuccessor(origin: origin))
        }
    }
}
