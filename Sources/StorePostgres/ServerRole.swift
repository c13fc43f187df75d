import Foundation
import Kernel

/// The role `serve` connects as: it owns nothing, and may only do what the log's rules leave to it (spec: audit-log §5).
public enum ServerRole {
    /// Tables that are not plain data, and what the server may do with them.
    private static let rights: [String: String] = [
        "events": "SELECT, INSERT", "event_entity": "SELECT, INSERT", "sealed": "SELECT, INSERT",
        "sealed_subject": "SELECT, INSERT", "sealed_erasure": "SELECT", "log_leaf": "SELECT, INSERT",
        "log_tile": "SELECT, INSERT", "log_checkpoint": "SELECT, INSERT", "log_pending": "SELECT, INSERT, DELETE",
        "log_pruned": "SELECT", "log_state": "SELECT, INSERT, UPDATE", "entity_head": "SELECT, INSERT, UPDATE",
        "schema_migrations": "SELECT", "policy_state": "SELECT",
        "tenant_status_history": "SELECT, INSERT",
    ]

    /// Changes when the rights do: test templates are kept by it.
    public static var rightsChecksum: String {
        let lines = rights.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        return sha256(Array(lines.joined(separator: "\n").utf8)).hex
    }

    /// What the name of every server's role begins with.
    public static let namePrefix = "postern_app_"

    /// The role of a database. PostgreSQL cuts names after 63 bytes, and two long names could then meet: such a name is
    /// shortened here and ends with a part of its own hash instead.
    public static func name(forDatabase database: String) -> String {
        let name = namePrefix + database
        guard name.utf8.count > 63 else { return name }
        var short = ""
        for character in name {
            guard short.utf8.count + character.utf8.count <= 50 else { break }
            short.append(character)
        }
        return "\(short)_\(Array(sha256(Array(database.utf8)).prefix(6)).hex)"
    }

    /// Creates or renews the role of the database `ownerURL` points to, and grants it exactly its rights. To be run after
    /// every migration.
    /// - Parameter password: what the role signs in with.
    /// - Returns: the URL to serve with.
    /// - Throws: `StoreError`; `.other` when `ownerURL` can't be rewritten.
    public static func ensure(ownerURL: String, password: String) async throws -> String {
        let owner = PostgresDatabase(url: ownerURL)
        do {
            let role = try await ensure(owner, password: password)
            await owner.close()
            return try url(ownerURL, user: role, password: password)
        } catch {
            await owner.close()
            throw error
        }
    }

    private static func ensure(_ owner: PostgresDatabase, password: String) async throws -> String {
        try await owner.write { writer in
            // Two migrations of one database must not meet here.
            try writer.lock(["postern.server_role"])
            let name = try writer.first(Statement("SELECT current_database()::text AS name"))?.string("name") ?? ""
            let role = Self.name(forDatabase: name)
            let quotedRole = quoted(role)
            let existing = try writer.first(
                Statement(
                    """
                    SELECT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)::int AS excessive
                    FROM pg_roles WHERE rolname = $1
                    """, [.text(role)]))
            let verb = existing == nil ? "CREATE" : "ALTER"
            var attributes = "LOGIN NOINHERIT"
            // Only a superuser may say these of a role that exists, even where they hold already.
            if try existing?.bool("excessive") ?? true {
                attributes += " NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
            }
            try writer.execute(
                Statement("\(verb) ROLE \(quotedRole) WITH \(attributes) PASSWORD \(literal(password))"))
            let tables = try writer.query(
                Statement(
                    """
                    SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename
                    """)
            ).map { try $0.string("name") }
            var statements = [
                "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT USAGE ON SCHEMA public TO \(quotedRole)",
                "REVOKE ALL ON DATABASE \(quoted(name)) FROM PUBLIC",
                "REVOKE ALL ON DATABASE \(quoted(name)) FROM \(quotedRole)",
                "GRANT CONNECT ON DATABASE \(quoted(name)) TO \(quotedRole)",
                "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC",
                "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM \(quotedRole)",
            ]
            statements += tables.map {
                "GRANT \(rights[$0] ?? "SELECT, INSERT, UPDATE, DELETE") ON public.\(quoted($0)) TO \(quotedRole)"
            }
            statements += ["postern_erase(text, text, text)", "postern_prune(text, text)"].map {
                "GRANT EXECUTE ON FUNCTION public.\($0) TO \(quotedRole)"
            }
            writer.enqueue(statements.map { Statement($0) })
            return role
        }
    }

