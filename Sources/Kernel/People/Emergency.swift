/// A break-glass of a person that nobody has reviewed yet: an emergency that was declared on one tenant (spec: access §7).
///
/// It gives no permission and waives no signature. While it is open, what would wait for the tenant's consent may pass over it
/// (`covers`), and every event of the person names it.
public struct Emergency: Sendable, Hashable {
    /// `brk_…`
    public let id: String
    public let tenant: String
    public let endsAt: Instant
    /// Nobody ended it, its time is not over, and the person may still open one.
    public let isOpen: Bool
    /// Opened without a second person: until it is reviewed, the person may do nothing else.
    public let isSolo: Bool

    public init(id: String, tenant: String, endsAt: Instant, isOpen: Bool, isSolo: Bool) {
        self.id = id
        self.tenant = tenant
        self.endsAt = endsAt
        self.isOpen = isOpen
        self.isSolo = isSolo
    }

    /// Whether the emergency is on for something of this tenant: the question of whatever a consent or a policy of the tenant
    /// would stop. Never of what waits for another person.
    public func covers(_ tenant: String?) -> Bool { isOpen && tenant == self.tenant }

    /// Why the person can't look at or touch something of this tenant, or of none; `nil` when they can.
    public func refusal(on tenant: String?) -> String? {
        isSolo && tenant != self.tenant ? sentence : nil
    }

    /// What a person who is locked hears.
    public var sentence: String {
        isOpen
            ? "You opened break-glass alone: until it is reviewed, you may act on its tenant and on nothing else (\(id))."
            : "You opened break-glass alone: your privileges are locked until somebody has reviewed it (\(id))."
    }
}
