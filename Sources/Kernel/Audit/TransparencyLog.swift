/// The published side of the log: checkpoints, tiles, receipts (spec: audit-log §4).
public protocol TransparencyLog: Sendable {
    /// `name+hexid+base64(0x01‖key)`
    var verifierKey: String { get }
    /// The newest published checkpoint, a C2SP signed note; `nil` before the first.
    func checkpoint() async throws(OperationError) -> String?
    /// Hashes of a tile, full (256) or partial (`width` 1…255); `nil` when the log is not that large.
    func tile(level: Int, index: Int64, width: Int?) async throws(OperationError) -> [UInt8]?
    /// Leaves of an entries tile, each with a big-endian uint16 length before it.
    func entries(index: Int64, width: Int?) async throws(OperationError) -> [UInt8]?
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

    public var json: JSON {
        JSON.members([
            ("actor", actor.map(JSON.string)), ("tenant", tenant.map(JSON.string)), ("target", target.map(JSON.string)),
            ("action", action.map(JSON.string)), ("class", eventClass.map { .string($0.rawValue) }),
            ("outcome", outcome.map { .string($0.rawValue) }), ("from", from.map { .string($0.rfc3339) }),
            ("until", until.map { .string($0.rfc3339) }),
        ])
    }
}