    /// Why the role a database is connected as may do more than the server should; empty when it is as it should be.
    public static func excess(_ database: any Database) async throws -> [String] {
        try await database.read { reader in
            guard
                let role = try reader.first(
                    Statement(
                        """
                        SELECT current_user::text AS name, rolsuper::int AS super, rolcreaterole::int AS creates,
                            rolbypassrls::int AS bypasses
                        FROM pg_roles WHERE rolname = current_user
                        """))
            else { return ["The role is unknown to the server."] }
            let name = try role.string("name")
            var reasons: [String] = []
            if try role.bool("super") { reasons.append("\(name) is a superuser.") }
            if try role.bool("creates") { reasons.append("\(name) may create roles.") }
            let owned = try reader.query(
                Statement(
                    """
                    SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
                        AND pg_has_role(current_user, c.relowner, 'MEMBER')
                    ORDER BY c.relname LIMIT 3
                    """))
            for row in owned { reasons.append("\(name) may alter the table \(try row.string("name")).") }
            let writable = try reader.query(
                Statement(
                    """
                    SELECT c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'public' AND c.relname IN ('events', 'event_entity', 'sealed', 'sealed_subject',
                        'sealed_erasure', 'log_leaf', 'log_tile', 'log_checkpoint', 'log_pruned')
                        AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
                    ORDER BY c.relname
                    """))
            for row in writable { reasons.append("\(name) may change rows of \(try row.string("name")).") }
            return reasons
        }
    }

    /// True when the connected role could write around the log.
    public static func isTooPowerful(_ database: any Database) async throws -> Bool {
        try await !excess(database).isEmpty
    }

    /// Reads the password kept in a file, or makes one and keeps it there with mode 0600. The file appears whole: of several
    /// that make it at once, one wins and all answer its password.
    /// - Throws: `StoreError.other` when the file can't be read or written, or others may read it.
    public static func password(file path: String) throws -> String {
        if access(path, F_OK) != 0, errno == ENOENT { try makePassword(path) }
        var status = stat()
        guard stat(path, &status) == 0, let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw StoreError.other("The password file \(path) can't be read.")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw StoreError.other("Others may read the password file \(path). Run: chmod 600 \(path)")
        }
        let password = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard password.count >= 16 else { throw StoreError.other("The password file \(path) holds no password.") }
        return password
    }

    private static func makePassword(_ path: String) throws {
        func problem() -> StoreError {
            .other("The password file \(path) can't be written: \(String(cString: strerror(errno))).")
        }
        let temporary = "\(path).\(SecureRandom.bytes(6).hex)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw problem() }
        defer { unlink(temporary) }
        let bytes = Array(SecureRandom.bytes(32).hex.utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        Foundation.close(descriptor)
        // A link, not a rename: it refuses to replace the password that somebody else made meanwhile.
        guard isWritten, link(temporary, path) == 0 || errno == EEXIST else { throw problem() }
    }

    static func url(_ url: String, user: String, password: String) throws -> String {
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else {
            // libpq's key=value form: the last of two equal keywords counts.
            return url + " user='\(escaped(user))' password='\(escaped(password))'"
        }
        guard var components = URLComponents(string: url) else {
            throw StoreError.other("The database URL can't be read.")
        }
        components.user = user
        components.password = password
        guard let text = components.string else { throw StoreError.other("The database URL can't be read.") }
        return text
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
    }
    private static func quoted(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }
    private static func literal(_ text: String) -> String {
        "E'" + text.replacing("\\", with: "\\\\").replacing("'", with: "''") + "'"
    }
}
