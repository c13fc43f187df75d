/// One thing that is not as the log says, and where.
public struct Finding: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        /// A sealed value or its salt is not what the event commits to.
        case valueEdited = "value_edited"
        /// A sealed value is gone without an erasure.
        case valueDeleted = "value_deleted"
        /// A sealed value the event knows nothing of.
        case valueAdded = "value_added"
        /// The bytes of an event are not the ones in the tree.
        case leafEdited = "leaf_edited"
        /// The stored hash of an event is not the one in the tree.
        case leafHashEdited = "leaf_hash_edited"
        /// The bytes of an event are in the tree and yet not an event.
        case leafMalformed = "leaf_malformed"
        case rowDeleted = "row_deleted"
        /// An event or leaf that came in beside the log.
        case rowAdded = "row_added"
        case duplicate
        /// An indexed column is not what the event says.
        case projectionEdited = "projection_edited"
        case tileEdited = "tile_edited"
        case tileDeleted = "tile_deleted"
        case tileAdded = "tile_added"
        /// The stored size and root are not the tree's.
        case stateEdited = "state_edited"
        /// A signed checkpoint has another root than the entries give.
        case historyRewritten = "history_rewritten"
        /// A stored checkpoint is not one the log's key signed.
        case checkpointReplaced = "checkpoint_replaced"
        /// A signed checkpoint is larger than the log.
        case logRewound = "log_rewound"
        case governedRowEdited = "governed_row_edited"
        case governedRowDeleted = "governed_row_deleted"
        /// A governed row that no event names.
        case governedRowUnlogged = "governed_row_unlogged"
        /// The pointer to a row's last event points elsewhere.
        case headEdited = "head_edited"
        /// The table of which event names which row disagrees with the events.
        case namingEdited = "naming_edited"
        case subjectEdited = "subject_edited"
    }

    public let kind: Kind
    /// The entry's index in the log, where there is one.
    public let index: Int64?
    public let event: String?
    /// `table:key` of another row: `tenants:ten_…`, `log_tile:0/12`.
    public let row: String?
    /// A sentence.
    public let detail: String

    public init(_ kind: Kind, index: Int64? = nil, event: String? = nil, row: String? = nil, _ detail: String) {
        self.kind = kind
        self.index = index
        self.event = event
        self.row = row
        self.detail = detail
    }

    public var json: JSON {
        JSON.members([
            ("kind", .string(kind.rawValue)), ("index", index.map(JSON.int)), ("event", event.map(JSON.string)),
            ("row", row.map(JSON.string)), ("detail", .string(detail)),
        ])
    }

    public init?(_ json: JSON) {
        guard let kind = json["kind"]?.string.flatMap(Kind.init), let detail = json["detail"]?.string else {
            return nil
        }
        self.init(kind, index: json["index"]?.int, event: json["event"]?.string, row: json["row"]?.string, detail)
    }
}

/// What a verification found.
public struct VerificationReport: Sendable {
    /// The log's size when verification began, and its root.
    public var size: Int64 = 0
    public var root = MerkleTree.emptyRoot
    /// Empty when everything is as the log says.
    public var findings: [Finding] = []
    /// Findings beyond the first ten thousand are counted only.
    public var more: Int64 = 0
    public var eventsChecked: Int64 = 0
    /// Entries whose event left for the archive; their hashes were checked.
    public var eventsArchived: Int64 = 0
    public var valuesChecked: Int64 = 0
    public var erasedValues: Int64 = 0
    public var checkpointsChecked: Int64 = 0
    public var governedRowsChecked: Int64 = 0
    /// Rows whose last state was erased and so can't be compared.
    public var governedRowsErased: Int64 = 0
    /// What could not be looked at, a sentence each.
    public var notes: [String] = []

    public var isClean: Bool { findings.isEmpty && more == 0 }

    public init() {}

    public mutating func add(_ finding: Finding) {
        if findings.count < 10_000 { findings.append(finding) } else { more += 1 }
    }

    public var json: JSON {
        .object([
            "size": .int(size), "root": .string(root.base64), "clean": .bool(isClean),
            "findings": .array(findings.map(\.json)), "more_findings": .int(more), "events": .int(eventsChecked),
            "events_archived": .int(eventsArchived),
            "sealed_values": .int(valuesChecked), "erased_values": .int(erasedValues),
            "checkpoints": .int(checkpointsChecked), "governed_rows": .int(governedRowsChecked),
            "governed_rows_erased": .int(governedRowsErased), "notes": .array(notes.map(JSON.string)),
        ])
    }
}
