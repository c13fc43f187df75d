/// What kind of fact an event records.
public enum EventClass: String, Sendable, CaseIterable {
    case mutation, access, authn, authz, approval, effect, bulk, impersonation, agent, incident
    case complianceConsole = "compliance_console"
    case system
}

public enum EventOutcome: String, Sendable, CaseIterable {
    case applied, requested, denied, failed, blocked
}

/// How long an event must be kept at least (spec: audit-log §1). Only ever lengthened.
public enum RetentionClass: String, Sendable, CaseIterable {
    case operational1y = "operational_1y"
    case access3y = "access_3y"
    case soc2Iso7y = "soc2_iso_7y"
    case hipaa6y = "hipaa_6y"
    case financial7y = "financial_7y"
    case erasureProof7y = "erasure_proof_7y"
    case euAIA10y = "eu_aia_10y"
    case legalHold = "legal_hold"

    public static func standard(for eventClass: EventClass) -> RetentionClass {
        switch eventClass {
        case .access: .access3y
        case .authn: .operational1y
        default: .soc2Iso7y
        }
    }
}

/// An event, version 1, before it is sealed: what the caller knows. `EventBuilder` turns it into the exact leaf bytes.
public struct EventDraft: Sendable {
    /// A value that is committed to in the leaf and stored beside it, so that it can be erased.
    public struct SealedValue: Sendable {
        public let value: JSON
        /// Whose data it is: `usr_…`, `stf_…`, `ten_…`.
        public let subjects: [String]
        /// 32 bytes drawn ahead, when something else must carry the same commitment; `nil` draws them when sealing.
        public let salt: [UInt8]?
        public init(_ value: JSON, subjects: [String], salt: [UInt8]? = nil) {
            self.value = value
            self.subjects = subjects
            self.salt = salt
        }
    }

    public struct ChangeRecord: Sendable {
        public let type: String
        public let id: String
        public let before: SealedValue?
        public let after: SealedValue?
        public init(type: String, id: String, before: SealedValue?, after: SealedValue?) {
            self.type = type
            self.id = id
            self.before = before
            self.after = after
        }
        public init(_ change: Change) {
            self.init(change, before: change.before?.document, after: change.after.document)
        }
        /// - Parameters:
        ///   - before, after: the documents of the change, where they are made already.
        init(_ change: Change, before: JSON?, after: JSON?) {
            self.init(
                type: change.type, id: change.id,
                before: change.before.flatMap { entity in before.map { SealedValue($0, subjects: entity.subjects) } },
                after: after.map { SealedValue($0, subjects: change.after.subjects) })
        }
    }

    public var id: String
    public var at: Instant
    public var eventClass: EventClass
    public var action: String
    public var outcome: EventOutcome
    public var actor: Actor
    public var authentication: Authentication?
    public var client: Client?
    public var actingAs: String?
    public var tenant: String?
    public var target: (type: String, id: String)?
    public var reasonCode: String?
    public var policyVersion: Int64?
    public var requestID: String?
    public var operationID: String?
    public var approvalID: String?
    /// An earlier event this one belongs to.
    public var linked: String?
    public var retention: RetentionClass
    /// The break-glass within which it happened; stands among the facts, whatever else they are.
    public var emergency: String?
    /// The token in whose name a part of Postern did it; stands there too.
    public var token: String?
    public var facts: [String: JSON] = [:]
    public var changes: [ChangeRecord] = []
    /// `justification`, `actor_ip`, `user_agent`, `ticket`, `details`.
    public var sealed: [String: SealedValue] = [:]
    /// Governed rows written in this transaction that are recorded by digest in the details instead of as changes.
    public var digestEntities: [(type: String, id: String)] = []

    public init(
        id: String? = nil, at: Instant, _ eventClass: EventClass, _ action: String, _ outcome: EventOutcome = .applied,
        actor: Actor
    ) {
        self.id = id ?? Identifier.mint("evt", at: at)
        self.at = at
        self.eventClass = eventClass
        self.action = action
        self.outcome = outcome
        self.actor = actor
        self.retention = .standard(for: eventClass)
    }

