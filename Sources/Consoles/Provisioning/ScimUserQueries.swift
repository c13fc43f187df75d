import Kernel

extension ScimUser {
    public static let columns = """
        id, version, staff_id, user_name, user_name_folded, external_id, display_name, formatted_name, given_name, \
        family_name, created_at, updated_at, deleted_at
        """

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"),
            profile: ScimProfile(
                userName: try row.string("user_name"), email: "", externalID: try row.optionalString("external_id"),
                displayName: try row.optionalString("display_name"),
                formattedName: try row.optionalString("formatted_name"),
                givenName: try row.optionalString("given_name"), familyName: try row.optionalString("family_name")),
            createdAt: try row.instant("created_at"), updatedAt: try row.instant("updated_at"),
            deletedAt: try row.optionalInstant("deleted_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), .text(userName), .text(folded), Value(externalID),
            Value(shownName), Value(formattedName), Value(givenName), Value(familyName), Value(createdAt),
            Value(updatedAt), Value(deletedAt),
        ]
    }

    /// Of some people. Through `scim_users_staff`.
    static func of(_ staff: [String]) -> Statement {
        Statement(
            "SELECT \(columns) FROM scim_users WHERE staff_id IN (\(placeholders(staff.count)))",
            staff.map(Value.text))
    }

    /// Whoever is, or was until the provider deleted them, called so. Through `scim_users_folded`.
    static func called(_ userName: String) -> Statement {
        Statement(
            "SELECT \(columns) FROM scim_users WHERE user_name_folded = $1 ORDER BY deleted_at IS NOT NULL, id DESC",
            [.text(userName.lowercased())])
    }
}

/// Filters as SQL over `staff s LEFT JOIN scim_users u`. Every comparison is true or false, never unknown, so that `not` is
/// what it says. Looking for one name or one external id goes through an index.
struct ScimFilterQueries {
    private(set) var values: [Value] = []
    private let now: Instant

    init(at now: Instant) { self.now = now }

    /// The page of those who fit, by id, and how many there are; those the provider deleted are not here.
    static func page(
        _ filter: ScimFilter?, at now: Instant, from start: Int64, limit: Int
    ) throws(ProvisioningError) -> (page: Statement, count: Statement) {
        var query = ScimFilterQueries(at: now)
        let condition = try filter.map { filter throws(ProvisioningError) in try query.condition(filter) }
        let wanted = condition.map { " AND \($0)" } ?? ""
        let rest = "FROM staff s LEFT JOIN scim_users u ON u.staff_id = s.id WHERE u.deleted_at IS NULL\(wanted)"
        return (
            Statement(
                "SELECT s.id \(rest) ORDER BY s.id LIMIT \(limit) OFFSET \(max(0, start - 1))", query.values),
            Statement("SELECT COUNT(*) AS count \(rest)", query.values)
        )
    }

    private mutating func bound(_ value: Value) -> String {
        values.append(value)
        return "$\(values.count)"
    }

    private enum Column {
        /// SQL of a text, and whether case counts.
        case text(String, isExact: Bool)
        case time(String)
        /// SQL of a condition.
        case truth(String)
        /// The same for everybody.
        case fixed(String)
        /// The roles somebody holds.
        case role
    }

    private mutating func condition(
        _ filter: ScimFilter, under prefix: String? = nil
    ) throws(ProvisioningError) -> String {
        switch filter {
        case .and(let a, let b): return "(\(try condition(a, under: prefix)) AND \(try condition(b, under: prefix)))"
        case .or(let a, let b): return "(\(try condition(a, under: prefix)) OR \(try condition(b, under: prefix)))"
        case .not(let inner): return "NOT \(try condition(inner, under: prefix))"
        case .within(let path, let inner):
            guard prefix == nil, path.sub == nil, ["emails", "groups"].contains(path.key) else {
                throw ProvisioningError(.invalidFilter, "\(path.text) has no values to choose among.")
            }
            return "(\(try condition(inner, under: path.key)))"
        case .present(let path):
            switch try column(path, under: prefix) {
            case .text(let sql, _): return "(\(sql) IS NOT NULL AND \(sql) <> '')"
            case .time, .truth, .fixed: return "(1 = 1)"
            case .role: return role("1 = 1")
            }
        case .compare(let path, let comparison, let wanted):
            return try compare(path, comparison, wanted, under: prefix)
        }
    }

    private func column(_ path: ScimPath, under prefix: String?) throws(ProvisioningError) -> Column {
        let key = prefix.map { "\($0).\(path.key)" } ?? path.key
        switch key {
        case "id": return .text("s.id", isExact: true)
        case "username": return .text("COALESCE(u.user_name_folded, s.email)", isExact: false)
        case "externalid": return .text("u.external_id", isExact: true)
        case "displayname": return .text("CASE WHEN u.id IS NULL THEN s.name ELSE u.display_name END", isExact: false)
        case "name.formatted", "name": return .text("u.formatted_name", isExact: false)
        case "name.givenname": return .text("u.given_name", isExact: false)
        case "name.familyname": return .text("u.family_name", isExact: false)
        case "emails", "emails.value": return .text("s.email", isExact: false)
        case "emails.type": return .fixed("work")
        case "emails.primary": return .truth("1 = 1")
        case "active": return .truth("s.status <> 'deactivated'")
        case "groups", "groups.value": return .role
        case "meta.created": return .time("s.created_at")
        case "meta.lastmodified": return .time("s.updated_at")
        case "meta.resourcetype": return .fixed("User")
        default: throw ProvisioningError(.invalidFilter, "People can't be looked for by \(path.text.prefix(60)).")
        }
    }

