import Kernel

/// How two transactions of a test wait for each other on PostgreSQL.
enum RecordedReadsQueries {
    private static let key = 7_104_331

    static let announce = Statement("SELECT pg_advisory_xact_lock(\(key))::text AS done")
    static let announced = Statement(
        """
        SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory' AND objid = \(key)
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """)
    /// Somebody waits for a row of this transaction.
    static let waiting = Statement(
        """
        SELECT 1 AS one FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'
            AND transactionid = pg_current_xact_id()::xid LIMIT 1
        """)
}
