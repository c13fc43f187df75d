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
}
