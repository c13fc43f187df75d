import Kernel

/// One person as the product tells them.
public struct RegistryUser: Sendable, Hashable {
    public var externalID: String
    /// Lower case; needed for somebody new.
    public var email: String?
    public var name: String?
    public var lastLoginAt: Instant?

    static let members: Set<String> = ["external_id", "email", "name", "last_login_at"]

    init(_ reader: inout RecordReader) {
        reader.refuseUnknown(besides: Self.members)
        externalID = reader.required("external_id", RegistryText.externalID)
        email = reader.text("email", RegistryText.email)
        name = reader.text("name", RegistryText.name)
        lastLoginAt = reader.time("last_login_at")
    }

    var json: JSON {
        JSON.members([
            ("external_id", .string(externalID)), ("email", email.map(JSON.string)), ("name", name.map(JSON.string)),
            ("last_login_at", lastLoginAt.map { .string($0.rfc3339) }),
        ])
    }
}

/// Somebody's place in a tenant as the product tells it; both by the product's own ids.
public struct RegistryMember: Sendable, Hashable {
    public var tenant: String
    public var user: String
    /// `nil` leaves the role of somebody who is a member already.
    public var role: MembershipRole?
    public var status: MembershipStatus

    static let members: Set<String> = ["tenant", "user", "role", "status"]

    init(_ reader: inout RecordReader) {
        reader.refuseUnknown(besides: Self.members)
        tenant = reader.required("tenant", RegistryText.externalID)
        user = reader.required("user", RegistryText.externalID)
        role = reader.word("role", MembershipRole.allCases)
        if role == .owner {
            reader.note("role", "has the role owner; who owns a customer is told with the customer, as owner_email.")
        }
        status = reader.word("status", MembershipStatus.allCases) ?? .joined
    }

    var json: JSON {
        JSON.members([
            ("tenant", .string(tenant)), ("user", .string(user)), ("role", role.map { .string($0.rawValue) }),
            ("status", .string(status.rawValue)),
        ])
    }
}

/// Anything the product can tell.
public enum RegistryRecord: Sendable, Hashable {
    case tenant(RegistryRow)
    case user(RegistryUser)
    case member(RegistryMember)

    static let kinds = ["tenant", "user", "member"]

    /// `{"type": "tenant", …}`
    var json: JSON {
        let (kind, json): (String, JSON) =
            switch self {
            case .tenant(let row): ("tenant", row.json)
            case .user(let user): ("user", user.json)
            case .member(let member): ("member", member.json)
            }
        guard case .object(var members) = json else { return json }
        members["type"] = .string(kind)
        return .object(members)
    }

    /// What it is about, for an answer: the product's own id, a member's as `tenant/user`.
    var externalID: String {
        switch self {
        case .tenant(let row): row.externalID
        case .user(let user): user.externalID
        case .member(let member): "\(member.tenant)/\(member.user)"
        }
    }

    /// A record, or everything that is wrong with it.
    enum Read: Sendable {
        case record(RegistryRecord)
        case problems([RecordReader.Problem])
    }

    static func read(_ members: [String: JSON]) -> Read {
        var members = members
        let kind = members.removeValue(forKey: "type")?.string
        var reader = RecordReader(members)
        let record: RegistryRecord
        switch kind {
        case "tenant": record = .tenant(RegistryRow(&reader))
        case "user": record = .user(RegistryUser(&reader))
        case "member": record = .member(RegistryMember(&reader))
        default:
            reader.note("type", "must have one of \(kinds.joined(separator: ", ")) as type.")
            return .problems(reader.problems)
        }
        return reader.problems.isEmpty ? .record(record) : .problems(reader.problems)
    }
}

/// The records of one batch, as an operation takes them.
public struct RegistryRecords: ParamValue {
    public static let most = RegistryRows.most
    public let records: [RegistryRecord]
    public init(_ records: [RegistryRecord]) { self.records = records }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> RegistryRecords {
        guard let elements = json.array, (1...most).contains(elements.count) else {
            throw .init("must be a list of 1 to \(most) records.")
        }
        var records: [RegistryRecord] = []
        records.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            switch RegistryRecord.read(element.object ?? [:]) {
            case .record(let record): records.append(record)
            case .problems(let problems):
                throw .init("are wrong at number \(index + 1), which \(problems.first?.reason ?? "is none.")")
            }
        }
        return RegistryRecords(records)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> RegistryRecords {
        guard let json = try? JSON(parsing: Array(text.utf8)) else { throw .init("must be a JSON list.") }
        return try parse(json, rules)
    }

