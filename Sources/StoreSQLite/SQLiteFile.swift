import GRDB
import Kernel

/// A look at a file that may be anybody's, before it is opened as ours.
public enum SQLiteFile {
    /// The names of the tables in a database file. Nothing of it is changed, unless its last writer ended in the middle of a
    /// transaction, which has to be rolled back before anything can be read: opening it as ours would change its journal mode.
    /// - Throws: `StoreError` when it is no database, or can't be read.
    public static func tables(at path: String) throws -> [String] {
        do {
            return try look(at: path) { connection in
                try String.fetchAll(
                    connection, sql: "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            }
        } catch {
            throw StoreError.other("\(path) is not a database that can be read: \(error)")
        }
    }

    /// Writes a copy of one moment to a new file, while others read and write.
    /// - Throws: `StoreError`.
    public static func copy(from path: String, to target: String) throws {
        do {
            // Outside a transaction, as VACUUM must be. A connection that only reads would not recover the WAL of a server
            // that ended hard.
            try DatabaseQueue(path: path).writeWithoutTransaction { connection in
                try connection.execute(sql: "VACUUM INTO ?", arguments: [target])
            }
        } catch {
            throw StoreError.other("\(path) can't be copied to \(target): \(error)")
        }
    }

    /// What the database's own check finds wrong, a line each.
    /// - Throws: `StoreError` when the file can't be read at all.
    public static func damage(at path: String) throws -> [String] {
        do {
            return try look(at: path) { connection in
                try String.fetchAll(connection, sql: "PRAGMA integrity_check(20)").filter { $0 != "ok" }
            }
        } catch {
            throw StoreError.other("\(path) can't be checked: \(error)")
        }
    }

    private static func look<Answer>(at path: String, _ read: (GRDB.Database) throws -> Answer) throws -> Answer {
        var configuration = Configuration()
        configuration.readonly = true
        do {
            return try DatabaseQueue(path: path, configuration: configuration).read(read)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_READONLY {
            // Whoever wrote it ended hard in the middle of a transaction. What is in the file then is neither before nor after
            // it until the journal is rolled back, which is left to the first connection that may write.
            configuration.readonly = false
            return try DatabaseQueue(path: path, configuration: configuration).read(read)
        }
    }
}