    private mutating func compare(
        _ path: ScimPath, _ comparison: ScimFilter.Comparison, _ wanted: JSON, under prefix: String?
    ) throws(ProvisioningError) -> String {
        func wrong(_ what: String) -> ProvisioningError {
            ProvisioningError(.invalidFilter, "\(path.text) is compared with \(what).")
        }
        switch try column(path, under: prefix) {
        case .truth(let sql):
            // Entra ID writes them as text.
            guard let value = wanted.bool ?? ["true": true, "false": false][wanted.string?.lowercased() ?? ""],
                comparison == .eq || comparison == .ne
            else { throw wrong("true or false, by eq or ne") }
            return (comparison == .eq) == value ? "(\(sql))" : "(NOT (\(sql)))"
        case .time(let sql):
            guard let value = wanted.string.flatMap(Instant.init(rfc3339:)) else { throw wrong("a time, as text") }
            guard let sign = Self.sign(comparison) else { throw wrong("a time, by eq, ne, gt, ge, lt or le") }
            return "(\(sql) \(sign) \(bound(Value(value))))"
        case .fixed(let text):
            let fits = ScimFilter.compare(ScimPath(attribute: "value"), comparison, wanted).matches([
                "value": .string(text)
            ])
            return fits ? "(1 = 1)" : "(1 = 0)"
        case .role:
            guard let text = wanted.string else { throw wrong("text") }
            return role(try self.text("g.role_id", isExact: true, comparison, text))
        case .text(let sql, let isExact):
            guard let text = wanted.string else {
                guard wanted == .null, comparison == .eq || comparison == .ne else { throw wrong("text") }
                return comparison == .eq ? "(\(sql) IS NULL)" : "(\(sql) IS NOT NULL)"
            }
            if comparison == .eq, prefix == nil, let quick = quick(path.key, text) { return quick }
            return try self.text(sql, isExact: isExact, comparison, text)
        }
    }

    /// What providers look for before anything else, by an index.
    private mutating func quick(_ key: String, _ text: String) -> String? {
        switch key {
        case "username":
            let name = bound(.text(text.lowercased()))
            return """
                (s.id IN (SELECT staff_id FROM scim_users WHERE user_name_folded = \(name) \
                UNION ALL SELECT id FROM staff WHERE email = \(name)) \
                AND COALESCE(u.user_name_folded, s.email) = \(name))
                """
        case "externalid":
            return "(s.id IN (SELECT staff_id FROM scim_users WHERE external_id = \(bound(.text(text)))))"
        case "emails", "emails.value": return "(s.email = \(bound(.text(text.lowercased()))))"
        default: return nil
        }
    }

    private func role(_ condition: String) -> String {
        """
        (EXISTS (SELECT 1 FROM grants g WHERE g.staff_id = s.id AND g.revoked_at IS NULL \
        AND (g.expires_at IS NULL OR g.expires_at > \(now.microseconds)) AND \(condition)))
        """
    }

    private static func sign(_ comparison: ScimFilter.Comparison) -> String? {
        switch comparison {
        case .eq: "="
        case .ne: "<>"
        case .gt: ">"
        case .ge: ">="
        case .lt: "<"
        case .le: "<="
        case .co, .sw, .ew: nil
        }
    }

    /// Portions are cut by numbers that stand in the statement, since the two databases count in different types.
    private mutating func text(
        _ column: String, isExact: Bool, _ comparison: ScimFilter.Comparison, _ wanted: String
    ) throws(ProvisioningError) -> String {
        let sql = isExact ? column : "LOWER(\(column))"
        let folded = isExact ? wanted : wanted.lowercased()
        let length = folded.unicodeScalars.count
        guard length <= 300 else {
            throw ProvisioningError(.invalidFilter, "A text to look for has at most 300 characters.")
        }
        if let sign = Self.sign(comparison) {
            let value = bound(.text(folded))
            return comparison == .ne
                ? "(\(column) IS NULL OR \(sql) <> \(value))" : "(\(column) IS NOT NULL AND \(sql) \(sign) \(value))"
        }
        guard length > 0 else { return "(\(column) IS NOT NULL)" }
        let value = bound(.text(folded))
        switch comparison {
        case .sw: return "(\(column) IS NOT NULL AND SUBSTR(\(sql), 1, \(length)) = \(value))"
        case .ew:
            return """
                (\(column) IS NOT NULL AND LENGTH(\(column)) >= \(length) \
                AND SUBSTR(\(sql), LENGTH(\(column)) - \(length) + 1) = \(value))
                """
        default: return "(\(column) IS NOT NULL AND REPLACE(\(sql), \(value), '') <> \(sql))"
        }
    }
}
