import ArgumentParser
import Foundation
import Kernel

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the server.",
        discussion: "Settings come from POSTERN_… variables and the settings file; see docs/configuration.md.")

    @Option(
        name: .customLong("listen"), parsing: .singleValue,
        help: "Only this listener: staff, auditor, runtime or metrics. May be repeated; all by default.")
    var listeners: [ListenerName] = []

    enum ListenerName: String, ExpressibleByArgument, CaseIterable {
        case staff, auditor, runtime, metrics
    }

    func run() async throws {
        try await Invocation.current.installation.serve(listeners: listeners.map(\.rawValue))
    }
}

/// How much large data the demo is to have.
public struct DemoSize: Sendable, Hashable {
    public static let mostTenants = 5_000_000
    public static let mostEvents = 50_000_000

    public let tenants: Int
    public let events: Int
    public init(tenants: Int, events: Int) {
        self.tenants = tenants
        self.events = events
    }
}

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Run the demo company on this machine, with an embedded database.",
        subcommands: [Run.self, Code.self], defaultSubcommand: Run.self)

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Prepare the demo once, then serve it until Ctrl-C.",
            discussion: """
                With --tenants, large data is made beside the company: always the same for the same numbers, three users to each \
                tenant, and the events spread over two years. Ctrl-C stops the making; the same command goes on with it.
                """, shouldDisplay: false)
        @Option(help: "Make this many more tenants, at most \(DemoSize.mostTenants).") var tenants: Int?
        @Option(help: "With this many events about them, at most \(DemoSize.mostEvents); five to a tenant by default.")
        var events: Int?
        @Flag(help: "Make the data and end, instead of serving it.") var noServe = false

        func validate() throws { _ = try size() }

        private func size() throws -> DemoSize? {
            guard let tenants else {
                if events != nil {
                    throw ValidationError("--events goes with --tenants: say how many tenants they are about.")
                }
                return nil
            }
            let events = events ?? min(tenants.multipliedReportingOverflow(by: 5).partialValue, DemoSize.mostEvents)
            guard (1...DemoSize.mostTenants).contains(tenants) else {
                throw ValidationError("--tenants takes a number from 1 to \(DemoSize.mostTenants).")
            }
            guard (0...DemoSize.mostEvents).contains(events) else {
                throw ValidationError("--events takes a number from 0 to \(DemoSize.mostEvents).")
            }
            return DemoSize(tenants: tenants, events: events)
        }

        func run() async throws {
            try await Invocation.current.installation.demo(size: try size(), serves: !noServe)
        }
    }

    struct Code: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "code", abstract: "Print the current sign-in code of one of the demo's people.")
        @Argument(help: "The e-mail address.") var email: String
        func run() async throws {
            Invocation.current.terminal.print(try await Invocation.current.installation.demoCode(email: email))
        }
    }
}

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring the database up to this version.",
        discussion: "Connects as migrate_database_url (the owner) where it is set. Stop the server first.")
    func run() async throws { try await Invocation.current.installation.migrate() }
}

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Say what is set, what is missing, and check each connection.")
    @OptionGroup var output: OutputOption
    func run() async throws {
        guard try await Invocation.current.installation.doctor(isJSON: output.json) else {
            throw CommandFailure(.unavailable, "")
        }
    }
}

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring your customers in.", subcommands: [CSV.self, JSONL.self])

    struct CSV: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "csv", abstract: "Import tenants with their members from a CSV file.",
            discussion: """
                The first line names the columns: external_id, name and slug, and if you like plan, tier, region, status, \
                owner_email, member_emails (by semicolons), created_at, last_activity_at and metadata.…; other names need a \
                mapping. \(ImportOptions.discussion)
                """)
        @OptionGroup var options: ImportOptions
        func run() async throws { try await options.run("csv") }
    }

    struct JSONL: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "jsonl",
            abstract: "Import tenants with their members from a file of JSON objects, one a line.",
            discussion: """
                Members are called external_id, name, slug, plan, tier, region, status, owner_email, members (a list of \
                objects with email, name, external_id, role, last_login_at), created_at, last_activity_at and metadata; \
                other names need a mapping. \(ImportOptions.discussion)
                """)
        @OptionGroup var options: ImportOptions
        func run() async throws { try await options.run("jsonl") }
    }
}