    public var json: JSON { .array(records.map(\.json)) }
    public var text: String { json.canonicalText }
    public static func schema(_ rules: ParamRules) -> JSON {
        [
            "type": "array", "minItems": 1, "maxItems": .int(Int64(most)), "items": ["type": "object"],
            "examples": [
                [
                    [
                        "type": "tenant", "external_id": "nwc-005120", "name": "Bergen Optics",
                        "slug": "bergen-optics", "plan": "team",
                    ],
                    ["type": "user", "external_id": "u-5120", "email": "mina@bergen-optics.example"],
                    ["type": "member", "tenant": "nwc-005120", "user": "u-5120", "role": "admin"],
                ]
            ],
        ]
    }
    public static var control: ParamControl { .prose }
}

/// One record of a kind as a field of an operation, each with an example of its own.
public protocol RegistryField: ParamValue {
    associatedtype Record: Sendable, Equatable
    var record: Record { get }
    init(record: Record)
    static func read(_ reader: inout RecordReader) -> Record
    static func json(_ record: Record) -> JSON
    static var example: JSON { get }
}

extension RegistryField {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Self {
        guard let members = json.object else { throw .init("must be an object.") }
        var reader = RecordReader(members)
        let record = read(&reader)
        if let problem = reader.problems.first { throw .init(problem.reason) }
        return Self(record: record)
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Self {
        guard let json = try? JSON(parsing: Array(text.utf8)) else { throw .init("must be a JSON object.") }
        return try parse(json, rules)
    }
    public var json: JSON { Self.json(record) }
    public var text: String { json.canonicalText }
    public static func schema(_ rules: ParamRules) -> JSON { ["type": "object", "examples": [example]] }
    public static var control: ParamControl { .prose }
}

public struct TenantRecord: RegistryField {
    public let record: RegistryRow
    public init(record: RegistryRow) { self.record = record }
    /// Each change is recorded with its before and after, and an entry of the log has a bound.
    public static let mostMembers = 100

    public static func read(_ reader: inout RecordReader) -> RegistryRow {
        let row = RegistryRow(&reader)
        if row.members.count > mostMembers {
            reader.note(
                "members",
                "has \(row.members.count) members, and by itself may have \(mostMembers); send it as a batch, or the others as memberships."
            )
        }
        return row
    }
    public static func json(_ record: RegistryRow) -> JSON { record.json }
    public static var example: JSON {
        [
            "external_id": "nwc-005119", "name": "Tromso Fisheries", "slug": "tromso-fisheries",
            "owner_email": "kari@tromso-fisheries.example", "plan": "team", "region": "eu-west",
            "metadata": ["segment": "food"],
        ]
    }
}

public struct UserRecord: RegistryField {
    public let record: RegistryUser
    public init(record: RegistryUser) { self.record = record }
    public static func read(_ reader: inout RecordReader) -> RegistryUser { RegistryUser(&reader) }
    public static func json(_ record: RegistryUser) -> JSON { record.json }
    public static var example: JSON {
        ["external_id": "u-5119", "email": "kari.nordmann@tromso-fisheries.example", "name": "Kari Nordmann"]
    }
}

public struct MemberRecord: RegistryField {
    public let record: RegistryMember
    public init(record: RegistryMember) { self.record = record }
    public static func read(_ reader: inout RecordReader) -> RegistryMember { RegistryMember(&reader) }
    public static func json(_ record: RegistryMember) -> JSON { record.json }
    public static var example: JSON { ["tenant": "ext-active", "user": "u-law", "role": "admin"] }
}

/// Who is no member any more.
public struct RemovedMemberRecord: RegistryField {
    public let record: RegistryMember
    public init(record: RegistryMember) { self.record = record }
    public static func read(_ reader: inout RecordReader) -> RegistryMember {
        var member = RegistryMember(&reader)
        member.status = .revoked
        return member
    }
    public static func json(_ record: RegistryMember) -> JSON {
        ["tenant": .string(record.tenant), "user": .string(record.user)]
    }
    public static var example: JSON { ["tenant": "ext-active", "user": "u-law-gone"] }
}
