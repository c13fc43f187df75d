import Foundation
import Kernel
import Store
import StorePostgres
import StoreSQLite
import Testing

/// A fresh, migrated database of one kind, connected with the rights the server has.
public final class TestDatabase: Sendable {
    public enum Kind: String, Sendable, CaseIterable, CustomTestStringConvertible {
        case sqlite, postgres
        public var testDescription: String { rawValue }

        /// The kinds there is a server for. With POSTERN_TEST_POSTGRES set PostgreSQL is never left out.
        public static var allCases: [Kind] { PostgresTemplate.isAvailable ? [.sqlite, .postgres] : [.sqlite] }
    }

    public let kind: Kind
    public let database: any Database
    /// What `now` is read from in every transaction.
    public let clock: ManualClock
    /// The SQLite file, or the URL of the database's owner.
    public let location: String
    /// The URL of the server's own role; the path for SQLite.
    public let url: String

    private init(kind: Kind, database: any Database, clock: ManualClock, location: String, url: String) {
        self.kind = kind
        self.database = database
        self.clock = clock
        self.location = location
        self.url = url
    }

    /// Where tests begin: Tuesday, 17 November 2026, 09:00 UTC.
    public static let start = Instant(rfc3339: "2026-11-17T09:00:00Z")!

    /// Makes a database; `drop()` removes it.
    /// - Parameter recorder: hears of every statement.
    public static func make(_ kind: Kind, recorder: StatementRecorder? = nil) async throws -> TestDatabase {
        let made = try await begin(kind, as: nil)
        guard let recorder else { return made }
        return TestDatabase(
            kind: kind, database: RecordingDatabase(made.database, recorder), clock: made.clock,
            location: made.location, url: made.url)
    }

    /// What a database held when it was closed, for others to begin with.
    public struct Kept: Sendable {
        fileprivate enum Place: Sendable {
            case file(Data)
            case database(String)
        }

        fileprivate let place: Place
        fileprivate let now: Instant
    }

    /// Closes the database and keeps what it holds, with the time it is there.
    public func keep() async throws -> Kept {
        await database.close()
        let now = clock.clock.now
        switch kind {
        case .sqlite:
            let content = try Data(contentsOf: URL(fileURLWithPath: location))
            removeFiles()
            return Kept(place: .file(content), now: now)
        case .postgres:
            return Kept(place: .database(PostgresTemplate.name(of: location)), now: now)
        }
    }

    /// Makes a database that begins as another one ended.
    public static func make(as kept: Kept) async throws -> TestDatabase {
        switch kept.place {
        case .file: try await begin(.sqlite, as: kept)
        case .database: try await begin(.postgres, as: kept)
        }
    }

    private static func begin(_ kind: Kind, as kept: Kept?) async throws -> TestDatabase {
        let clock = ManualClock(kept?.now ?? start)
        switch kind {
        case .sqlite:
            let path = NSTemporaryDirectory() + "postern-test-\(SecureRandom.bytes(8).hex).db"
            if case .file(let content)? = kept?.place {
                try content.write(to: URL(fileURLWithPath: path))
            } else {
                try await SQLiteTemplate.shared.copy(to: path)
            }
            let database = try SQLiteDatabase(path: path, clock: clock.clock)
            return TestDatabase(kind: kind, database: database, clock: clock, location: path, url: path)
        case .postgres:
            var source: String?
            if case .database(let name)? = kept?.place { source = name }
            let (owner, app) = try await PostgresTemplate.shared.clone(source)
            var settings = PostgresDatabase.Settings(url: app)
            settings.clock = clock.clock
            settings.connections = 8
            // A loaded machine is no reason to fail.
            settings.connectTimeout = .seconds(60)
            settings.queueTimeout = .seconds(60)
            return TestDatabase(
                kind: kind, database: PostgresDatabase(settings), clock: clock, location: owner, url: app)
        }
    }

    /// One of each kind.
    public static func all() async throws -> [TestDatabase] {
        var all: [TestDatabase] = []
        for kind in Kind.allCases { all.append(try await make(kind)) }
        return all
    }

    /// Runs `body` with a fresh database and removes it afterwards.
    public static func with<T>(_ kind: Kind, _ body: (TestDatabase) async throws -> T) async throws -> T {
        let made = try await make(kind)
        do {
            let value = try await body(made)
            await made.drop()
            return value
        } catch {
            await made.drop()
            throw error
        }
    }

    /// Closes and removes the database.
    public func drop() async {
        await database.close()
        switch kind {
        case .sqlite: removeFiles()
        case .postgres: await PostgresTemplate.shared.drop(location)
        }
    }

    private func removeFiles() {
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: location + suffix) }
    }

    /// Writes past every guard, as somebody with the file or a superuser could: triggers do not fire.
    public func tamper(_ statements: [Statement]) async throws {
        switch kind {
        case .sqlite:
            try await database.write { writer in
                let triggers = try writer.query(
                    Statement("SELECT name, tbl_name AS place, sql FROM sqlite_master WHERE type = 'trigger'")
                ).map { (name: try $0.string("name"), table: try $0.string("place"), sql: try $0.string("sql")) }
                // Of the tables that are written; there are many others.
                let guards = triggers.filter { trigger in statements.contains { $0.text.contains(trigger.table) } }
                for trigger in guards { try writer.execute(Statement("DROP TRIGGER \"\(trigger.name)\"")) }
                for statement in statements { try writer.execute(statement) }
                for trigger in guards { try writer.execute(Statement(trigger.sql)) }
            }
        case .postgres:
            try await asOwner { writer in
                try writer.execute(Statement("SET LOCAL session_replication_role = replica"))
                for statement in statements { try writer.execute(statement) }
            }
        }
    }

    /// Runs a transaction as the owner of the database (SQLite has no roles: as the server).
    public func asOwner<T: Sendable>(_ body: @escaping @Sendable (any Writer) throws -> T) async throws -> T {
        guard kind == .postgres else { return try await database.write(body) }
        let owner = PostgresDatabase(url: location)
        do {
            let value = try await owner.write(body)
            await owner.close()
            return value
        } catch {
            await owner.close()
            throw error
        }
    }
}

