import Kernel

/// The first person. Works until somebody has enrolled; the one-time link it reveals is valid for an hour.
public enum BootstrapStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.bootstrap", "Create the first super admin",
        summary: "Creates the first person, who may do everything and can invite the others, or renews their link.",
        permission: "staff.invite", risk: .critical, justification: OperationSpec.Justification.none, systemOnly: true)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("E-mail", .email, help: "What they sign in with.") public var email: String
        @Param("Name", .length(1...120), help: "As colleagues know them; the part before the @ when left out.")
        public var name: String?
        @Param("Instead of", .email, help: "The address that was mistyped, while nobody has enrolled with it.")
        public var insteadOf: String?
        public init() {}
    }

    public struct Facts: Sendable {
        /// The first two people there are.
        let people: [Staff]
        let isSeeded: Bool
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.superAdmins] }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let rows = try reader.query([
            Staff.selectAll(after: "", limit: 2), Role.select(["super_admin"], lock: false, reader.dialect),
        ])
        return Facts(people: try rows[0].map(Staff.init), isSeeded: !rows[1].isEmpty)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        guard let first = call.facts.people.first else { return try create(call) }
        guard call.facts.people.count == 1, first.status == .invited else {
            throw .conflict(
                "Somebody has enrolled already, so the first person can't be created again. Ask a super admin to invite you."
            )
        }
        guard [call.input.email, call.input.insteadOf].contains(first.email) else {
            throw .conflict(
                """
                \(first.email) was created first and has not enrolled yet. Renew that link with \
                `postern staff bootstrap \(first.email)`, or correct the address with --instead-of \(first.email).
                """)
        }
        return renew(first, call)
    }

    private static func create(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        guard call.facts.isSeeded else {
            throw .conflict("The roles are not there yet. Run `postern migrate` first.")
        }
        let email = call.input.email
        let staff = Staff(
            id: call.fresh.id("stf"), email: email, name: call.input.name ?? name(of: email), status: .invited,
            invitedBy: nil, createdAt: call.now, updatedAt: call.now)
        let grant = Grant(
            id: call.fresh.id("grt"), staffID: staff.id, role: "super_admin", grantedBy: call.person,
            grantedAt: call.now)
        let link = Enrolment.Link(call.fresh, staff: staff.id, at: call.now, lasting: .hours(1))
        return Plan(
            staff, also: [.create(grant)], alsoWrite: link.statements, reveal: link.reveal,
            consequence: "\(staff.name) can enrol within an hour and is then super admin.")
    }

    /// Nobody has ever used the account, so an address that was mistyped is corrected in it.
    private static func renew(_ first: Staff, _ call: Call<Self>) -> Plan<Staff> {
        var after = first
        after.email = call.input.email
        if let name = call.input.name {
            after.name = name
        } else if first.email != after.email, first.name == name(of: first.email) {
            after.name = name(of: after.email)
        }
        after.updatedAt = call.now
        let link = Enrolment.Link(call.fresh, staff: first.id, at: call.now, lasting: .hours(1))
        return Plan(
            nil, also: [.update(first, to: after)], alsoWrite: link.statements, facts: ["renewed": true],
            reveal: link.reveal,
            consequence: "\(after.name) can enrol with the new link within an hour; no earlier link works.")
    }

    private static func name(of email: String) -> String { String(email.prefix { $0 != "@" }) }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("The first person can't be taken back.") }
}

extension Guard {
    /// Held by everything that adds or removes super admins, so that "the first" and "the last" are decided one at a time.
    static let superAdmins = Guard("staff:super_admins")
}
