import Kernel

/// Wants a tenant's data elsewhere. The product moves it and says when that is done.
public enum ChangeRegion: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.change_region", "Change region",
        summary: "Asks for the data to be moved. The present region holds until your product has confirmed the move.",
        permission: "tenant.change_region", risk: .high)

    public struct Input: OperationInput {
        @Param("Region", help: "Where its data shall be kept, as your product names it.") public var region: TenantWord
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> Receivers {
        try .gather(from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try DesiredChanges.request(.region, call.input.region.word, call)
    }

    public static func undo(_ done: Done<Self>) -> Undo { RevertChange.inverse(of: .region, done.before) }

    public static func prefill(_ target: Tenant) -> [String: JSON] {
        ["region": .string(target.desired[.region]?.value ?? target.region)]
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        DesiredChanges.unavailable(.region, target)
    }
}
