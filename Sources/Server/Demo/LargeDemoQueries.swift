import Consoles
import Kernel
import Store
import StorePostgres

/// Statements of the making of large data.
enum LargeDemoQueries {
    /// Tenants whose metadata was edited, from the version they had to the one they have.
    static func edit(_ tenants: [(after: Tenant, expecting: Int64)]) -> [Statement] {
        stride(from: 0, to: tenants.count, by: 100).map { start in
            let part = tenants[start..<min(start + 100, tenants.count)]
            let rows = part.indices.map { index in "(" + placeholders(5, from: (index - start) * 5 + 1) + ")" }
            return Statement(
                """
                WITH v (id, expected, version, metadata, updated_at) AS (VALUES \(rows.joined(separator: ", ")))
                UPDATE tenants SET version = v.version, metadata = v.metadata, updated_at = v.updated_at
                FROM v WHERE tenants.id = v.id AND tenants.version = v.expected
                """,
                part.flatMap { tenant, expecting -> [Value] in
                    [
                        .text(tenant.id), .int(expecting), .int(tenant.version), Value(tenant.metadataJSON),
                        Value(tenant.updatedAt),
                    ]
                }, expectedRows: part.count)
        }
    }

    /// The first line of the status history of imported tenants.
    static func history(_ tenants: [Tenant], event: String) -> RowLoad {
        var rows = RowLoad(
            "tenant_status_history",
            columns: "tenant_id, event_id, from_status, to_status, actor_type, actor_id, reason_code, at")
        for tenant in tenants {
            rows.append([
                .text(tenant.id), .text(event), .null, .text(tenant.status.rawValue), .text("system"), .text("demo"),
                .null, Value(tenant.statusSince),
            ])
        }
        return rows
    }

    /// Ids by e-mail.
    static func staff(_ reader: any Reader) throws -> [String: String] {
        var ids: [String: String] = [:]
        for row in try reader.query(Statement("SELECT id, email FROM staff ORDER BY id LIMIT 1000")) {
            ids[try row.string("email")] = try row.string("id")
        }
        return ids
    }

    /// Lets the embedded database hold the indexes it adds to in memory while much is written.
    static func widenCache(_ writer: any Writer) throws {
        guard writer.dialect == .sqlite else { return }
        try writer.execute(Statement("PRAGMA cache_size = -262144"))
    }

    /// Tells the planner how much there is by now.
    static func analyze(_ storage: Storage, _ database: any Database) async throws {
        switch storage {
        case .postgres(let url):
            try await PostgresDatabase.administer(url: url, ["VACUUM (ANALYZE)"], timeout: .hours(2))
        case .sqlite:
            try await database.write { writer in
                try writer.execute(Statement("PRAGMA analysis_limit = 2000"))
                try writer.execute(Statement("ANALYZE"))
            }
        }
    }
}
