import HTML
import Kernel

/// A governed row that is not what its last event says: somebody wrote around the log.
public struct Discrepancy: Entity, Hashable {
    public static let type = "discrepancy"
    public static let idPrefix = "dsc"
    public static let table = "discrepancies"

    public enum Kind: String, Sendable, CaseIterable {
        case edited
        case deleted
        /// No event names the row.
        case unlogged
        /// The pointer to its last event points elsewhere.
        case pointer

        public init?(_ finding: Finding.Kind) {
            switch finding {
            case .governedRowEdited: self = .edited
            case .governedRowDeleted: self = .deleted
            case .governedRowUnlogged: self = .unlogged
            case .headEdited: self = .pointer
            default: return nil
            }
        }
    }

    public enum State: String, Sendable, CaseIterable {
        case open
        /// The row stays as it was found, and the log says so now.
        case adopted
        /// The row was put back as the log knew it.
        case restored
        /// Row and log agree again without Postern's doing.
        case vanished

        var urgency: Int64 { self == .open ? 1 : 0 }
    }

    public var id: String
    public var version: Int64
    /// `tenant`
    public var rowType: String
    public var rowID: String
    public var kind: Kind
    public var state: State
    public var foundAt: Instant
    public var settledAt: Instant?

    /// A tenant's own row belongs to that tenant; of others only their ids are known here.
    public var tenantID: String? { rowType == "tenant" ? rowID : nil }
    /// Ids only.
    public var subjects: [String] { [] }
    /// Rows about customers; of every other kind some decide who may do what, and whoever wrote one by hand would keep it alone.
    /// Of a tenant its manager does: `RowComparison.changesManager`.
    private static let powerless: Set<String> = [
        Tenant.type, User.type, Membership.type, Segment.type, Drift.type, Delivery.type,
    ]
    var mayGrantPower: Bool { !Self.powerless.contains(rowType) }
    public var displayName: String { "\(DocumentDiff.label(rowType)) \(rowID)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "row_type": .string(rowType), "row_id": .string(rowID),
            "kind": .string(kind.rawValue), "state": .string(state.rawValue), "found_at": JSON(foundAt),
            "settled_at": JSON(settledAt),
        ]
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "row_type", "row_id", "kind", "state", "found_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "row_type": ["type": "string"],
            "row_id": ["type": "string"],
            "kind": ["type": "string", "enum": .array(Kind.allCases.map { .string($0.rawValue) })],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "found_at": ["type": "string", "format": "date-time"],
            "settled_at": ["type": ["string", "null"], "format": "date-time"],
            "logged": ["type": ["object", "null"]], "stored": ["type": ["object", "null"]],
        ],
    ]

    func settled(_ state: State, at now: Instant) -> Discrepancy {
        var after = self
        after.state = state
        after.settledAt = now
        return after
    }
}
