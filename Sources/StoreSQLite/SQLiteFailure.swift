import GRDB
import GRDBSQLite
import Kernel

/// SQLite's error codes in the store's words.
enum SQLiteFailure {
    // Extended codes, which SQLite's header spells as expressions Swift does not import.
    private static let uniqueIndex = SQLITE_CONSTRAINT | 8 << 8
    private static let primaryKey = SQLITE_CONSTRAINT | 6 << 8
    private static let rowID = SQLITE_CONSTRAINT | 10 << 8
    private static let failedWrite = SQLITE_IOERR | 3 << 8

    static func storeError(_ error: any Error, _ database: GRDB.Database?, isReadOnly: Bool) -> StoreError {
        if let error = error as? StoreError { return error }
        guard let error = error as? DatabaseError else { return .other(String(describing: error)) }
        return map(
            Int32(error.extendedResultCode.rawValue), error.message ?? "", database?.sqliteConnection,
            isReadOnly: isReadOnly)
    }

    /// The connection's last error.
    static func storeError(_ connection: OpaquePointer?, isReadOnly: Bool) -> StoreError {
        map(
            sqlite3_extended_errcode(connection), String(cString: sqlite3_errmsg(connection)), connection,
            isReadOnly: isReadOnly)
    }

    private static func map(_ code: Int32, _ message: String, _ connection: OpaquePointer?, isReadOnly: Bool)
        -> StoreError
    {
        switch code {
        case uniqueIndex, primaryKey, rowID:
            return .unique(constraint: connection.map { UniqueIndexes.name(for: message, $0) } ?? message)
        default: break
        }
        switch code & 0xFF {
        case SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG: return .constraint(message)
        case SQLITE_FULL: return .full(message)
        case SQLITE_READONLY:
            return isReadOnly ? .other("A read transaction can't write.") : .full("The database is read-only.")
        case SQLITE_IOERR:
            // A write that fails for want of space or quota is reported as an I/O error by some file systems.
            return code == failedWrite ? .full(message) : .unavailable(message, mayHaveCommitted: false)
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CANTOPEN, SQLITE_NOMEM, SQLITE_INTERRUPT:
            return .unavailable(message, mayHaveCommitted: false)
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return .other("The file is damaged, or no database of Postern's: \(message)")
        default:
            if message.hasPrefix(WriteScope.refusalPrefix) {
                return .ungoverned(String(message.dropFirst(WriteScope.refusalPrefix.count)))
            }
            return .other(message)
        }
    }
}

/// SQLite names the columns of a violated unique rule, PostgreSQL the index: this finds the index, and gives rules that
/// were declared inside a table the names PostgreSQL gives them.
enum UniqueIndexes {
    static func name(for message: String, _ connection: OpaquePointer) -> String {
        let prefix = "UNIQUE constraint failed: "
        guard message.hasPrefix(prefix) else { return message }
        let columns = String(message.dropFirst(prefix.count))
        // An index over an expression is named by SQLite itself.
        if columns.hasPrefix("index '") { return String(columns.dropFirst(7).dropLast()) }
        let parts = columns.split(separator: ", ").map { $0.split(separator: ".", maxSplits: 1).map(String.init) }
        guard let table = parts.first?.first, parts.allSatisfy({ $0.count == 2 }) else { return message }
        let wanted = parts.map { $0[1] }
        let indexes = rows(
            "SELECT name, origin FROM pragma_index_list(?1) WHERE \"unique\" = 1 ORDER BY name", table, connection)
        for index in indexes {
            let found = rows("SELECT name, name FROM pragma_index_info(?1) ORDER BY seqno", index.0, connection)
            guard found.map(\.0) == wanted else { continue }
            switch index.1 {
            case "c": return index.0
            case "pk": return "\(table)_pkey"
            default: return "\(table)_\(wanted.joined(separator: "_"))_key"
            }
        }
        // The row id itself has no index.
        return "\(table)_pkey"
    }

    private static func rows(_ sql: String, _ argument: String, _ connection: OpaquePointer) -> [(String, String)] {
        var handle: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &handle, nil) == SQLITE_OK else { return [] }
        defer { sqlite3_finalize(handle) }
        sqlite3_bind_text(handle, 1, argument, -1, unsafeBitCast(-1, to: sqlite3_destructor_type.self))
        var rows: [(String, String)] = []
        while sqlite3_step(handle) == SQLITE_ROW {
            rows.append(
                (String(cString: sqlite3_column_text(handle, 0)), String(cString: sqlite3_column_text(handle, 1))))
        }
        return rows
    }
}
