import Kernel

/// A request for approval as a governed row.
public struct Approval: Entity {
    public static let type = "approval"
    public static let idPrefix = "apr"
    public static let table = "approvals"

    public var request: ApprovalRequest

    public init(_ request: ApprovalRequest) { self.request = request }

    public var id: String { request.id }
    public var version: Int64 {
        get { request.version }
        set { request.version = newValue }
    }
    public var tenantID: String? { request.targetType == "tenant" ? request.targetID : nil }
    public var displayName: String { request.operation + (request.targetID.map { " on \($0)" } ?? "") }
    /// Ids and commitments only: erasing a person leaves it as it is.
    public var subjects: [String] { [] }

    public var document: JSON {
        JSON.members([
            ("id", .string(id)), ("version", .int(version)), ("operation", .string(request.operation)),
            ("target_type", request.targetType.map(JSON.string)), ("target_id", request.targetID.map(JSON.string)),
            ("requester", .string(request.requester)), ("state", .string(request.state.rawValue)),
            ("action", request.action), ("plan_digest", .string(request.planDigest)), ("demands", request.demands),
            ("event_id", .string(request.eventID)), ("created_at", .string(request.createdAt.rfc3339)),
            ("expires_at", .string(request.expiresAt.rfc3339)),
        ])
    }

    private static let columns = """
        id, version, operation, target_type, target_id, requester, state, action, plan_digest, demands, event_id,
        created_at, expires_at
        """

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        let places = ids.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        return Statement(
            "SELECT \(columns) FROM approvals WHERE id IN (\(places)) ORDER BY id" + (lock ? dialect.forUpdate : ""),
            ids.map(Value.text))
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement(
            "SELECT \(columns) FROM approvals WHERE id > $1 ORDER BY id LIMIT $2", [.text(cursor), .int(Int64(limit))])
    }

    public init(_ row: Row) throws {
        guard let state = ApprovalRequest.State(rawValue: try row.string("state")) else {
            throw StoreError.shape(column: "state")
        }
        request = ApprovalRequest(
            id: try row.string("id"), version: try row.int("version"), operation: try row.string("operation"),
            targetType: try row.optionalString("target_type"), targetID: try row.optionalString("target_id"),
            requester: try row.string("requester"), state: state, action: try row.json("action"),
            planDigest: try row.string("plan_digest"), demands: try row.json("demands"),
            eventID: try row.string("event_id"), createdAt: try row.instant("created_at"),
            expiresAt: try row.instant("expires_at"))
    }

    public func insert() -> [Statement] {
        [
            Statement(
                """
                INSERT INTO approvals (\(Self.columns))
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                """,
                [
                    .text(id), .int(version), .text(request.operation), Value(request.targetType),
                    Value(request.targetID), .text(request.requester), .text(request.state.rawValue),
                    Value(request.action), .text(request.planDigest), Value(request.demands), .text(request.eventID),
                    Value(request.createdAt), Value(request.expiresAt),
                ])
        ]
    }

    public func update(expecting expected: Int64) -> [Statement] {
        [
            Statement(
                """
                UPDATE approvals SET version = $1, state = $2, action = $3, plan_digest = $4, demands = $5,
                    expires_at = $6
                WHERE id = $7 AND version = $8
                """,
                [
                    .int(version), .text(request.state.rawValue), Value(request.action), .text(request.planDigest),
                    Value(request.demands), Value(request.expiresAt), .text(id), .int(expected),
                ], expectedRows: 1)
        ]
    }
}
