import Foundation
import Kernel

/// One customer as an import tells it: whole, with its members.
public struct RegistryRow: Sendable, Hashable {
    public struct Member: Sendable, Hashable {
        /// Lower case.
        public var email: String
        public var name: String?
        /// The product's own id of the person, where it is known.
        public var externalID: String?
        /// `nil` leaves the role of somebody who is a member already.
        public var role: MembershipRole?
        public var lastLoginAt: Instant?

        public init(
            email: String, name: String? = nil, externalID: String? = nil, role: MembershipRole? = nil,
            lastLoginAt: Instant? = nil
        ) {
            self.email = email
            self.name = name
            self.externalID = externalID
            self.role = role
            self.lastLoginAt = lastLoginAt
        }

        var json: JSON {
            JSON.members([
                ("email", .string(email)), ("name", name.map(JSON.string)),
                ("external_id", externalID.map(JSON.string)),
                ("role", role.map { .string($0.rawValue) }),
                ("last_login_at", lastLoginAt.map { .string($0.rfc3339) }),
            ])
        }
    }

    public var externalID: String
    public var name: String
    public var slug: String
    public var metadata: [String: String]?
    public var ownerEmail: String?
    public var members: [Member]
    /// When it became a customer; used when it is created.
    public var createdAt: Instant?
    public var lastActivityAt: Instant?

    // Control fields: used when the tenant is created and never afterwards, so that the product's next import does not
    // undo what was decided here; a difference is drift. `nil`: not told.
    public var status: TenantStatus?
    public var plan: String?
    public var tier: String?
    public var region: String?

    /// How setting the tenant up ended at the product.
    public var onboarding: Onboarding?

    public enum Onboarding: String, Sendable, CaseIterable {
        case ready, failed
        /// The status of a tenant whose setting up ended so.
        var status: TenantStatus { self == .ready ? .ready : .failed }
    }

    public init(
        externalID: String, name: String, slug: String, metadata: [String: String]? = nil, ownerEmail: String? = nil,
        members: [Member] = [], createdAt: Instant? = nil, lastActivityAt: Instant? = nil,
        status: TenantStatus? = nil, plan: String? = nil, tier: String? = nil, region: String? = nil,
        onboarding: Onboarding? = nil
    ) {
        self.externalID = externalID
        self.name = name
        self.slug = slug
        self.metadata = metadata
        self.ownerEmail = ownerEmail
        self.members = members
        self.createdAt = createdAt
        self.lastActivityAt = lastActivityAt
        self.status = status
        self.plan = plan
        self.tier = tier
        self.region = region
        self.onboarding = onboarding
    }

    /// What a customer gets when nothing is told.
    public static let standardPlan = "free"
    public static let standardTier = "standard"
    public static let standardRegion = "default"
    /// States an import may create a tenant in; deletion happens here only.
    static let importable = TenantStatus.allCases.filter { $0 != .deleted }
    /// Members of one tenant in one import.
    static let mostMembers = 5_000

    /// Owner and members without repetition, the owner first.
    var people: [Member] {
        var seen: Set<String> = []
        var people: [Member] = []
        if let ownerEmail {
            var owner = members.first { $0.email == ownerEmail } ?? Member(email: ownerEmail)
            owner.role = .owner
            seen.insert(ownerEmail)
            people.append(owner)
        }
        for member in members where seen.insert(member.email).inserted { people.append(member) }
        return people
    }

    public var json: JSON {
        JSON.members([
            ("external_id", .string(externalID)), ("name", .string(name)), ("slug", .string(slug)),
            ("metadata", metadata.map { .object($0.mapValues(JSON.string)) }),
            ("owner_email", ownerEmail.map(JSON.string)),
            ("members", members.isEmpty ? nil : .array(members.map(\.json))),
            ("created_at", createdAt.map { .string($0.rfc3339) }),
            ("last_activity_at", lastActivityAt.map { .string($0.rfc3339) }),
            ("status", status.map { .string($0.rawValue) }), ("plan", plan.map(JSON.string)),
            ("tier", tier.map(JSON.string)), ("region", region.map(JSON.string)),
            ("onboarding", onboarding.map { .string($0.rawValue) }),
        ])
    }

    /// Reads what `json` writes; the reason says what is wrong with which member.
    public init(_ json: JSON) throws(FieldError.Reason) {
        guard let members = json.object else { throw .init("must be an object.") }
        var reader = RecordReader(members)
        self.init(&reader)
        if let problem = reader.problems.first { throw .init(problem.reason) }
    }

    /// The members a row may have.
    static let members: Set<String> = [
        "external_id", "name", "slug", "metadata", "owner_email", "members", "created_at", "last_activity_at",
        "status", "plan", "tier", "region", "onboarding",
    ]

    /// Reads a row and leaves everything that is wrong with it in the reader; it is of use only without problems.
    init(_ reader: inout RecordReader) {
        reader.refuseUnknown(besides: Self.members)
        externalID = reader.required("external_id", RegistryText.externalID)
        name = reader.required("name", RegistryText.name)
        slug = reader.required("slug", RegistryText.slug)
        metadata = reader.metadata("metadata")
        ownerEmail = reader.text("owner_email", RegistryText.email)
        createdAt = reader.time("created_at")
        lastActivityAt = reader.time("last_activity_at")
        status = reader.word("status", Self.importable)
        plan = reader.text("plan") { text throws(FieldError.Reason) in try RegistryText.word(text, "plan") }
        tier = reader.text("tier") { text throws(FieldError.Reason) in try RegistryText.word(text, "tier") }
        region = reader.text("region") { text throws(FieldError.Reason) in try RegistryText.word(text, "region") }
        onboarding = reader.word("onboarding", Onboarding.allCases)
        members = []
        guard let list = reader.list("members", atMost: Self.mostMembers) else { return }
        for (index, json) in list.enumerated() {
            do throws(FieldError.Reason) {
                members.append(try Member(json))
            } catch {
                reader.note("members/\(index)", error.text)
            }
        }
    }
}

