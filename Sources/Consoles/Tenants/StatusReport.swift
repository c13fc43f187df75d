import Kernel

/// What the operations have in common by which a tenant moves without a person: reports of the product and of the billing
/// provider, and what happens by itself after a time.
enum StatusReport {
    static let permission = "tenant.report_status"

    static func spec(_ name: String, _ title: String, _ summary: String) -> OperationSpec {
        OperationSpec(name, title, summary: summary, permission: permission, risk: .medium, systemOnly: true)
    }

    static func plan<Op: Operation>(
        _ call: Call<Op>, effects: [String] = [], details: (value: JSON, subjects: [String])? = nil,
        _ consequence: (Tenant) -> String
    ) throws(Refusal) -> Plan<Tenant> where Op.Target == Tenant {
        let status = try TenantTransitions.destination(of: call.before, reportedBy: Op.spec.name)
        let after = call.before.moved(to: status, at: call.now)
        return Plan(
            after, alsoWrite: [call.history(of: after, from: call.before.status)],
            // An import is told of once, by its end.
            effects: call.actor == ImportRun.actor ? [] : effects.map { .webhook($0, after) }, details: details,
            consequence: consequence(after))
    }

    /// A report is a fact from outside: another one follows it, none takes it back.
    static func undo(_ what: String) -> Undo { .impossible("\(what) It is followed by other facts, not taken back.") }
}

/// The product has set a tenant up.
public enum MarkReady: Operation {
    public typealias Target = Tenant
    public static let spec = StatusReport.spec(
        "tenant.mark_ready", "Report set up", "Your product has set the tenant up; it waits for its first sign-in.")

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try StatusReport.plan(call, effects: ["ready"]) { "\($0.name) is set up and waits for its first sign-in." }
    }
    public static func undo(_ done: Done<Self>) -> Undo { StatusReport.undo("Your product reported this.") }
}

/// The product could not set a tenant up.
public enum MarkFailed: Operation {
    public typealias Target = Tenant
    public static let spec = StatusReport.spec(
        "tenant.mark_failed", "Report failed set-up", "Your product could not set the tenant up; somebody has to look.")

    public struct Input: OperationInput {
        @Param("Reason", .length(1...500), help: "What went wrong, for the people who look.") public var reason: String?
        public init() {}
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let reason = call.input.reason
        return try StatusReport.plan(
            call, effects: ["onboarding_failed"],
            details: reason.map { (["reason": .string($0)], call.before.subjects) }
        ) { "Setting \($0.name) up failed." + (reason.map { " Your product says: \($0)" } ?? "") }
    }
    public static func undo(_ done: Done<Self>) -> Undo { StatusReport.undo("Your product reported this.") }
}

/// Somebody of a tenant has signed in for the first time.
public enum ActivateTenant: Operation {
    public typealias Target = Tenant
    public static let spec = StatusReport.spec(
        "tenant.activate", "Activate tenant", "Somebody of the tenant signed in for the first time: it is in use.")

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try StatusReport.plan(call, effects: ["activated"]) { "\($0.name) is in use: somebody signed in." }
    }
    public static func undo(_ done: Done<Self>) -> Undo { StatusReport.undo("Somebody signed in.") }
}

/// A trial has ended.
public enum ExpireTenant: Operation {
    public typealias Target = Tenant
    public static let spec = StatusReport.spec(
        "tenant.expire", "Expire tenant", "The tenant's trial has ended without a subscription.")

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try StatusReport.plan(call, effects: ["expired"]) { "The trial of \($0.name) has ended." }
    }
    public static func undo(_ done: Done<Self>) -> Undo { StatusReport.undo("The trial ended.") }
}

/// An expired tenant has subscribed.
public enum ConvertTenant: Operation {
    public typealias Target = Tenant
    public static let spec = StatusReport.spec(
        "tenant.convert", "Convert tenant", "The tenant has subscribed after its trial: it is active again.")

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try StatusReport.plan(call, effects: ["activated"]) { "\($0.name) has subscribed and is active again." }
    }
    public static func undo(_ done: Done<Self>) -> Undo { StatusReport.undo("They subscribed.") }
}

/// The billing provider says that the subscription has ended.
public enum CancelTenant: Operation {
    public typealias Target = Tenant
    public static let spec = StatusReport.spec(
        "tenant.cancel", "Cancel tenant", "The tenant's subscription has ended at the billing provider.")

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try StatusReport.plan(call, effects: ["cancelled"]) { "The subscription of \($0.name) has ended." }
    }
    public static func undo(_ done: Done<Self>) -> Undo {
        StatusReport.undo("The billing provider reported this; Restore tenant wins them back.")
    }
}
