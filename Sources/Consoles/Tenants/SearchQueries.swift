import Kernel

/// Beginnings of names as index ranges under byte order, the same on both databases.
enum SearchQueries {
    enum TenantColumn: String {
        case slug
        case nameKey = "name_key"
    }
    enum UserColumn: String {
        case email
        case emailLocal = "email_local"
    }

    static func tenants(_ column: TenantColumn, startingWith prefix: String, limit: Int) -> Statement {
        range("SELECT \(Tenant.columns) FROM tenants", column.rawValue, prefix, limit)
    }

    static func users(_ column: UserColumn, startingWith prefix: String, limit: Int) -> Statement {
        range("SELECT \(User.columns) FROM users", column.rawValue, prefix, limit)
    }

    private static func range(_ select: String, _ column: String, _ prefix: String, _ limit: Int) -> Statement {
        guard let successor = NameKey.successor(of: prefix) else {
            return Statement(
                "\(select) WHERE \(column) >= $1 ORDER BY \(column), id LIMIT $2", [.text(prefix), .int(Int64(limit))])
        }
        return Statement(
            "\(select) WHERE \(column) >= $1 AND \(column) < $2 ORDER BY \(column), id LIMIT $3",
            [.text(prefix), .text(successor), .int(Int64(limit))])
    }
}
