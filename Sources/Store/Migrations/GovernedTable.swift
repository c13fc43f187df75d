import Kernel

/// The triggers that keep a table's rows from being written without an event that names them (spec: audit-log §5).
enum GovernedTable {
    static func triggers(_ table: String, type: String, _ dialect: Dialect) -> [String] {
        switch dialect {
        case .postgres:
            // Deferred to the commit, because the event is written last.
            [
                """
                CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON \(table)
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('\(type)')
                """,
                """
                CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON \(table)
                FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate()
                """,
            ]
        case .sqlite:
            // postern_governed exists only on the driver's own connection, so another program's write fails; the
            // driver asks for the event at the end of the savepoint.
            [
                """
                CREATE TRIGGER governed_\(table)_insert AFTER INSERT ON \(table)
                BEGIN SELECT postern_governed('\(type)', NEW.id); END
                """,
                """
                CREATE TRIGGER governed_\(table)_update AFTER UPDATE ON \(table)
                BEGIN SELECT postern_governed('\(type)', OLD.id), postern_governed('\(type)', NEW.id); END
                """,
                """
                CREATE TRIGGER governed_\(table)_delete AFTER DELETE ON \(table)
                BEGIN SELECT postern_governed('\(type)', OLD.id); END
                """,
            ]
        }
    }
}