struct ImportOptions: ParsableArguments {
    static let discussion =
        "The file is read and checked whole before a customer is changed. Rows that can't be taken are listed in a CSV file "
        + "beside it. An import that was stopped goes on where it was when run again. Run it on the server's machine. "
        + "See docs/connecting-your-saas.md."

    enum Encoding: String, ExpressibleByArgument, CaseIterable { case utf8, latin1 }

    @Argument(help: "The file.", completion: .file()) var file: String
    @Option(help: "A YAML or JSON file that says which column becomes which field.", completion: .file())
    var mapping: String?
    @Option(help: "How its text is written: utf8, or latin1 (Windows-1252).") var encoding = Encoding.utf8
    @Flag(help: "Check only; change no customer.") var dryRun = false
    @Flag(help: "Change nothing if a single row can't be taken; stop where one becomes wrong while it is imported.")
    var strict = false
    @Option(help: "Where rows that can't be taken are listed (default: FILE.rejected.csv).", completion: .file())
    var rejected: String?
    @OptionGroup var output: OutputOption

    func run(_ format: String) async throws {
        let invocation = Invocation.current
        let terminal = invocation.terminal
        let result = try await invocation.installation.importFile(
            ImportQuestion(
                file: file, format: format, mapping: mapping, encoding: encoding.rawValue, isDryRun: dryRun,
                isStrict: strict, rejected: rejected))
        if output.json {
            terminal.print(result.json(isDryRun: dryRun).pretty())
        } else {
            for problem in result.problems.prefix(50) { terminal.note(problem.printable) }
            let rest = result.problemCount - min(50, result.problems.count)
            if rest > 0 { terminal.note("… and \(rest) more.") }
            if result.isApplied || dryRun {
                let counts = "\(result.created) new, \(result.updated) changed, \(result.unchanged) as they were"
                terminal.print("\(dryRun ? "Would import" : "Imported") \(result.rows) tenants: \(counts).")
            }
            if result.drifted > 0 {
                terminal.print(
                    "\(result.drifted) \(result.drifted == 1 ? "field differs" : "fields differ") from what is here; what is here stays. See Drift in the console."
                )
            }
        }
        guard result.rejected == 0 else {
            let rows = result.rejected == 1 ? "1 row can't be taken" : "\(result.rejected) rows can't be taken"
            let place = result.rejectedFile.map { "; they are listed in \($0)" } ?? ""
            let rest = result.isApplied || dryRun ? "" : " \(Self.untaken(result))"
            throw CommandFailure(.usage, output.json ? "" : "\(rows)\(place).\(rest)")
        }
    }
}

extension ImportOptions {
    /// What an import that leaves no row out has left undone, and how to go on.
    private static func untaken(_ result: ImportResult) -> String {
        guard result.done > 0 else { return "Nothing was imported." }
        return """
            With --strict it stops there: \(result.done) of \(result.rows) tenants are in and stay in.
            Run the command without --strict for the rest, or mend the file and import that: what is in is left as it is.
            """
    }
}

struct VerifyOptions: ParsableArguments {
    @Option(help: "Also check that the log continues this older checkpoint: a file or a URL.", completion: .file())
    var against: String?
    @Option(help: "Check a JSONL export instead of the database.", completion: .file()) var export: String?
    @Option(help: "Check a receipt instead of the database.", completion: .file()) var receipt: String?
    @Option(
        help: "The log's public key (name+hash+key), or a file that holds it; needed offline.", completion: .file())
    var key: String?
    @Flag(help: "Continue where an interrupted run stopped.") var resume = false
    @OptionGroup var output: OutputOption

    func validate() throws {
        if export != nil, receipt != nil { throw ValidationError("Give --export or --receipt, not both.") }
        if export != nil || receipt != nil, key == nil {
            throw ValidationError(
                "Offline, say which key to trust: --key KEY (it is at /log/key of the auditor listener).")
        }
        if resume, export != nil || receipt != nil { throw ValidationError("--resume is for the database.") }
    }

    func run() async throws {
        let invocation = Invocation.current
        let result = try await invocation.installation.verify(
            VerifyQuestion(
                against: try await checkpointText(), export: export, receipt: receipt, key: key, isResuming: resume))
        if output.json {
            invocation.terminal.print(result.json.pretty())
        } else {
            for finding in result.findings { invocation.terminal.print(finding.printable) }
            invocation.terminal.print(result.summary)
        }
        guard result.isClean else {
            let count = result.findings.count == 1 ? "1 finding" : "\(result.findings.count) findings"
            throw CommandFailure(.drift, output.json ? "" : "Verification found drift: \(count).")
        }
    }