    /// An event caused by a request: actor, session, client, IP and user agent are taken from the caller.
    public init(
        id: String? = nil, at: Instant, _ eventClass: EventClass, _ action: String, _ outcome: EventOutcome = .applied,
        by caller: Caller
    ) {
        self.init(id: id, at: at, eventClass, action, outcome, actor: caller.actor)
        authentication = caller.authentication
        client = caller.client
        requestID = caller.requestID
        emergency = caller.emergency.flatMap { $0.isOpen ? $0.id : nil }
        token = caller.mandate.flatMap { $0.token == caller.actor.id ? nil : $0.token }
        // Both identities: the account did it, and its owner answers for it.
        if caller.isAccount { actingAs = caller.person }
        if let ip = caller.ip { sealed["actor_ip"] = SealedValue(.string(ip), subjects: [caller.person]) }
        if let agent = caller.userAgent {
            sealed["user_agent"] = SealedValue(.string(agent), subjects: [caller.person])
        }
    }
}

extension EventDraft {
    /// The fact that names the break-glass an event happened within.
    public static let emergencyFact = "breakglass"
    /// The fact that names the token in whose name a part of Postern acted.
    static let tokenFact = "token"
    /// Says that what is sealed about the target goes with it; what is left of it is nobody's data.
    static let erasureFact = "erases_target"

    /// Names governed rows by the digest of what they are written as, instead of by their whole documents.
    /// - Returns: what the sealed details MUST hold under `rows`.
    public mutating func nameByDigest(_ rows: [any Entity]) -> JSON {
        facts["rows"] = .int(Int64(rows.count))
        digestEntities = rows.map { (type(of: $0).type, $0.id) }
        return .array(
            rows.map { row in
                [
                    "type": .string(type(of: row).type), "id": .string(row.id), "version": .int(row.version),
                    "sha256": .string(sha256(row.document.canonical).hex),
                ]
            })
    }
}

/// A sealed member as stored: erasing it deletes salt and value, and the commitment in the leaf stays.
public struct SealedMember: Sendable, Hashable {
    /// `justification`, `details`, … or `changes.0.before`.
    public let name: String
    /// 32 random bytes.
    public let salt: [UInt8]
    public let value: JSON
    public let subjects: [String]

    /// C = SHA-256(salt ‖ JCS(value)).
    public var commitment: [UInt8] { Self.commitment(salt: salt, value: value) }
    public static func commitment(salt: [UInt8], value: JSON) -> [UInt8] {
        commitment(salt: salt, canonical: value.canonical)
    }

    static func commitment(salt: [UInt8], canonical: [UInt8]) -> [UInt8] {
        var digest = RunningDigest()
        digest.update(salt)
        digest.update(canonical)
        return digest.bytes
    }
}

/// An event ready to be inserted: the exact leaf bytes, written once, with the projections that index them.
public struct SealedEvent: Sendable {
    public let draft: EventDraft
    /// RFC 8785 bytes of the leaf.
    public let leaf: [UInt8]
    public let members: [SealedMember]

    public var id: String { draft.id }

    /// The canonical bytes of the members' values, as they were committed to.
    private let encoded: [[UInt8]]

    /// `{member: {"salt": base64, "value": …}}` in canonical form, the one `sealed` row of the event.
    public var sealedText: String {
        var out: [UInt8] = []
        out.reserveCapacity(encoded.reduce(2) { $0 + $1.count + 100 })
        for index in members.indices.sorted(by: { JSON.precedes(members[$0].name, members[$1].name) }) {
            out.append(UInt8(ascii: out.isEmpty ? "{" : ","))
            JSON.appendString(members[index].name, to: &out)
            out.append(contentsOf: ":{\"salt\":\"".utf8)
            out.append(contentsOf: Base64.encode(members[index].salt).utf8)
            out.append(contentsOf: "\",\"value\":".utf8)
            out.append(contentsOf: encoded[index])
            out.append(UInt8(ascii: "}"))
        }
        out.append(contentsOf: (members.isEmpty ? "{}" : "}").utf8)
        return String(decoding: out, as: UTF8.self)
    }