extension RegistryRow.Member {
    init(_ json: JSON) throws(FieldError.Reason) {
        guard let members = json.object else { throw .init("must have objects as members.") }
        var reader = RecordReader(members)
        let known: Set = ["email", "name", "external_id", "role", "last_login_at"]
        if let unknown = members.keys.sorted().first(where: { !known.contains($0) }) {
            throw .init("has a member with an unknown \"\(unknown)\".")
        }
        email = reader.required("email", RegistryText.email)
        name = reader.text("name", RegistryText.name)
        externalID = reader.text("external_id", RegistryText.externalID)
        role = reader.word("role", MembershipRole.allCases)
        lastLoginAt = reader.time("last_login_at")
        if let problem = reader.problems.first { throw .init(problem.reason) }
    }
}

/// The rules of single values; plain ASCII, which is nearly everything, takes a short way to the same answer.
enum RegistryText {
    static func name(_ text: String) throws(FieldError.Reason) -> String {
        let bytes = text.utf8
        if (1...120).contains(bytes.count), bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), bytes.first != 0x20,
            bytes.last != 0x20
        {
            return text
        }
        if text.isEmpty { throw .init("has no name.") }
        do throws(FieldError.Reason) {
            return try TextRule.line(1...120).check(text)
        } catch {
            throw .init("has a name that \(error.text)")
        }
    }

    static func slug(_ text: String) throws(FieldError.Reason) -> String {
        let bytes = text.utf8
        func isWord(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        guard (1...63).contains(bytes.count), let first = bytes.first, let last = bytes.last, isWord(first),
            isWord(last),
            bytes.allSatisfy({ isWord($0) || $0 == 0x2D })
        else {
            throw .init(
                text.isEmpty
                    ? "has no slug." : "has a slug that is not 1 to 63 lower-case letters, digits and inner hyphens.")
        }
        return text
    }

    static func externalID(_ text: String) throws(FieldError.Reason) -> String {
        guard (1...128).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .init(
                text.isEmpty
                    ? "has no external_id."
                    : "has an external_id that is not 1 to 128 printable ASCII characters without spaces.")
        }
        return text
    }

    static func word(_ text: String, _ field: String) throws(FieldError.Reason) -> String {
        guard TenantWord.isValid(text) else {
            throw .init("has a \(field) that is not 1 to 40 lower-case letters, digits, hyphens or underscores.")
        }
        return text
    }

    static func email(_ text: String) throws(FieldError.Reason) -> String {
        let bytes = Array(text.utf8)
        let forbidden = Set("\u{20}@<>\"(),:;\\".utf8)
        if let at = bytes.firstIndex(of: UInt8(ascii: "@")), (1...64).contains(at), bytes.count <= 254,
            bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !bytes[..<at].contains(where: forbidden.contains),
            !bytes[(at + 1)...].contains(where: forbidden.contains),
            let dot = bytes.lastIndex(of: UInt8(ascii: ".")), dot > at + 1, dot < bytes.count - 1
        {
            return text.lowercased()
        }
        if text.isEmpty { throw .init("has no e-mail.") }
        do throws(FieldError.Reason) {
            return try String.parse(text: text, .email)
        } catch {
            throw .init("has \"\(text.prefix(80))\" as an e-mail, which \(error.text)")
        }
    }
}

/// The rows of one batch.
public struct RegistryRows: ParamValue {
    public static let most = 1_000
    public let rows: [RegistryRow]
    public init(_ rows: [RegistryRow]) { self.rows = rows }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> RegistryRows {
        guard let elements = json.array, (1...most).contains(elements.count) else {
            throw .init("must be a list of 1 to \(most) rows.")
        }
        var rows: [RegistryRow] = []
        rows.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            do throws(FieldError.Reason) {
                rows.append(try RegistryRow(element))
            } catch {
                throw .init("are wrong at number \(index + 1), which \(error.text)")
            }
        }
        return RegistryRows(rows)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> RegistryRows {
        guard let json = try? JSON(parsing: Array(text.utf8)) else { throw .init("must be a JSON list.") }
        return try parse(json, rules)
    }

    private static let example = RegistryRow(
        externalID: "nwc-004417", name: "Acme Robotics", slug: "acme-robotics",
        ownerEmail: "lena.f@acme-robotics.example", members: [.init(email: "dev.r@acme-robotics.example")],
        plan: "business", region: "us-east")

    public var json: JSON { .array(rows.map(\.json)) }
    public var text: String { json.canonicalText }
    public static func schema(_ rules: ParamRules) -> JSON {
        [
            "type": "array", "minItems": 1, "maxItems": .int(Int64(most)), "items": ["type": "object"],
            "examples": [RegistryRows([example]).json],
        ]
    }
    public static var control: ParamControl { .prose }
}
