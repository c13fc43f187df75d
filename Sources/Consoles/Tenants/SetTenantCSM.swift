import HTML
import Kernel

/// Says which colleague looks after a tenant. Rules that ask for the tenant's own manager ask for them from now on.
public enum SetTenantCSM: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.set_csm", "Set CSM",
        summary: "Names the customer success manager of a tenant, whom rules may ask for, or nobody.",
        permission: "tenant.set_csm", risk: .high)

    public struct Input: OperationInput {
        @Param(
            "Customer success manager", .length(1...254),
            help: "A colleague whose role looks after tenants: an id or an e-mail address. Leave empty for nobody.")
        public var csm: String?
        public init() {}
    }

    public struct Facts: Sendable {
        let named: Staff?
        /// Whether one of their roles looks after tenants.
        let isManager: Bool
    }

    /// More are no list that anybody looks through: the field is typed into then.
    private static let most = 500

    static let colleagues: @Sendable (any Reader) throws -> [Field.Choice] = { reader in
        let rows = try reader.query(TenantQueries.managers(at: reader.now, limit: SetTenantCSM.most + 1))
        guard rows.count <= SetTenantCSM.most else { return [] }
        return try rows.map { Field.Choice(try $0.string("id"), try $0.string("name")) }
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> Facts {
        guard let name = input.csm else { return Facts(named: nil, isManager: false) }
        let statement =
            Identifier.isValid(name, prefix: Staff.idPrefix) || !name.contains("@")
            ? Staff.select([name], lock: false, reader.dialect) : Staff.withEmail(name.lowercased())
        guard let named = try reader.first(statement).map({ try Staff($0) }) else {
            return Facts(named: nil, isManager: false)
        }
        // What a break-glass locks comes back with its review; until then they sign nothing anyway.
        let standings = try StaffDirectory(ignoresLocks: true).standings(of: [named.id]).read(from: reader)
        let isManager = standings[named.id]?.permissions.contains(Demand.managerPermission) == true
        return Facts(named: named, isManager: isManager)
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let before = call.before
        guard before.status != .deleted else { throw .conflict("A deleted tenant is looked after by nobody.") }
        let named = call.facts.named
        if let name = call.input.csm {
            guard let named else { throw .field("csm", "\(name.prefix(60)) is nobody who works here.") }
            guard named.status == .active else { throw .field("csm", "\(named.name) is not active.") }
            guard call.facts.isManager else {
                throw .field(
                    "csm", "\(named.name) holds no role that looks after tenants (\(Demand.managerPermission)).")
            }
        }
        guard named?.id != before.csmID else {
            throw .conflict(named.map { "\($0.name) looks after it already." } ?? "Nobody looks after it already.")
        }
        var after = before
        after.csmID = named?.id
        after.updatedAt = call.now
        return Plan(
            after, facts: ["has_csm": .bool(named != nil)],
            details: (value: .object([:]), subjects: before.subjects + (named.map { [$0.id] } ?? [])),
            consequence: named.map { "\($0.name) looks after \(after.name) from now on." }
                ?? "Nobody looks after \(after.name) from now on.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .run(spec.name, input: JSON.members([("csm", (done.before?["csm_id"]?.string).map(JSON.string))]))
    }

    public static func prefill(_ target: Tenant) -> [String: JSON] { target.csmID.map { ["csm": .string($0)] } ?? [:] }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        target.status == .deleted ? Unavailable("deletion is final") : nil
    }
}
