import Kernel

/// A customer of the product: the unit that is suspended, restored, archived and billed.
public struct Tenant: Entity {
    public static let type = "tenant"
    public static let idPrefix = "ten"
    public static let table = "tenants"

    /// `ten_…`
    public let id: String
    public var version: Int64 = 0
    /// The product's own name for it; never changes.
    public let externalID: String
    /// Lower case letters, digits and inner hyphens; unique.
    public var slug: String
    public var name: String
    public var status: TenantStatus
    /// Where restore returns to; remembered by suspended and archived tenants only.
    public var resumesTo: TenantStatus?
    /// What `resumesTo` remembers in its turn: set only while a suspended tenant is archived.
    public var thenResumesTo: TenantStatus?
    public var plan: String
    public var tier: String
    public var region: String
    /// `usr_…`
    public var ownerID: String?
    /// The customer success manager, `stf_…`.
    public var csmID: String?
    /// What is wanted of fields whose truth is in the product, until it is confirmed.
    public var desired: [TenantField: DesiredChange] = [:]
    /// What everybody should know before they touch it; written by staff.
    public var note: String?
    /// The event that wrote the note.
    public var noteEventID: String?
    /// Words of the product's own, at most 50.
    public var metadata: [String: String]
    /// When it became a customer; for an imported tenant possibly long before Postern knew it.
    public let createdAt: Instant
    public var updatedAt: Instant
    /// When Postern recorded the present status; never an imported date.
    public var statusSince: Instant
    /// From when on an archived tenant may be deleted for good.
    public var deletionEligibleAt: Instant?
    /// When anybody of it was last seen; the creation until then.
    public var lastActivityAt: Instant

    public init(
        id: String, externalID: String, slug: String, name: String, status: TenantStatus, plan: String, tier: String,
        region: String, ownerID: String? = nil, metadata: [String: String] = [:], createdAt: Instant, now: Instant,
        lastActivityAt: Instant? = nil
    ) {
        self.id = id
        self.externalID = externalID
        self.slug = slug
        self.name = name
        self.status = status
        self.resumesTo = status == .suspended || status == .archived ? .active : nil
        self.plan = plan
        self.tier = tier
        self.region = region
        self.ownerID = ownerID
        self.metadata = metadata
        self.createdAt = createdAt
        self.updatedAt = now
        self.statusSince = now
        self.deletionEligibleAt = status == .archived ? now + TenantTransitions.keptArchived : nil
        self.lastActivityAt = lastActivityAt ?? createdAt
    }

    public init(_ row: Row) throws {
        id = try row.string("id")
        version = try row.int("version")
        externalID = try row.string("external_id")
        slug = try row.string("slug")
        name = try row.string("name")
        status = try Self.status(row, "status")
        resumesTo = try row.optionalString("resumes_to") == nil ? nil : Self.status(row, "resumes_to")
        thenResumesTo = try row.optionalString("then_resumes_to") == nil ? nil : Self.status(row, "then_resumes_to")
        plan = try row.string("plan")
        tier = try row.string("tier")
        region = try row.string("region")
        ownerID = try row.optionalString("owner_id")
        csmID = try row.optionalString("csm_id")
        metadata = try row.json("metadata").object?.compactMapValues(\.string) ?? [:]
        desired = try row.optionalString("desired") == nil ? [:] : DesiredChange.all(row.json("desired"))
        note = try row.optionalString("note")
        noteEventID = try row.optionalString("note_event_id")
        createdAt = try row.instant("created_at")
        updatedAt = try row.instant("updated_at")
        statusSince = try row.instant("status_since")
        deletionEligibleAt = try row.optionalInstant("deletion_eligible_at")
        lastActivityAt = try row.instant("last_activity_at")
    }

    private static func status(_ row: Row, _ column: String) throws -> TenantStatus {
        guard let status = TenantStatus(rawValue: try row.string(column)) else {
            throw StoreError.shape(column: column)
        }
        return status
    }

