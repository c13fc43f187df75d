import Kernel

/// An event as its projections say, with the names people know its parts by.
struct EventRow: Sendable {
    let id: String
    let at: Instant
    let eventClass: String
    let action: String
    let outcome: String
    let actorType: String
    let actorID: String
    let tenantID: String?
    let targetType: String?
    let targetID: String?
    let requestID: String?
    let operationID: String?
    let approvalID: String?
    let linked: String?
    let retention: String
    /// Its place in the log; `nil` while it waits for the sequencer.
    var index: Int64?
    var actorName: String?
    var targetName: String?

    init(_ row: Row) throws {
        id = try row.string("id")
        at = try row.instant("at")
        eventClass = try row.string("class")
        action = try row.string("action")
        outcome = try row.string("outcome")
        actorType = try row.string("actor_type")
        actorID = try row.string("actor_id")
        tenantID = try row.optionalString("tenant_id")
        targetType = try row.optionalString("target_type")
        targetID = try row.optionalString("target_id")
        requestID = try row.optionalString("request_id")
        operationID = try row.optionalString("operation_id")
        approvalID = try row.optionalString("approval_id")
        linked = try row.optionalString("linked")
        retention = try row.string("retention_class")
        index = try row.optionalInt("idx")
        actorName = try row.optionalString("actor_name")
        targetName = try row.optionalString("target_name")
    }

    var json: JSON {
        JSON.members([
            ("id", .string(id)), ("at", .string(at.rfc3339)), ("class", .string(eventClass)),
            ("action", .string(action)), ("outcome", .string(outcome)),
            (
                "actor",
                JSON.members([
                    ("type", .string(actorType)), ("id", .string(actorID)), ("name", actorName.map(JSON.string)),
                ])
            ),
            ("tenant", tenantID.map(JSON.string)),
            (
                "target",
                targetType.map { type in
                    JSON.members([
                        ("type", .string(type)), ("id", targetID.map(JSON.string)),
                        ("name", targetName.map(JSON.string)),
                    ])
                }
            ),
            ("request_id", requestID.map(JSON.string)), ("operation_id", operationID.map(JSON.string)),
            ("approval_id", approvalID.map(JSON.string)), ("linked", linked.map(JSON.string)),
            ("retention_class", .string(retention)), ("index", index.map(JSON.int) ?? .null),
        ])
    }

    /// A service account or an assistant did it.
    var isByAccount: Bool { Actor.Kind(rawValue: actorType).map { Actor($0, actorID).isAccount } ?? false }

    /// Adds index and names to a page of events: three lookups by key in one round trip.
    static func name(_ rows: [EventRow], from reader: any Reader) throws -> [EventRow] {
        guard !rows.isEmpty else { return [] }
        func unique(_ ids: [String?]) -> [String] { Array(Set(ids.compactMap { $0 })).sorted() }
        let staff = unique(
            rows.map { $0.actorType == Actor.Kind.staff.rawValue ? $0.actorID : nil }
                + rows.map { $0.targetType == "staff" ? $0.targetID : nil })
        let tenants = unique(rows.map { $0.targetType == "tenant" ? $0.targetID : nil })
        let accounts = unique(
            rows.map { $0.isByAccount ? $0.actorID : nil }
                + rows.map { $0.targetType == "service_account" ? $0.targetID : nil }
        )
        let found = try reader.query(
            [EventQueries.indexes(rows.map(\.id)), EventQueries.staffNames(staff), EventQueries.tenantNames(tenants)]
                + (accounts.isEmpty ? [] : [EventQueries.accountNames(accounts)]))
        var indexes: [String: Int64] = [:]
        for row in found[0] { indexes[try row.string("event_id")] = try row.int("idx") }
        var names: [String: String] = [:]
        for row in found.dropFirst().joined() { names[try row.string("id")] = try row.string("name") }
        return rows.map { row in
            var row = row
            row.index = row.index ?? indexes[row.id]
            row.actorName =
                row.actorType == Actor.Kind.staff.rawValue || row.isByAccount ? names[row.actorID] : nil
            row.targetName = row.targetID.flatMap { names[$0] }
            return row
        }
    }
}