/// A migrated file that test databases begin as.
private actor SQLiteTemplate {
    static let shared = SQLiteTemplate()

    private var content: Task<Data, any Error>?

    func copy(to path: String) async throws {
        let task = content ?? Task { try await Self.make() }
        content = task
        try (try await task.value).write(to: URL(fileURLWithPath: path))
    }

    private static func make() async throws -> Data {
        let path = NSTemporaryDirectory() + "postern-test-\(SecureRandom.bytes(8).hex)-template.db"
        defer {
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        }
        let database = try SQLiteDatabase(path: path, clock: ManualClock(TestDatabase.start).clock)
        try await Migrator.migrate(database)
        // What was written is in the file alone from here on.
        await database.close()
        return try Data(contentsOf: URL(fileURLWithPath: path))
    }
}

/// A migrated PostgreSQL database that test databases are copied from, one for each form of the schema.
private actor PostgresTemplate {
    static let shared = PostgresTemplate()

    static let ownerURL =
        ProcessInfo.processInfo.environment["POSTERN_TEST_POSTGRES"]
        ?? "postgres://postgres@127.0.0.1:54329/postgres"

    static let isAvailable: Bool = {
        if ProcessInfo.processInfo.environment["POSTERN_TEST_POSTGRES"] != nil { return true }
        return accepts(port: 54329)
    }()

    private static let prefix = "postern_test_\(getpid())_"
    private static let password = "only-for-tests-0123456789"
    private var template: Task<String, any Error>?
    private var count = 0

    /// - Parameter kept: a database of the same schema to copy instead, which nobody is connected to.
    /// - Returns: URLs of the owner and of the server's role.
    func clone(_ kept: String?) async throws -> (owner: String, app: String) {
        let task = template ?? Task { try await Self.makeTemplate() }
        template = task
        let source = try await task.value
        count += 1
        let name = Self.prefix + String(count)
        try await Self.administer(["CREATE DATABASE \(name) TEMPLATE \(kept ?? source)"])
        return (
            Self.url(name, user: nil), Self.url(name, user: "postern_app_\(source)_new")
        )
    }

    static func name(of owner: String) -> String { String(URLComponents(string: owner)?.path.dropFirst() ?? "") }

    func drop(_ owner: String) async {
        let name = Self.name(of: owner)
        guard name.hasPrefix(Self.prefix) else { return }
        try? await Self.administer(["DROP DATABASE IF EXISTS \(name) WITH (FORCE)"])
    }

    private static func makeTemplate() async throws -> String {
        let form = sha256(
            Array(Migration.all.map { $0.checksum(.postgres) }.joined().utf8) + Array(ServerRole.rightsChecksum.utf8))
        let name = "postern_tpl_" + form.hex.prefix(16)
        let admin = PostgresDatabase(url: ownerURL)
        let leadership = PostgresLeadership(url: ownerURL)
        // Other test processes may want the same template: one makes it, the others wait.
        var lease = try await leadership.acquire("postern.test_template")
        while lease == nil {
            try await Task.sleep(for: .milliseconds(100))
            lease = try await leadership.acquire("postern.test_template")
        }
        do {
            try await removeAbandoned(admin)
            let found = try await admin.read { reader in
                try reader.first(Statement("SELECT 1 AS one FROM pg_database WHERE datname = $1", [.text(name)]))
            }
            if found == nil {
                try await administer([
                    "DROP DATABASE IF EXISTS \(name)_new", "CREATE DATABASE \(name)_new TEMPLATE template0",
                ])
                let target = PostgresDatabase(url: url(name + "_new", user: nil))
                try await Migrator.migrate(target)
                await target.close()
                // Before it gets its name: nobody may be connected to a database that is being copied.
                _ = try await ServerRole.ensure(ownerURL: url(name + "_new", user: nil), password: password)
                try await administer(["ALTER DATABASE \(name)_new RENAME TO \(name)"])
            }
        } catch {
            await lease?.release()
            await admin.close()
            throw error
        }
        await lease?.release()
        await admin.close()
        return name
    }

    /// Databases of test processes that ended without dropping them.
    private static func removeAbandoned(_ admin: PostgresDatabase) async throws {
        let names = try await admin.read { reader in
            try reader.query(
                Statement("SELECT datname::text AS name FROM pg_database WHERE datname LIKE 'postern\\_test\\_%'")
            ).map { try $0.string("name") }
        }
        for name in names {
            let parts = name.split(separator: "_")
            guard parts.count == 4, let process = Int32(parts[2]), kill(process, 0) != 0, errno == ESRCH else {
                continue
            }
            try? await administer(["DROP DATABASE IF EXISTS \(name) WITH (FORCE)"])
        }
    }

    private static func administer(_ statements: [String]) async throws {
        try await PostgresDatabase.administer(url: ownerURL, statements)
    }

    private static func url(_ database: String, user: String?) -> String {
        var components = URLComponents(string: ownerURL)!
        components.path = "/" + database
        if let user {
            components.user = user
            components.password = password
        }
        return components.string!
    }

    private static func accepts(port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
