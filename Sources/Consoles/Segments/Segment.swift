import Kernel

/// A view of the list of tenants that somebody keeps under a name: filters and order, nothing else.
public struct Segment: Entity {
    public static let type = "segment"
    public static let idPrefix = "seg"
    public static let table = "segments"

    public enum Status: String, Sendable, CaseIterable {
        case kept, deleted
    }

    /// `seg_…`
    public let id: String
    public var version: Int64 = 0
    /// Whose it is, `stf_…`.
    public let ownerID: String
    public var name: String
    public var view: TenantView
    /// Everybody who sees tenants sees it.
    public var isShared: Bool
    public var status: Status
    public let createdAt: Instant
    public var updatedAt: Instant

    public init(id: String, ownerID: String, name: String, view: TenantView, now: Instant) {
        self.id = id
        self.ownerID = ownerID
        self.name = name
        self.view = view
        isShared = false
        status = .kept
        createdAt = now
        updatedAt = now
    }

    public init(_ row: Row) throws {
        id = try row.string("id")
        version = try row.int("version")
        ownerID = try row.string("owner_id")
        name = try row.string("name")
        do throws(FieldError.Reason) {
            view = try TenantView.parse(text: try Self.text(row, "filter"), .none)
        } catch {
            throw StoreError.shape(column: "filter")
        }
        isShared = try row.bool("is_shared")
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        self.status = status
        createdAt = try row.instant("created_at")
        updatedAt = try row.instant("updated_at")
    }

    private static func text(_ row: Row, _ column: String) throws(FieldError.Reason) -> String {
        guard case .text(let text) = row[column] else { throw .init("is no text.") }
        return text
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [ownerID] }
    public var displayName: String { name }
    /// The list as the view shows it.
    public var address: String { "/tenants?\(view.text)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "owner_id": .string(ownerID), "name": .string(name),
            "filter": .string(view.text), "shared": .bool(isShared), "status": .string(status.rawValue),
            "created_at": .string(createdAt.rfc3339), "updated_at": .string(updatedAt.rfc3339),
        ]
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "owner_id", "name", "filter", "shared", "status"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "owner_id": ["type": "string"],
            "name": ["type": "string"], "filter": ["type": "string"], "shared": ["type": "boolean"],
            "status": ["type": "string", "enum": .array(Status.allCases.map { .string($0.rawValue) })],
            "created_at": ["type": "string", "format": "date-time"],
            "updated_at": ["type": "string", "format": "date-time"],
        ],
    ]

    func isSeen(by caller: Caller) -> Bool { status == .kept && (isShared || ownerID == caller.person) }
}

/// Whether somebody may change a view: its owner, or anybody with the permission once the owner has left.
public struct SegmentOwner: Sendable {
    let name: String?
    let isActive: Bool

    static func gather(_ segment: Segment?, from reader: any Reader) throws -> SegmentOwner {
        guard let segment, let staff = try Staff.load(segment.ownerID, from: reader) else {
            return SegmentOwner(name: nil, isActive: false)
        }
        return SegmentOwner(name: staff.name, isActive: staff.status == .active)
    }

    func check(_ segment: Segment, _ person: String) throws(Refusal) {
        guard segment.status == .kept else { throw .conflict("This view was deleted.") }
        guard segment.ownerID == person || !isActive else {
            throw .conflict("This view is \(name ?? "a colleague")’s; save one of your own instead.")
        }
    }
}