    /// The checkpoint that --against names.
    private func checkpointText() async throws(CommandFailure) -> String? {
        guard let against else { return nil }
        if against.hasPrefix("https://") || against.hasPrefix("http://") {
            let response = try await Invocation.current.transport(against).send(APIRequest("GET", ""))
            guard response.status == 200 else {
                throw CommandFailure(.unavailable, "\(against) answered \(response.status).")
            }
            return try checkpoint(String(decoding: response.body, as: UTF8.self), from: against)
        }
        guard let data = FileManager.default.contents(atPath: against) else {
            throw CommandFailure(.usage, "\(against) can't be read.")
        }
        return try checkpoint(String(decoding: data, as: UTF8.self), from: against)
    }

    /// Whether it was signed by the right key is verification's own question; something else altogether is a mistake of the
    /// command.
    private func checkpoint(_ text: String, from place: String) throws(CommandFailure) -> String {
        guard KnownCheckpoints.isReadable(text) else {
            throw CommandFailure(
                .usage,
                "\(place) holds no checkpoint: it must be a signed note (C2SP tlog-checkpoint) or a checkpoints.log.")
        }
        return text
    }
}

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Prove that the log and the data agree (the same as audit verify).",
        discussion:
            "Reads the configured database, or an export or receipt offline. Exit code 10 means drift was found.",
        subcommands: [VerifyApproval.self, VerifyEvidence.self])
    @OptionGroup var options: VerifyOptions
    func run() async throws { try await options.run() }
}

struct VerifyApproval: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approval", abstract: "Prove what was asked, signed and done under a request.",
        discussion: """
            Fetches the request's evidence, or reads it from a file that --save wrote, and checks every proof and every \
            passkey's signature in it. Exit code 10 means that something does not hold, and what.
            """)
    @Argument(help: "The request, apr_…; not with --evidence.") var id: String?
    @Option(help: "Check evidence in a file, without the server.", completion: .file()) var evidence: String?
    @Option(help: "Keep the evidence in a file.", completion: .file()) var save: String?
    @OptionGroup var server: ServerOption
    /// --key and --json are the same for both, and stand there.
    @ParentCommand var parent: VerifyCommand

    private var key: String? { parent.options.key }
    private var output: OutputOption { parent.options.output }

    func validate() throws {
        guard (id == nil) != (evidence == nil) else {
            throw ValidationError("Name a request, or give a file with --evidence.")
        }
        if evidence != nil, key == nil {
            throw ValidationError(
                "Offline, say which key to trust: --key KEY (it is at /log/key of the auditor listener).")
        }
        if evidence != nil, save != nil { throw ValidationError("--save keeps what a server answers.") }
    }

    func run() async throws {
        let invocation = Invocation.current
        let (bundle, trusted) = try await found()
        var question = VerifyQuestion(against: nil, export: nil, receipt: nil, key: trusted, isResuming: false)
        question.evidence = bundle
        let result = try await invocation.installation.verify(question)
        if output.json {
            invocation.terminal.print(result.json.pretty())
        } else {
            for finding in result.findings { invocation.terminal.print(finding.printable) }
            invocation.terminal.print(result.summary)
        }
        guard result.isClean else {
            let count = result.findings.count == 1 ? "1 finding" : "\(result.findings.count) findings"
            throw CommandFailure(.drift, output.json ? "" : "The evidence does not hold: \(count).")
        }
    }

    /// The evidence, and the key to check it with.
    private func found() async throws(CommandFailure) -> (JSON, String) {
        if let evidence {
            guard let data = FileManager.default.contents(atPath: evidence), let json = try? JSON(parsing: Array(data))
            else { throw CommandFailure(.usage, "\(evidence) can't be read, or is no JSON.") }
            return (json, key ?? "")
        }
        let client = try server.client()
        let bundle = try await client.get("/api/v1/approvals/\(id ?? "")/evidence")
        if let save {
            do {
                try Data(bundle.canonical).write(to: URL(fileURLWithPath: save))
            } catch {
                throw CommandFailure(.usage, "\(save) can't be written.")
            }
        }
        if let key { return (bundle, key) }
        let answer = try await client.send(APIRequest("GET", "/log/key"))
        guard answer.status == 200 else { throw Problem.failure(answer) }
        return (bundle, String(decoding: answer.body, as: UTF8.self))
    }
}

