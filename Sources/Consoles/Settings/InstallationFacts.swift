import Kernel

/// What this installation is and was started with, as the program that runs it knows it. Never a secret.
public struct InstallationFacts: Sendable {
    /// Something one can set in the environment or in the settings file.
    public struct Entry: Sendable, Hashable {
        /// `staff_port`
        public let key: String
        /// `POSTERN_STAFF_PORT`
        public let variable: String
        /// As it may be shown; `nil` when nothing is set.
        public let value: String?
        /// "default", or the variable or file it comes from.
        public let origin: String
        public let summary: String
        public init(key: String, variable: String, value: String?, origin: String, summary: String) {
            self.key = key
            self.variable = variable
            self.value = value
            self.origin = origin
            self.summary = summary
        }
        var json: JSON {
            [
                "key": .string(key), "variable": .string(variable), "value": JSON(value), "origin": .string(origin),
                "summary": .string(summary),
            ]
        }
    }

    public struct Group: Sendable, Hashable {
        public let title: String
        public let entries: [Entry]
        public init(_ title: String, _ entries: [Entry]) {
            self.title = title
            self.entries = entries
        }
    }

    /// What `postern doctor` says of something.
    public struct Finding: Sendable, Hashable {
        public enum Level: String, Sendable {
            case ok, warning, problem
        }
        public let level: Level
        public let about: String
        public let sentence: String
        public init(_ level: Level, about: String, _ sentence: String) {
            self.level = level
            self.about = about
            self.sentence = sentence
        }
        public var json: JSON {
            ["level": .string(level.rawValue), "about": .string(about), "detail": .string(sentence)]
        }
    }

    public struct Key: Sendable, Hashable {
        public let title: String
        public let fingerprint: String
        public init(_ title: String, fingerprint: String) {
            self.title = title
            self.fingerprint = fingerprint
        }
    }

    /// The program's.
    public var version = "unknown"
    public var environment = "unknown"
    /// Where the database is, without a password.
    public var database = "unknown"
    /// How people reach the console.
    public var consoleURL = ""
    public var keys: [Key] = []
    public var retention = RetentionPeriods()
    public var groups: [Group] = []
    /// What is to be warned of now, given the database's time; what is well is left out.
    public var warnings: @Sendable (_ databaseNow: Instant) -> [Finding] = { _ in [] }

    public init() {}
}

/// The installation as it is at this moment: what it was started with, and what its database says.
struct InstallationReport: Sendable {
    let facts: InstallationFacts
    let warnings: [InstallationFacts.Finding]
    /// "SQLite 3.46.1"
    let engine: String
    let databaseBytes: Int64
    /// The newest step of the schema, and how many there are.
    let schema: (number: Int64, name: String, appliedAt: Instant)?
    let log: (origin: String, size: Int64)?
    let checkpoint: (size: Int64, at: Instant)?
    let channels: [ChannelState]
    let runtimeTokens: Int64
    let now: Instant

    static func load(_ facts: InstallationFacts, from reader: any Reader) throws -> InstallationReport {
        let dialect = reader.dialect
        let rows = try reader.query([
            InstallationQueries.engine(dialect), InstallationQueries.size(dialect), InstallationQueries.schema,
            InstallationQueries.log, EventQueries.checkpoint,
            InstallationQueries.runtimeTokens(at: reader.now),
        ])
        let version = try rows[0].first?.string("version") ?? "unknown"
        return InstallationReport(
            facts: facts, warnings: facts.warnings(reader.now),
            engine: (dialect == .postgres ? "PostgreSQL " : "SQLite ") + version,
            databaseBytes: try rows[1].first?.int("bytes") ?? 0,
            schema: try rows[2].first.map {
                (try $0.int("number"), try $0.string("name"), try $0.instant("applied_at"))
            },
            log: try rows[3].first.map { (try $0.string("origin"), try $0.int("size")) },
            checkpoint: try rows[4].first.map { (try $0.int("size"), try $0.instant("at")) },
            channels: try ChannelState.all(from: reader), runtimeTokens: try rows[5].first?.int("count") ?? 0,
            now: reader.now)
    }

    var json: JSON {
        [
            "version": .string(facts.version), "environment": .string(facts.environment),
            "console_url": .string(facts.consoleURL),
            "database": [
                "place": .string(facts.database), "engine": .string(engine), "bytes": .int(databaseBytes),
                "schema": schema.map {
                    ["number": .int($0.number), "name": .string($0.name), "applied_at": JSON($0.appliedAt)]
                } ?? .null,
            ],
            "log": log.map { ["origin": .string($0.origin), "size": .int($0.size)] } ?? .null,
            "checkpoint": checkpoint.map { ["size": .int($0.size), "at": JSON($0.at)] } ?? .null,
            "keys": .array(
                facts.keys.map { ["title": .string($0.title), "fingerprint": .string($0.fingerprint)] }),
            "retention": .object(
                Dictionary(
                    uniqueKeysWithValues: RetentionClass.allCases.map {
                        ($0.rawValue, facts.retention.days($0).map(JSON.int) ?? .null)
                    })),
            "channels": .array(channels.map(\.json)), "runtime_tokens": .int(runtimeTokens),
            "warnings": .array(warnings.map(\.json)),
            "configuration": .array(facts.groups.flatMap(\.entries).map(\.json)),
        ]
    }

    static let schema: JSON = [
        "type": "object", "required": ["version", "environment", "database", "keys", "warnings", "configuration"],
        "properties": [
            "version": ["type": "string"], "environment": ["type": "string"], "console_url": ["type": "string"],
            "database": ["type": "object"], "log": ["type": ["object", "null"]],
            "checkpoint": ["type": ["object", "null"]],
            "keys": [
                "type": "array",
                "items": [
                    "type": "object",
                    "properties": ["title": ["type": "string"], "fingerprint": ["type": "string"]],
                ],
            ],
            "retention": ["type": "object", "additionalProperties": ["type": ["integer", "null"]]],
            "channels": ["type": "array", "items": ["type": "object"]], "runtime_tokens": ["type": "integer"],
            "warnings": [
                "type": "array",
                "items": [
                    "type": "object",
                    "properties": [
                        "level": ["type": "string", "enum": ["ok", "warning", "problem"]],
                        "about": ["type": "string"], "detail": ["type": "string"],
                    ],
                ],
            ],
            "configuration": [
                "type": "array",
                "items": [
                    "type": "object",
                    "properties": [
                        "key": ["type": "string"], "variable": ["type": "string"],
                        "value": ["type": ["string", "null"]], "origin": ["type": "string"],
                        "summary": ["type": "string"],
                    ],
                ],
            ],
        ],
    ]
}
