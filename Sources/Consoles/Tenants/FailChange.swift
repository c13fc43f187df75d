import Kernel

/// The product could not carry out what was wanted. It stays as it is, and somebody decides: once more, or not at all.
public enum FailChange: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.fail_change", "Report failed change",
        summary: "Records that your product could not carry out a change of plan or region.",
        permission: "tenant.settle_change", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Field", help: "What could not be changed.") public var field: TenantField
        @Param("Reason", .length(1...500), help: "Why, for the people who decide what to do.")
        public var reason: String?
        public init() {}
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let field = call.input.field
        var wanted = try call.before.wanted(field)
        guard wanted.state == .pending else {
            throw .conflict("That the \(field.rawValue) could not be changed is known already.")
        }
        wanted.state = .failed
        wanted.since = call.now
        wanted.reason = call.input.reason
        var after = call.before
        after.desired[field] = wanted
        after.updatedAt = call.now
        return Plan(
            after, facts: ["field": .string(field.rawValue)],
            consequence:
                "The \(field.rawValue) of \(after.name) stays \(after.actual(field)); somebody asks again or gives the change up."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What your product reported stands. Ask for the change again, or confirm it.")
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        DesiredChanges.nothingWanted(target, state: .pending)
    }
}