    /// The name as it is sorted and searched.
    public var nameKey: String { NameKey.fold(name) }
    public var tenantID: String? { id }
    /// A tombstone is nobody's data: it stays comparable when what was known of the customer is erased.
    public var subjects: [String] { status == .deleted ? [] : [id] + (ownerID.map { [$0] } ?? []) }
    public var isErased: Bool { status == .deleted }
    public var displayName: String { name }
    public var metadataJSON: JSON { .object(metadata.mapValues(JSON.string)) }

    /// Everything; what only some tenants have is left out where it is absent.
    public var document: JSON {
        var members: [String: JSON] = [
            "id": .string(id), "version": .int(version), "external_id": .string(externalID), "slug": .string(slug),
            "name": .string(name), "status": .string(status.rawValue), "resumes_to": JSON(resumesTo?.rawValue),
            "then_resumes_to": JSON(thenResumesTo?.rawValue), "plan": .string(plan), "tier": .string(tier),
            "region": .string(region), "owner_id": JSON(ownerID), "csm_id": JSON(csmID), "metadata": metadataJSON,
            "created_at": .string(createdAt.rfc3339), "updated_at": .string(updatedAt.rfc3339),
            "status_since": .string(statusSince.rfc3339), "deletion_eligible_at": JSON(deletionEligibleAt),
            "last_activity_at": .string(lastActivityAt.rfc3339),
        ]
        members["desired"] = desiredJSON
        members["note"] = note.map(JSON.string)
        members["note_event_id"] = noteEventID.map(JSON.string)
        return .object(members)
    }

    /// `{"plan": {"value": "business", "state": "pending", …}}`; `nil` when nothing is wanted.
    var desiredJSON: JSON? {
        desired.isEmpty
            ? nil : .object(Dictionary(uniqueKeysWithValues: desired.map { ($0.rawValue, $1.json) }))
    }

    /// The state after moving to `status`, with what it must remember and forget.
    func moved(to status: TenantStatus, at now: Instant) -> Tenant {
        var after = self
        after.status = status
        after.statusSince = now
        after.updatedAt = now
        switch status {
        case .suspended where self.status == .archived:
            // Returning into a suspension: what it came from is remembered again.
            after.resumesTo = thenResumesTo
            after.thenResumesTo = nil
        case .suspended:
            after.resumesTo = self.status
            after.thenResumesTo = nil
        case .archived:
            after.resumesTo = self.status
            after.thenResumesTo = self.status == .suspended ? resumesTo : nil
        default:
            after.resumesTo = nil
            after.thenResumesTo = nil
        }
        after.deletionEligibleAt = status == .archived ? now + TenantTransitions.keptArchived : nil
        return after
    }

    /// JSON Schema of `document`.
    public static let schema: JSON = {
        let text: JSON = ["type": "string"]
        let optional: JSON = ["type": ["string", "null"]]
        let time: JSON = ["type": "string", "format": "date-time"]
        let status: JSON = ["type": "string", "enum": .array(TenantStatus.allCases.map { .string($0.rawValue) })]
        return [
            "type": "object",
            "required": ["id", "version", "external_id", "slug", "name", "status", "plan", "tier", "region"],
            "properties": [
                "id": text, "version": ["type": "integer"], "external_id": text, "slug": text, "name": text,
                "status": status, "resumes_to": optional, "then_resumes_to": optional, "plan": text, "tier": text,
                "region": text, "owner_id": optional, "csm_id": optional,
                "metadata": ["type": "object", "additionalProperties": text], "created_at": time, "updated_at": time,
                "status_since": time, "deletion_eligible_at": ["type": ["string", "null"], "format": "date-time"],
                "last_activity_at": time, "note": text, "note_event_id": text,
                "desired": ["type": "object", "additionalProperties": DesiredChange.schema],
            ],
        ]
    }()
}
