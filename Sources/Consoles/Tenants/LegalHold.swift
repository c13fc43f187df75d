import Kernel

/// The legal hold on a tenant, as its status history tells it.
public struct LegalHold: Sendable, Hashable {
    /// It was said and not lifted since, whatever status the tenant came through.
    public var stands = false
    /// The suspension that was made last is its own: whoever ends that ends the hold.
    public var suspends = false

    static let applied = "legal_hold"
    static let lifted = "legal_hold_lifted"
    /// The reason that lifts it, as its form offers it.
    static var lifting: String { RestoreTenant.spec.reason(lifted) }

    static func load(on tenant: String, from reader: any Reader) throws -> LegalHold {
        guard let row = try reader.first(LifecycleQueries.hold(on: tenant)),
            try row.optionalString("reason_code") == applied
        else { return LegalHold() }
        return LegalHold(stands: true, suspends: try row.optionalString("suspended_for") == applied)
    }

    /// Why the tenant can't be deleted for good.
    var unavailable: [String: Unavailable] {
        guard stands else { return [:] }
        return [
            HardDeleteTenant.spec.name: Unavailable(
                "a legal hold stands",
                note: "It is lifted by restoring the tenant out of a suspension with the reason \(Self.lifting).")
        ]
    }
}
