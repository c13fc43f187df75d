import Kernel

/// What every recorded look costs PostgreSQL.
enum Migration016 {
    /// Rows that belong to an event, which is written in the same transaction.
    private static let parts = ["sealed", "sealed_subject", "log_pending"]

    @Sendable static func special(_ dialect: Dialect) -> [String] {
        guard dialect == .postgres else { return [] }
        return [
            // As before, without a search_path of its own: setting one costs each row as much as the rest, and every name here is
            // qualified.
            """
            CREATE OR REPLACE FUNCTION postern_stamp_event() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                NEW.tx := pg_catalog.pg_current_xact_id();
                NEW.tx_at := pg_catalog.transaction_timestamp();
                RETURN NEW;
            END $$
            """,
            // A foreign key asks for the event, and locks it, once for each row. This asks once for all rows of a statement; the
            // event can't be deleted meanwhile, because it is as new as they are. As a subquery for each row, and not as a
            // join: the plan is made once, and must be the index's however many rows come first.
            """
            CREATE FUNCTION postern_of_event() RETURNS trigger
            LANGUAGE plpgsql AS $$
            DECLARE
                wrong text;
            BEGIN
                SELECT w.event_id INTO wrong FROM written AS w
                WHERE (SELECT true FROM public.events AS e WHERE e.id OPERATOR(pg_catalog.=) w.event_id) IS NOT TRUE LIMIT 1;
                IF FOUND THEN
                    RAISE EXCEPTION 'a row of % belongs to the event %, which is not there', TG_TABLE_NAME, wrong
                        USING ERRCODE = 'foreign_key_violation';
                END IF;
                RETURN NULL;
            END $$
            """,
        ]
            + parts.flatMap { table in
                [
                    "ALTER TABLE \(table) DROP CONSTRAINT \(table)_event_id_fkey",
                    """
                    CREATE TRIGGER of_event AFTER INSERT ON \(table) REFERENCING NEW TABLE AS written
                    FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event()
                    """,
                    // Nobody may update them; should rights ever be given, a row still can't go to an event that is not there.
                    """
                    CREATE TRIGGER of_event_changed AFTER UPDATE ON \(table) REFERENCING NEW TABLE AS written
                    FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event()
                    """,
                ]
            }
    }
}