struct VerifyEvidence: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evidence", abstract: "Prove what a package of evidence says, without the server.",
        discussion: """
            Checks the digest of every file, the receipt of every event, and that each row is what the events made it, with none \
            of them kept back. Exit code 10 means that something does not hold, and what.
            """)
    @Argument(help: "The package, such as rev_….evidence.tar.", completion: .file()) var file: String
    /// --key and --json are the same for all, and stand there.
    @ParentCommand var parent: VerifyCommand

    func validate() throws {
        if parent.options.key == nil {
            throw ValidationError("Say which key to trust: --key KEY (it is at /log/key of the auditor listener).")
        }
    }

    func run() async throws {
        let invocation = Invocation.current
        guard let data = FileManager.default.contents(atPath: file) else {
            throw CommandFailure(.usage, "\(file) can't be read.")
        }
        var question = VerifyQuestion(
            against: nil, export: nil, receipt: nil, key: parent.options.key, isResuming: false)
        question.package = Array(data)
        let result = try await invocation.installation.verify(question)
        if parent.options.output.json {
            invocation.terminal.print(result.json.pretty())
        } else {
            for finding in result.findings { invocation.terminal.print(finding.printable) }
            invocation.terminal.print(result.summary)
        }
        guard result.isClean else {
            let count = result.findings.count == 1 ? "1 finding" : "\(result.findings.count) findings"
            throw CommandFailure(.drift, parent.options.output.json ? "" : "The evidence does not hold: \(count).")
        }
    }
}

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write the database to a file, while the server runs.",
        discussion: """
            An embedded database is copied as it is at one moment; PostgreSQL is dumped by pg_dump, as the owner. Keys and \
            checkpoints.log are not in the file: keep them elsewhere.
            """)
    @Argument(help: "The file; it must not be there yet.", completion: .file()) var file: String
    func run() async throws {
        Invocation.current.terminal.print(try await Invocation.current.installation.backUp(to: file))
    }
}

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Put a backup in the database's place.",
        discussion: """
            Stop the server first. An embedded database that is there is moved aside with --replace; on PostgreSQL the database \
            must be empty. Says how many entries of the log are lost when a newer checkpoint was published.
            """)
    @Argument(help: "A file that postern backup wrote.", completion: .file()) var file: String
    @Flag(help: "Move the embedded database that is there aside.") var replace = false
    func run() async throws {
        Invocation.current.terminal.print(
            try await Invocation.current.installation.restore(from: file, replacing: replace))
    }
}

struct DocsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "docs", abstract: "Print documents made from the declarations.",
        subcommands: [
            SettingsReference.self, CommandsReference.self, BackofficeApp.self, RolesAndPermissions.self,
            AuditLogSpec.self, PrivilegedAccess.self,
        ])

    /// One of those that the consoles make.
    private static func print(_ name: String) {
        let invocation = Invocation.current
        invocation.terminal.write(invocation.documents[name]?(invocation.catalog) ?? "")
    }

    struct BackofficeApp: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "backoffice-app", abstract: "docs/saas/backoffice-app.md: every operation and read.")
        func run() { DocsCommand.print("backoffice-app") }
    }

    struct RolesAndPermissions: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "roles-and-permissions",
            abstract: "docs/saas/roles-and-permissions.md: who may do what, and who co-signs.")
        func run() { DocsCommand.print("roles-and-permissions") }
    }

    struct PrivilegedAccess: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "privileged-access",
            abstract: "docs/saas/privileged-access.md: what nobody does alone, and what proves it.")
        func run() { DocsCommand.print("privileged-access") }
    }

    struct AuditLogSpec: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "audit-log-spec", abstract: "docs/saas/audit-log-spec.md: the format of the log.")
        func run() { DocsCommand.print("audit-log-spec") }
    }

    struct SettingsReference: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "configuration", abstract: "docs/configuration.md: every setting.")
        func run() { Invocation.current.terminal.write(Configuration.reference) }
    }

    struct CommandsReference: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "commands", abstract: "Golden/commands.txt: the help of every command.")
        func run() { Invocation.current.terminal.write(PosternCommand.helpTree(in: Invocation.current)) }
    }
}
