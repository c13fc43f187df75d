import Kernel

/// Registers a customer, or changes what the product says of it.
public enum PutTenant: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "registry.put_tenant", "Tell of a customer",
        summary: "Creates or updates one customer with its members, as your product knows it.",
        permission: "registry.import", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Tenant", help: "The customer, by the product's own id.") public var tenant: TenantRecord
        @Param("Version", help: "The version the product saw; another one is refused.") public var version: Int64?
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] {
        [.registry("tenant", input.tenant.record.externalID)]
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> RegistryFacts {
        let facts = try RegistryFacts.gather([.tenant(input.tenant.record)], from: reader)
        try VersionCheck.check(input.version, facts.tenants[input.tenant.record.externalID]?.version)
        return facts
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try call.recordPlan(.tenant(call.input.tenant.record), field: "tenant", call.facts)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What the product says comes again with its next word. Change it there.")
    }
}

/// Registers a user, or changes what the product says of them.
public enum PutUser: Operation {
    public typealias Target = User
    public static let spec = OperationSpec(
        "registry.put_user", "Tell of a user", summary: "Creates or updates one user, as your product knows them.",
        permission: "registry.import", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("User", help: "The user, by the product's own id.") public var user: UserRecord
        @Param("Version", help: "The version the product saw; another one is refused.") public var version: Int64?
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] {
        [.registry("user", input.user.record.externalID)]
    }

    public static func gather(_ input: Input, _ target: User?, from reader: any Reader) throws -> RegistryFacts {
        let facts = try RegistryFacts.gather([.user(input.user.record)], from: reader)
        try VersionCheck.check(input.version, facts.usersByExternalID[input.user.record.externalID]?.version)
        return facts
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<User> {
        try call.recordPlan(.user(call.input.user.record), field: "user", call.facts)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What the product says comes again with its next word. Change it there.")
    }
}

/// Makes a user a member of a customer, or changes their role there.
public enum PutMember: Operation {
    public typealias Target = Membership
    public static let spec = OperationSpec(
        "registry.put_member", "Tell of a member",
        summary: "Makes a user a member of a customer, or changes their role, as your product knows it.",
        permission: "registry.import", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Member", help: "Customer and user by the product's own ids, and the role.")
        public var member: MemberRecord
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] {
        [.registry("tenant", input.member.record.tenant), .registry("user", input.member.record.user)]
    }

    public static func gather(_ input: Input, _ target: Membership?, from reader: any Reader) throws -> RegistryFacts {
        try .gather([.member(input.member.record)], from: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Membership> {
        try call.recordPlan(.member(call.input.member.record), field: "member", call.facts)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What the product says comes again with its next word. Change it there.")
    }
}

/// Ends a user's membership of a customer.
public enum RemoveMember: Operation {
    public typealias Target = Membership
    public static let spec = OperationSpec(
        "registry.remove_member", "Remove a member", summary: "Ends a user's membership of a customer.",
        permission: "registry.import", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Member", help: "Customer and user by the product's own ids.") public var member: RemovedMemberRecord
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] {
        [.registry("tenant", input.member.record.tenant), .registry("user", input.member.record.user)]
    }

    public static func gather(_ input: Input, _ target: Membership?, from reader: any Reader) throws -> RegistryFacts {
        try .gather([.member(input.member.record)], from: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Membership> {
        try call.recordPlan(.member(call.input.member.record), field: "member", call.facts)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What the product says comes again with its next word. Add them there.")
    }
}

/// Takes up to 1,000 records of any kind from the product, in their order.
public enum PutBatch: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "registry.put_batch", "Tell of many",
        summary: "Creates and updates up to 1,000 customers, users and memberships, as your product knows them.",
        permission: "registry.import", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Records", help: "Customers, users and memberships, at most 1,000.")
        public var records: RegistryRecords
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> RegistryFacts {
        try .gather(input.records.records, from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures {
        Measures(["rows": .int(Int64(call.input.records.records.count)), "reversible": false])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try call.batchPlan(call.input.records.records, call.facts).plan
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What the product says comes again with its next word. Change it there.")
    }
}

extension Guard {
    /// Two words about the same thing are taken one after the other.
    static func registry(_ kind: String, _ externalID: String) -> Guard { Guard("registry:\(kind):\(externalID)") }
}

enum VersionCheck {
    /// - Throws: `.preconditionFailed` when the product saw another version than there is.
    static func check(_ seen: Int64?, _ current: Int64?) throws(OperationError) {
        if let seen, seen != current { throw .preconditionFailed(current: current ?? 0) }
    }
}
