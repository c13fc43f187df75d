import Kernel

extension ApprovalRequest: Entity {
    public static let type = "approval"
    public static let idPrefix = "apr"
    public static let table = "approvals"

    public var tenantID: String? { targetType == "tenant" ? targetID : nil }
    public var subjects: [String] { [] }
    public var displayName: String { "\(operation) \(targetID ?? "")" }

    public var document: JSON {
        JSON.members([
            ("id", .string(id)), ("version", .int(version)), ("operation", .string(operation)),
            ("target_type", targetType.map(JSON.string)), ("target_id", targetID.map(JSON.string)),
            ("requester", .string(requester)), ("state", .string(state.rawValue)), ("action", action),
            ("plan_digest", .string(planDigest)), ("demands", demands), ("event_id", .string(eventID)),
            ("created_at", .string(createdAt.rfc3339)), ("expires_at", .string(expiresAt.rfc3339)),
        ])
    }

    public static let columns =
        "id, version, operation, target_type, target_id, requester, state, action, plan_digest, demands, event_id, created_at, expires_at"

    static func pending(operation: String, target: String) -> Statement {
        Statement(
            "SELECT \(columns) FROM approvals WHERE operation = $1 AND target_id = $2 AND state = 'pending' LIMIT 1",
            [.text(operation), .text(target)])
    }

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), operation: try row.string("operation"),
            targetType: try row.optionalString("target_type"), targetID: try row.optionalString("target_id"),
            requester: try row.string("requester"), state: state, action: try row.json("action"),
            planDigest: try row.string("plan_digest"), demands: try row.json("demands"),
            eventID: try row.string("event_id"), createdAt: try row.instant("created_at"),
            expiresAt: try row.instant("expires_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(operation), Value(targetType), Value(targetID), .text(requester),
            .text(state.rawValue), Value(action), .text(planDigest), Value(demands), .text(eventID), Value(createdAt),
            Value(expiresAt),
        ]
    }
}
