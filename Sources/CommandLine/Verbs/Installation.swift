import Kernel

/// What the verbs of the server's own machine do. `Server` implements it, since only it sees the databases.
public protocol Installation: Sendable {
    /// Runs listeners until a signal ends it; all of them when `listeners` is empty.
    func serve(listeners: [String]) async throws
    /// Prepares the demo company once and serves it.
    /// - Parameter size: large data to be made beside the company; `nil` leaves it at what there is.
    func demo(size: DemoSize?, serves: Bool) async throws
    /// The current six digits of one of the demo's people.
    func demoCode(email: String) async throws -> String
    func migrate() async throws
    /// True when everything that was checked is well.
    func doctor(isJSON: Bool) async throws -> Bool
    /// A new enrolment link of the first person.
    /// - Parameter insteadOf: the address to correct.
    func bootstrap(email: String, name: String?, insteadOf: String?) async throws -> String
    /// Asks for new factors for the last super_admin, who can't sign in; answers the link, from when on it works, and whom the
    /// servers tell, and by what.
    func recover(email: String) async throws -> (link: String, from: String, told: [String])
    func verify(_ question: VerifyQuestion) async throws -> VerifyResult
    /// Moves events whose retention has ended to files in a folder; `nil` only counts.
    func prune(into folder: String?) async throws -> PruneResult
    /// Opens a new log after one that can't be continued.
    func openSuccessor(origin: String) async throws -> String
    /// Writes the database to a file that is not there yet; answers what was written.
    func backUp(to path: String) async throws -> String
    /// Puts a backup in the database's place; answers how its log stands to the published checkpoints.
    func restore(from path: String, replacing: Bool) async throws -> String
    func importFile(_ question: ImportQuestion) async throws -> ImportResult
}

/// What `postern verify` is asked.
public struct VerifyQuestion: Sendable {
    /// The text of an older checkpoint.
    public var against: String?
    /// A JSONL export to check without the database.
    public var export: String?
    /// A receipt to check without the database.
    public var receipt: String?
    /// The evidence of a request to check without the database.
    public var evidence: JSON?
    /// A package of evidence to check without the database.
    public var package: [UInt8]?
    /// The log's verifier key, or a file that holds it.
    public var key: String?
    /// Continue where an interrupted run stopped.
    public var isResuming: Bool

    public init(against: String?, export: String?, receipt: String?, key: String?, isResuming: Bool) {
        self.against = against
        self.export = export
        self.receipt = receipt
        self.key = key
        self.isResuming = isResuming
    }
}

public struct VerifyResult: Sendable {
    /// One sentence each, naming the index or the row.
    public let findings: [String]
    /// What was looked at: "5,204 events, checkpoint 5204".
    public let summary: String
    /// Everything, for scripts.
    public let json: JSON
    public var isClean: Bool { findings.isEmpty }

    public init(findings: [String], summary: String, json: JSON? = nil) {
        self.findings = findings
        self.summary = summary
        self.json =
            json
            ?? [
                "clean": .bool(findings.isEmpty), "summary": .string(summary),
                "findings": .array(findings.map { ["detail": .string($0)] }),
            ]
    }
}

public struct PruneResult: Sendable {
    /// Events that left, or would leave, by retention class.
    public let moved: [String: Int64]
    /// Due, and kept all the same.
    public let kept: Int64
    public let files: [String]
    public init(moved: [String: Int64], kept: Int64, files: [String]) {
        self.moved = moved
        self.kept = kept
        self.files = files
    }
    public var total: Int64 { moved.values.reduce(0, +) }
    public func json(isDryRun: Bool) -> JSON {
        [
            "dry_run": .bool(isDryRun), "moved": .object(moved.mapValues(JSON.int)), "total": .int(total),
            "kept": .int(kept), "files": .array(files.map(JSON.string)),
        ]
    }
}

/// What `postern import csv|jsonl` is asked.
public struct ImportQuestion: Sendable {
    public var file: String
    /// `csv` or `jsonl`
    public var format: String
    /// A YAML or JSON file that says which column becomes which field.
    public var mapping: String?
    /// `utf8` or `latin1`
    public var encoding: String
    public var isDryRun: Bool
    /// Apply nothing when a row was rejected, and nothing more once one has become wrong.
    public var isStrict: Bool
    /// Where rejected rows are listed; beside the file by default.
    public var rejected: String?

    public init(
        file: String, format: String, mapping: String?, encoding: String, isDryRun: Bool, isStrict: Bool,
        rejected: String?
    ) {
        self.file = file
        self.format = format
        self.mapping = mapping
        self.encoding = encoding
        self.isDryRun = isDryRun
        self.isStrict = isStrict
        self.rejected = rejected
    }
}

public struct ImportResult: Sendable {
    public let rows: Int
    public let created: Int
    public let updated: Int
    public let unchanged: Int
    /// Control fields that are different here and stay as they are.
    public let drifted: Int
    public let rejected: Int
    /// Where the rejected rows are listed.
    public let rejectedFile: String?
    /// Sentences that name line and column; the first few hundred.
    public let problems: [String]
    /// How many there are in all.
    public let problemCount: Int
    /// Whether the import came to its end.
    public let isApplied: Bool
    /// How many of the rows are in, also where it did not.
    public let done: Int
    public init(
        rows: Int, created: Int, updated: Int, unchanged: Int, drifted: Int, rejected: Int, rejectedFile: String?,
        problems: [String], problemCount: Int, isApplied: Bool, done: Int
    ) {
        self.done = done
        self.rows = rows
        self.created = created
        self.updated = updated
        self.unchanged = unchanged
        self.drifted = drifted
        self.rejected = rejected
        self.rejectedFile = rejectedFile
        self.problems = problems
        self.problemCount = problemCount
        self.isApplied = isApplied
    }
    public func json(isDryRun: Bool) -> JSON {
        [
            "dry_run": .bool(isDryRun), "applied": .bool(isApplied), "rows": .int(Int64(rows)),
            "done": .int(Int64(done)),
            "created": .int(Int64(created)), "updated": .int(Int64(updated)), "unchanged": .int(Int64(unchanged)),
            "drifted": .int(Int64(drifted)), "rejected": .int(Int64(rejected)), "rejected_file": JSON(rejectedFile),
            "problem_count": .int(Int64(problemCount)),
            "problems": .array(problems.map(JSON.string)),
        ]
    }
}

/// What every verb of this run may use.
public struct Invocation: Sendable {
    public let catalog: Catalog
    public let installation: any Installation
    public let environment: [String: String]
    public let terminal: Terminal
    /// Documents made from the declarations, by name.
    public let documents: [String: @Sendable (Catalog) -> String]
    public let transport: @Sendable (_ server: String) -> any Transport
    public var credentials: CredentialFile { CredentialFile(environment: environment) }

    public init(
        catalog: Catalog, installation: any Installation, environment: [String: String], terminal: Terminal,
        documents: [String: @Sendable (Catalog) -> String] = [:],
        transport: (@Sendable (_ server: String) -> any Transport)? = nil
    ) {
        self.catalog = catalog
        self.installation = installation
        self.environment = environment
        self.terminal = terminal
        self.documents = documents
        self.transport = transport ?? { HTTPTransport(server: $0) }
    }

    @TaskLocal static var held: Invocation?
    static var current: Invocation {
        guard let held else { preconditionFailure("a verb runs inside PosternCommand.run") }
        return held
    }
}
