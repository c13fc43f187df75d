import Kernel

enum TestRoleQueries {
    static func select(_ id: String) -> Statement {
        Statement("SELECT id, version, title, summary FROM roles WHERE id = $1", [.text(id)])
    }
    static func page(_ cursor: String, _ limit: Int) -> Statement {
        Statement(
            "SELECT id, version, title, summary FROM roles WHERE id > $1 ORDER BY id LIMIT $2",
            [.text(cursor), .int(Int64(limit))])
    }
    static func insert(_ role: TestRole) -> Statement {
        Statement(
            "INSERT INTO roles (id, version, title, summary) VALUES ($1, $2, $3, $4)",
            [.text(role.id), .int(role.version), .text(role.title), .text(role.summary)], expectedRows: 1)
    }
    static func update(_ role: TestRole, _ version: Int64) -> Statement {
        Statement(
            "UPDATE roles SET version = $1, title = $2, summary = $3 WHERE id = $4 AND version = $5",
            [.int(role.version), .text(role.title), .text(role.summary), .text(role.id), .int(version)], expectedRows: 1
        )
    }
}
