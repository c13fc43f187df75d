import GRDB
import Kernel

/// A look at a file that may be anybody's, before it is opened as ours.
public enum SQLiteFile {
    /// The names of the tables in a database file. Reads only: opening it as ours would change its journal mode.
    /// - Throws: `StoreError` when it is no database, or can't be read.
    public static func tables(at path: String) throws -> [String] {
        var configuration = Configuration()
        configuration.readonly = true
        do {
            return try DatabaseQueue(path: path, configuration: configuration).read { connection in
                try String.fetchAll(
                    connection, sql: "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            }
        } catch {
            throw StoreError.other("\(path) is not a database that can be read: \(error)")
        }
    }
}
