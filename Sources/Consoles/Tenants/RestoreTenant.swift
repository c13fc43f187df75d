import Kernel

/// Lets a customer back in: to where it came from, or to where the reason code says.
public enum RestoreTenant: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.restore", "Restore tenant",
        summary: "Returns the tenant to the status it came from, or to active when it is won back.",
        permission: "tenant.restore", risk: .medium,
        reasonCodes: [
            ReasonCode("payment_recovered", "Suspended: the invoices are paid"),
            ReasonCode("investigation_closed", "Suspended: the investigation is closed"),
            ReasonCode(LegalHold.lifted, "Suspended: the legal hold is lifted"),
            ReasonCode("converted", "Expired: they subscribed"),
            ReasonCode("customer_un_cancel", "Cancelled: they changed their mind"),
            ReasonCode("csm_save", "Cancelled: their manager won them back"),
            ReasonCode("customer_return", "Archived: they came back"),
        ])

    public static func gather(_ input: NoInput, _ target: Tenant?, from reader: any Reader) throws -> LegalHold {
        guard let target else { return LegalHold() }
        return try .load(on: target.id, from: reader)
    }

    public static func foresees(_ input: NoInput, _ target: String?) -> [Statement] {
        DriftFollower.foreseen(of: target) + (target.map { [LifecycleQueries.hold(on: $0)] } ?? [])
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let status = try TenantTransitions.destination(of: call.before, by: spec, reasonCode: call.reasonCode)
        let isLifted = call.reasonCode == LegalHold.lifted
        // Anything else would let the customer in and leave the hold standing where nobody sees it.
        if call.before.status == .suspended, call.facts.suspends, !isLifted {
            throw .locked("A legal hold stands: choose \(LegalHold.lifting).")
        }
        let after = call.before.moved(to: status, at: call.now)
        var consequence =
            status == .suspended
            ? "\(after.name) is suspended again, as it was before it was archived; restore it once more to let its members in."
            : "\(after.name) is \(status.rawValue) again."
        if call.facts.stands, !isLifted { consequence += " The legal hold on it stands as before." }
        return Plan(
            after, alsoWrite: [call.history(of: after, from: call.before.status)],
            effects: [.webhook("restored", after)],
            consequence: consequence)
    }

    /// Suspension and archive remember where they came from, so doing them again is exact. Expiry and cancellation are
    /// facts from outside, which no operation makes.
    public static func undo(_ done: Done<Self>) -> Undo {
        guard let before = done.before, before["resumes_to"]?.string == done.after?["status"]?.string else {
            return .impossible(
                "Only a trial's end or the billing provider makes a tenant expired or cancelled. Suspend or archive it instead."
            )
        }
        if before["status"]?.string == "archived" {
            return .run("tenant.archive", reasonCode: "customer_departed")
        }
        switch done.reasonCode {
        case "payment_recovered": return .run("tenant.suspend", reasonCode: "non_payment")
        case LegalHold.lifted: return .run("tenant.suspend", reasonCode: "legal_hold")
        default: return .run("tenant.suspend", reasonCode: "support_investigation")
        }
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        TenantTransitions.unavailable(spec.name, in: target.status)
    }
}
