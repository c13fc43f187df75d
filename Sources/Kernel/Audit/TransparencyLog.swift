/// The published side of the log: checkpoints, tiles, receipts (spec: audit-log §4).
public protocol TransparencyLog: Sendable {
    /// `name+hexid+base64(0x01‖key)`
    var verifierKey: String { get }
    /// The newest published checkpoint, a C2SP signed note; `nil` before the first.
    func checkpoint() async throws(OperationError) -> String?
    /// Hashes of a tile, full (256) or partial (`width` 1…255); `nil` when the log is not that large.
    func tile(level: Int, index: Int64, width: Int?) async throws(OperationError) -> [UInt8]?
    /// The leaves behind a tile; `nil` when the log is not that large.
    func entries(index: Int64, width: Int?) async throws(OperationError) -> EntryBundle?
    /// The receipt of an event as in `interfaces.md`, with the sealed members that still exist. Waits up to `wait` for the
    /// checkpoint that covers it.
    func receipt(event id: String, wait: Span) async throws(OperationError) -> JSON
    /// Writes an export of the events that match to `sink`, piece by piece with how many events each holds. JSON Lines carry
    /// the proof material; comma-separated values the index and hash of each leaf.
    func export(
        _ filter: EventFilter, as format: ExportFormat,
        sink: @escaping @Sendable (_ piece: [UInt8], _ events: Int64) async throws -> Void
    ) async throws(OperationError)
}

/// What stands under `tile/entries/<N>` (C2SP tlog-tiles).
public enum EntryBundle: Sendable {
    /// Leaves, each with a big-endian uint16 length before it.
    case leaves([UInt8])
    /// Some of the leaves are in the archive, so there is no such bundle any more: nothing that stood in their place would hash
    /// to what the tree holds.
    case pruned(PrunedBundle)
}

public struct PrunedBundle: Sendable {
    /// Entries that left, and the event of retention that let them go, in order.
    public let archived: [(entries: ClosedRange<Int64>, by: String)]
    /// Every bundle that ends above it is whole. Below it only those are that nothing has left.
    public let minimumIndex: Int64

    /// - Parameters:
    ///   - pruned: index → the event of retention.
    ///   - last: the highest entry of the log that left.
    init(_ pruned: [Int64: String], last: Int64, size: Int64) {
        var runs: [(entries: ClosedRange<Int64>, by: String)] = []
        for (index, event) in pruned.sorted(by: { $0.key < $1.key }) {
            if let run = runs.last, run.by == event, run.entries.upperBound == index - 1 {
                runs[runs.count - 1].entries = run.entries.lowerBound...index
            } else {
                runs.append((index...index, event))
            }
        }
        archived = runs
        let width = Int64(Tiles.width)
        minimumIndex = min((last / width + 1) * width, size)
    }
}

public enum ExportFormat: String, Sendable, CaseIterable {
    case jsonl, csv
    public var contentType: String { self == .jsonl ? "application/jsonl" : "text/csv; charset=utf-8; header=present" }
}

/// Filters of the audit log. All that are set must match.
public struct EventFilter: Sendable, Hashable {
    public var actor: String?
    public var tenant: String?
    public var target: String?
    public var action: String?
    public var eventClass: EventClass?
    public var outcome: EventOutcome?
    public var from: Instant?
    public var until: Instant?
    public init() {}

    /// One that an index is walked by, and those that are looked at on the way.
    public struct Walk: Sendable {
        public let lead: (column: String, value: String)?
        public let others: [(column: String, value: String)]
        /// Events that are looked at for one page where others must match too: what matches may be rare, and its page must not
        /// cost more for it. Whoever asks goes on from there.
        public static let window = 5000
    }

    /// The index that is likely to hold the fewest: what happened to one thing, by one person, in one tenant, of one kind.
    public var walk: Walk {
        var equal: [(column: String, value: String)] = []
        func add(_ column: String, _ value: String?) { if let value { equal.append((column, value)) } }
        add("target_id", target)
        add("actor_id", actor)
        add("tenant_id", tenant)
        add("action", action)
        // Nearly everything is applied; what is not is rare.
        let isCommon = outcome == .applied
        if !isCommon { add("outcome", outcome?.rawValue) }
        add("class", eventClass?.rawValue)
        if isCommon { add("outcome", outcome?.rawValue) }
        return Walk(lead: equal.first, others: Array(equal.dropFirst()))
    }

    public var json: JSON {
        JSON.members([
            ("actor", actor.map(JSON.string)), ("tenant", tenant.map(JSON.string)), ("target", target.map(JSON.string)),
            ("action", action.map(JSON.string)), ("class", eventClass.map { .string($0.rawValue) }),
            ("outcome", outcome.map { .string($0.rawValue) }), ("from", from.map { .string($0.rfc3339) }),
            ("until", until.map { .string($0.rfc3339) }),
        ])
    }
}
