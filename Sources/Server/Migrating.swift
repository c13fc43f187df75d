import CommandLine
import Consoles
import Foundation
import Kernel
import Store
import StorePostgres

extension Deployment {
    /// What `postern migrate` did.
    struct MigrationOutcome: Sendable {
        let applied: [Migrator.Applied]
        /// The role made or renewed on PostgreSQL.
        let role: String?
        let isPolicySeeded: Bool
    }

    /// Brings the schema up to date as the owner, renews the server's role, makes missing keys of a new database and seeds
    /// the policy through the pipeline.
    func migrate(clock: Clock? = nil) async throws(CommandFailure) -> MigrationOutcome {
        let owner = ownerStorage
        do {
            // Asked for before anything is made: a database that lacks its log's name can't be served.
            if try SecretKeys.lacksOrigin(configuration) { throw SecretKeys.missingOrigin }
            let (database, _) = try owner.open(clock: clock)
            let applied: [Migrator.Applied]
            let isNew: Bool
            do {
                applied = try await Migrator.migrate(database)
                isNew = try await database.read { try SQLLogStore().state($0) } == nil
                await database.close()
            } catch {
                await database.close()
                throw error
            }
            var role: String?
            if case .postgres(let url) = owner {
                role =
                    URLComponents(string: try await ServerRole.ensure(ownerURL: url, password: try rolePassword()))?
                    .user
            }
            let isPolicySeeded = try await seedPolicy(makesKeys: isNew, clock: clock)
            return MigrationOutcome(applied: applied, role: role, isPolicySeeded: isPolicySeeded)
        } catch {
            throw CommandFailure(error, owner)
        }
    }

    /// The server role's password: the one in database_url, else the one kept in a file, else a new one kept there.
    private func rolePassword() throws -> String {
        if case .postgres(let url) = storage, let parts = URLComponents(string: url), let password = parts.password,
            parts.user?.hasPrefix(ServerRole.namePrefix) == true
        {
            return password
        }
        try PrivateFile.makeDirectory((rolePasswordFile as NSString).deletingLastPathComponent)
        return try ServerRole.password(file: rolePasswordFile)
    }

    private func seedPolicy(makesKeys: Bool, clock: Clock?) async throws -> Bool {
        let running = try await Running.open(self, clock: clock, makesKeys: makesKeys)
        do {
            let isNeeded = try await running.database.read { try SeedPolicy.isNeeded($0) }
            if isNeeded { _ = try await running.applied(SeedPolicy.spec.name, by: .system("migrate")) }
            // Names the log in the database, so that from now on no other key continues it.
            try await running.sequencer.turn()
            await running.close()
            return isNeeded
        } catch {
            await running.close()
            throw error
        }
    }

    /// The database as the server connects to it. With an owner's URL only, whichever setting holds it, it connects as the
    /// role that `migrate` made.
    func serverStorage() async throws -> Storage {
        guard case .postgres(let url) = storage, var parts = URLComponents(string: url) else { return storage }
        if parts.user?.hasPrefix(ServerRole.namePrefix) == true {
            // The password may stay where migrate put it.
            guard parts.password == nil, let password = try PrivateFile.read(rolePasswordFile) else { return storage }
            parts.password = password.trimmingCharacters(in: .whitespacesAndNewlines)
            return Storage(url: parts.string ?? url)
        }
        guard isDemo || isLedByOwner || configuration.text("migrate_database_url") == nil else { return storage }
        guard let password = try PrivateFile.read(rolePasswordFile) else {
            throw CommandFailure(.refused, "The database has no role for the server yet. Run: postern migrate")
        }
        // Without a name in it, a URL leads to the database that is called like the user.
        let name = parts.path.drop { $0 == "/" }.isEmpty ? parts.user ?? "" : String(parts.path.drop { $0 == "/" })
        parts.path = "/\(name)"
        parts.user = ServerRole.name(forDatabase: name)
        parts.password = password.trimmingCharacters(in: .whitespacesAndNewlines)
        return Storage(url: parts.string ?? url)
    }

    /// Outside the demo the server's role must not be able to write around the log.
    func refuseTooPowerful(_ database: any Database) async throws {
        guard database.dialect == .postgres else { return }
        let reasons = try await ServerRole.excess(database)
        guard reasons.isEmpty else {
            throw CommandFailure(
                .refused,
                """
                The server's database role may do too much:
                \(reasons.map { "- \($0)" }.joined(separator: "\n"))
                Set POSTERN_MIGRATE_DATABASE_URL to the owner's URL, run postern migrate, and let POSTERN_DATABASE_URL name the \
                role it made.
                """)
        }
    }

    /// The demo's keys and data are known to whoever tried it: they never run in production.
    func refuseDemoSecrets(_ keys: SecretKeys, _ database: any Database) async throws {
        guard !isDemo else { return }
        let origin = try await database.read { try SQLLogStore().state($0) }?.origin
        var reasons: [String] = []
        if let origin, Self.isDemoOrigin(origin) { reasons.append("The database was made by postern demo.") }
        if Self.isDemoOrigin(keys.log.name) { reasons.append("The log key is the demo's.") }
        for key in ["log_key", "master_key", "pepper"] {
            guard case .file(let path) = SecretKeys.Place(key, configuration) else { continue }
            let folder = (path as NSString).deletingLastPathComponent
            for place in [folder, (folder as NSString).deletingLastPathComponent]
            where FileManager.default.fileExists(atPath: place + "/demo.json") {
                reasons.append("\(key)_file lies in a demo's directory, \(place).")
                break
            }
        }
        guard reasons.isEmpty else {
            throw CommandFailure(
                .refused,
                """
                This is \(environment), and these are the demo's:
                \(reasons.map { "- \($0)" }.joined(separator: "\n"))
                Use a database and keys of its own; postern migrate makes them.
                """)
        }
    }
}
