import CommandLine
import Foundation
import Kernel
import Store
import StoreSQLite

/// `postern backup` and `postern restore`: the database alone. Keys and `checkpoints.log` are kept apart, or a stolen backup
/// would hold the keys, and a restored one could not be told from the truth.
extension ServerInstallation {
    // MARK: Backup

    func backUp(to path: String) async throws -> String {
        let deployment = try Deployment.load(environment: environment)
        guard !FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure(.usage, "\(path) is there already; a backup never replaces another.")
        }
        // Written under another name first, so that what has the right name is whole.
        let temporary = "\(path).part-\(SecureRandom.bytes(6).hex)"
        defer { unlink(temporary) }
        let storage = deployment.ownerStorage
        do {
            switch storage {
            case .sqlite(let database):
                guard FileManager.default.fileExists(atPath: database) else {
                    throw CommandFailure(.notFound, "There is no database at \(database).")
                }
                terminal.progress("Copying \(database)")
                try SQLiteFile.copy(from: database, to: temporary)
            case .postgres(let url):
                terminal.progress("pg_dump is running")
                try PrivateFile.write("", to: temporary)
                try tool("pg_dump", ["--format=custom", "--no-owner", "--no-acl", "--file", temporary], url)
            }
            terminal.endProgress()
            try Self.keep(temporary, as: path)
        } catch {
            terminal.endProgress()
            throw CommandFailure(error, storage)
        }
        let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int64) ?? nil
        return """
            \(path): \((size ?? 0) >> 10) KiB.
            Not in it, and needed beside it: the log key, the master key, the pepper, and checkpoints.log, which tells a restored \
            database from a newer one. Keep them elsewhere.
            """
    }

    /// Mode 0600, on disk, under its name.
    private static func keep(_ temporary: String, as path: String) throws {
        let file = open(temporary, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw CommandFailure(.unexpected, "\(temporary) can't be read again.") }
        defer { close(file) }
        guard fchmod(file, 0o600) == 0, fsync(file) == 0, link(temporary, path) == 0 else {
            throw CommandFailure(.unavailable, "\(path) can't be written: \(String(cString: strerror(errno))).")
        }
        let folder = (path as NSString).deletingLastPathComponent
        let handle = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
        guard handle >= 0 else { return }
        defer { close(handle) }
        _ = fsync(handle)
    }

    // MARK: Restore

    func restore(from path: String, replacing: Bool) async throws -> String {
        let deployment = try Deployment.load(environment: environment)
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw CommandFailure(.notFound, "\(path) can't be read.")
        }
        let storage = deployment.ownerStorage
        var said: [String] = []
        do {
            switch storage {
            case .sqlite(let database):
                if let kept = try await restoreFile(path, to: database, replacing: replacing) {
                    said.append("What stood there before is now \(kept).")
                }
            case .postgres(let url): try await restoreDump(path, url, storage)
            }
            terminal.endProgress()
            said.append(try await standing(storage, deployment))
        } catch {
            terminal.endProgress()
            throw CommandFailure(error, storage)
        }
        return said.joined(separator: "\n")
    }

    private func restoreFile(_ path: String, to database: String, replacing: Bool) async throws -> String? {
        terminal.progress("Checking \(path)")
        let tables = try SQLiteFile.tables(at: path)
        guard tables.contains("log_state"), tables.contains("schema_migrations") else {
            throw CommandFailure(.usage, "\(path) is not a backup of Postern's.")
        }
        let damage = try SQLiteFile.damage(at: path)
        guard damage.isEmpty else {
            throw CommandFailure(.refused, "\(path) is damaged: \(damage.prefix(3).joined(separator: "; "))")
        }
        try PrivateFile.makeDirectory((database as NSString).deletingLastPathComponent)
        guard let lease = try await SQLiteLeadership(path: database).acquire(Sequencer.leaderName) else {
            throw CommandFailure(.refused, "A server runs on \(database). Stop it first.")
        }
        var kept: String?
        do {
            if FileManager.default.fileExists(atPath: database) {
                guard replacing else {
                    throw CommandFailure(
                        .refused,
                        "\(database) is there already. Add --replace to move it aside and put the backup there.")
                }
                let moved = "\(database).replaced-\(SecureRandom.bytes(4).hex)"
                for companion in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: database + companion)
                {
                    guard rename(database + companion, moved + companion) == 0 else {
                        throw CommandFailure(.unavailable, "\(database + companion) can't be moved aside.")
                    }
                }
                kept = moved
            }
            let temporary = "\(database).part-\(SecureRandom.bytes(6).hex)"
            defer { unlink(temporary) }
            terminal.progress("Copying \(path)")
            try SQLiteFile.copy(from: path, to: temporary)
            try Self.keep(temporary, as: database)
            await lease.release()
        } catch {
            await lease.release()
            throw error
        }
        return kept
    }

    private func restoreDump(_ path: String, _ url: String, _ storage: Storage) async throws {
        let (database, _) = try storage.open()
        let count: Int64
        do {
            count = try await IntegrityQueries.tableCount(database)
            await database.close()
        } catch {
            await database.close()
            throw error
        }
        guard count == 0 else {
            throw CommandFailure(
                .refused,
                "\(storage.description) has \(count) tables already. Restore into an empty database, and point the settings to it."
            )
        }
        terminal.progress("pg_restore is running")
        try tool(
            "pg_restore", ["--exit-on-error", "--single-transaction", "--no-owner", "--no-acl", path], url)
    }

    /// How the log that was put back stands to the checkpoints that were published.
    private func standing(_ storage: Storage, _ deployment: Deployment) async throws -> String {
        let (database, _) = try storage.open()
        let size: Int64
        do {
            size = try await database.read { try SQLLogStore().state($0) }?.size ?? 0
            await database.close()
        } catch {
            await database.close()
            throw error
        }
        let path = deployment.configuration.value("checkpoints_file")
        var newest: Int64 = 0
        for case .checkpoint(let note) in try CheckpointFile(path: path).tail() {
            if let checkpoint = try? Checkpoint(text: try SignedNote(parsing: note).text) {
                newest = max(newest, checkpoint.size)
            }
        }
        let next =
            if case .postgres = storage {
                "Run postern migrate, which renews the server's role, then start the server."
            } else {
                "Run postern migrate if the program is newer than the backup, then start the server."
            }
        guard newest > size else { return "The log has \(size) entries. \(next)" }
        return """
            The log has \(size) entries, but a checkpoint of \(newest) was published (\(path)): \(newest - size) entries are lost, \
            and the server refuses to go on as if they had never been. If no newer backup exists, run postern migrate, and then \
            open a successor, whose first record says so, signed by both keys: postern audit successor --origin NAME
            """
    }

    // MARK: Programs of PostgreSQL's own

    /// Runs a program on the owner's database. The password travels in the environment, never in the arguments.
    private func tool(_ name: String, _ arguments: [String], _ url: String) throws(CommandFailure) {
        guard var parts = URLComponents(string: url), url.contains("://") else {
            throw CommandFailure(.usage, "Give the database as a URL: postgres://USER@HOST/DATABASE")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        var environment = ProcessInfo.processInfo.environment
        if let password = parts.password { environment["PGPASSWORD"] = password }
        parts.password = nil
        process.arguments = [name, "--dbname", parts.string ?? ""] + arguments
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        let errors = Pipe()
        process.standardError = errors
        let said: String
        do {
            try process.run()
            said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        } catch {
            throw CommandFailure(.unexpected, "\(name) can't be run: \(error)")
        }
        process.waitUntilExit()
        switch process.terminationStatus {
        case 0: return
        case 127:
            throw CommandFailure(.unavailable, "\(name) is not installed here. Install PostgreSQL's client programs.")
        default:
            throw CommandFailure(
                .unavailable, "\(name) failed: \(said.trimmingCharacters(in: .whitespacesAndNewlines).prefix(2000))")
        }
    }
}
