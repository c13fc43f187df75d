/// A request that waits for signatures: the frozen action and what it would do.
public struct ApprovalRequest: Sendable, Hashable {
    public enum State: String, Sendable, CaseIterable {
        case pending, approved, scheduled, executed, rejected, expired, cancelled, stale, failed
    }

    public var id: String
    public var version: Int64
    public var operation: String
    public var targetType: String?
    public var targetID: String?
    /// The person who asked.
    public var requester: String
    public var state: State
    /// The operation's canonical JSON; sealed members stand as commitments, their values are with `eventID`.
    public var action: JSON
    /// Hex SHA-256 over the plan: changes, effects, measures, demands, and a nonce that is sealed with the event.
    public var planDigest: String
    /// `ApprovalNeed`s as JSON.
    public var demands: JSON
    /// The `requested` event.
    public var eventID: String
    public var createdAt: Instant
    public var expiresAt: Instant

    public init(
        id: String, version: Int64, operation: String, targetType: String?, targetID: String?, requester: String,
        state: State, action: JSON, planDigest: String, demands: JSON, eventID: String, createdAt: Instant,
        expiresAt: Instant
    ) {
        self.id = id
        self.version = version
        self.operation = operation
        self.targetType = targetType
        self.targetID = targetID
        self.requester = requester
        self.state = state
        self.action = action
        self.planDigest = planDigest
        self.demands = demands
        self.eventID = eventID
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    /// What each rule demands, as frozen with the request.
    public var needs: [ApprovalNeed] { (demands.array ?? []).compactMap { try? ApprovalNeed(json: $0) } }

    /// Whether this person could be one of those who must agree. Never the one who asked.
    public func canBeFilled(by caller: Caller) -> Bool {
        state == .pending && requester != caller.person && needs.contains { $0.demand.isOpen(to: caller) }
    }

    /// Whether this person may look at it: who asked, who could sign, and who may see all of them.
    public func isOpen(to caller: Caller) -> Bool {
        requester == caller.person || caller.permissions.contains("approval.view") || canBeFilled(by: caller)
    }
}