    /// Every governed row the event names.
    public var entities: [(type: String, id: String)] {
        draft.changes.map { ($0.type, $0.id) } + draft.digestEntities
    }

    /// Seals a draft: draws the salts, commits to every sealed value and encodes the leaf.
    /// - Parameter salt: 32 fresh random bytes per call; tests pass fixed ones to reproduce the golden vectors.
    public init(_ draft: EventDraft, salt: (() -> [UInt8])? = nil) {
        let most = 2 * draft.changes.count + draft.sealed.count
        var members: [SealedMember] = []
        var encoded: [[UInt8]] = []
        members.reserveCapacity(most)
        encoded.reserveCapacity(most)
        // Drawn for all members at once.
        let random = salt == nil ? SecureRandom.bytes(32 * most) : []
        func commit(_ name: String, _ sealed: EventDraft.SealedValue) -> JSON {
            let place = 32 * members.count
            let member = SealedMember(
                name: name, salt: sealed.salt ?? salt?() ?? Array(random[place..<place + 32]), value: sealed.value,
                subjects: sealed.subjects)
            let bytes = sealed.value.canonical
            members.append(member)
            encoded.append(bytes)
            return .string(Base64.encode(SealedMember.commitment(salt: member.salt, canonical: bytes)))
        }

        let changes: [JSON] = draft.changes.enumerated().map { index, change in
            JSON.members([
                ("type", .string(change.type)), ("id", .string(change.id)),
                ("before", change.before.map { commit("changes.\(index).before", $0) }),
                ("after", change.after.map { commit("changes.\(index).after", $0) }),
            ])
        }
        var sealed: [String: JSON] = [:]
        for (name, value) in draft.sealed.sorted(by: { $0.key < $1.key }) { sealed[name] = commit(name, value) }

        var facts = draft.facts
        if let emergency = draft.emergency { facts[EventDraft.emergencyFact] = .string(emergency) }
        if let token = draft.token { facts[EventDraft.tokenFact] = .string(token) }
        let leaf = JSON.members([
            ("v", 1),
            ("id", .string(draft.id)),
            ("at", .string(draft.at.rfc3339)),
            ("class", .string(draft.eventClass.rawValue)),
            ("action", .string(draft.action)),
            ("outcome", .string(draft.outcome.rawValue)),
            ("actor", draft.actor.json),
            (
                "auth",
                draft.authentication.map {
                    [
                        "session": .string($0.session), "factors": .array($0.factors.map { .string($0.rawValue) }),
                        "mfa_at": .string($0.mfaAt.rfc3339),
                    ]
                }
            ),
            ("client", draft.client.map { .string($0.rawValue) }),
            ("acting_as", draft.actingAs.map(JSON.string)),
            ("tenant", draft.tenant.map(JSON.string)),
            ("target", draft.target.map { ["type": .string($0.type), "id": .string($0.id)] }),
            ("reason_code", draft.reasonCode.map(JSON.string)),
            ("policy_version", draft.policyVersion.map(JSON.int)),
            ("request_id", draft.requestID.map(JSON.string)),
            ("operation_id", draft.operationID.map(JSON.string)),
            ("approval_id", draft.approvalID.map(JSON.string)),
            ("linked", draft.linked.map(JSON.string)),
            ("retention_class", .string(draft.retention.rawValue)),
            ("facts", facts.isEmpty ? nil : .object(facts)),
            ("changes", changes.isEmpty ? nil : .array(changes)),
            ("sealed", sealed.isEmpty ? nil : .object(sealed)),
        ])
        self.draft = draft
        self.leaf = leaf.canonical
        self.members = members
        self.encoded = encoded
    }
}
