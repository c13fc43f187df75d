import Kernel

/// Functions and triggers the log stands on.
enum Guards {
    @Sendable static func statements(_ dialect: Dialect) -> [String] {
        dialect == .postgres ? postgres : sqlite
    }

    // Every function fixes its search_path with pg_temp last: otherwise a session could shadow `events` with a
    // temporary table of its own and so forge what the function sees.
    private static let postgres = [
        """
        CREATE FUNCTION postern_expect_rows(actual bigint, expected bigint) RETURNS bigint
        LANGUAGE plpgsql AS $$
        BEGIN
            IF actual IS DISTINCT FROM expected THEN
                RAISE EXCEPTION 'expected % rows, wrote %', expected, actual
                    USING ERRCODE = 'PT001', DETAIL = expected::text;
            END IF;
            RETURN actual;
        END $$
        """,
        // An event says itself in which transaction it was written; nobody else can.
        """
        CREATE FUNCTION postern_stamp_event() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            NEW.tx := pg_current_xact_id();
            NEW.tx_at := transaction_timestamp();
            RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER stamp BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION postern_stamp_event()",
        // entity_head names the newest event of a row, so the look-up costs the same however long its history is.
        // The transaction's time is compared as well: a bare xid collides after a restore.
        """
        CREATE FUNCTION postern_governed() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            ids text[];
            one text;
        BEGIN
            IF TG_OP = 'INSERT' THEN ids := ARRAY[NEW.id];
            ELSIF TG_OP = 'DELETE' THEN ids := ARRAY[OLD.id];
            ELSIF NEW.id = OLD.id THEN ids := ARRAY[NEW.id];
            ELSE ids := ARRAY[OLD.id, NEW.id];
            END IF;
            FOREACH one IN ARRAY ids LOOP
                IF NOT EXISTS (
                    SELECT 1 FROM public.entity_head h
                    JOIN public.event_entity n ON n.type = h.type AND n.id = h.id AND n.event_id = h.event_id
                    JOIN public.events e ON e.id = h.event_id
                    WHERE h.type = TG_ARGV[0] AND h.id = one
                        AND e.tx = pg_current_xact_id() AND e.tx_at = transaction_timestamp())
                THEN
                    RAISE EXCEPTION '% % was written without an event that names it', TG_ARGV[0], one
                        USING ERRCODE = 'PT002';
                END IF;
            END LOOP;
            RETURN NULL;
        END $$
        """,
        """
        CREATE FUNCTION postern_no_truncate() RETURNS trigger
        LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            RAISE EXCEPTION '% can''t be truncated', TG_TABLE_NAME USING ERRCODE = 'PT002';
        END $$
        """,
        // The only door through which sealed values are removed. It runs with the owner's rights; the server's role
        // may not touch `sealed` in any other way.
        """
        CREATE FUNCTION postern_erase(erased_subject text, erasure_event text)
        RETURNS TABLE (event_id text, member text, ground text)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        #variable_conflict use_column
        DECLARE
            entry record;
        BEGIN
            IF NOT EXISTS (
                SELECT 1 FROM public.events e WHERE e.id = erasure_event AND e.action LIKE 'erasure.%'
                    AND e.target_id = erased_subject
                    AND e.tx = pg_current_xact_id() AND e.tx_at = transaction_timestamp())
            THEN
                RAISE EXCEPTION 'no erasure event % about % in this transaction', erasure_event, erased_subject
                    USING ERRCODE = 'PT002';
            END IF;
            FOR entry IN
                SELECT s.event_id AS event, array_agg(s.member ORDER BY s.member) AS members, e.retention_class AS kept
                FROM public.sealed_subject s JOIN public.events e ON e.id = s.event_id
                WHERE s.subject = erased_subject AND NOT EXISTS (
                    SELECT 1 FROM public.sealed_erasure x WHERE x.event_id = s.event_id AND x.member = s.member)
                GROUP BY s.event_id, e.retention_class ORDER BY s.event_id
            LOOP
                IF entry.kept IN ('legal_hold', 'financial_7y') THEN
                    RETURN QUERY SELECT entry.event::text, m::text, entry.kept::text FROM unnest(entry.members) m;
                ELSE
                    UPDATE public.sealed SET members = (members::jsonb - entry.members::text[])::text
                    WHERE event_id = entry.event;
                    INSERT INTO public.sealed_erasure (event_id, member, erased_by)
                    SELECT entry.event, m, erasure_event FROM unnest(entry.members) m;
                    RETURN QUERY SELECT entry.event::text, m::text, NULL::text FROM unnest(entry.members) m;
                END IF;
            END LOOP;
        END $$
        """,
        "REVOKE ALL ON FUNCTION postern_erase(text, text) FROM PUBLIC",
    ]

    /// Tables whose rows are written once.
    private static let appendOnly = [
        "events", "event_entity", "sealed_subject", "sealed_erasure", "log_leaf", "log_tile", "log_checkpoint",
        "tenant_status_history",
    ]

    private static let sqlite =
        appendOnly.flatMap { table in
            ["UPDATE", "DELETE"].map { verb in
                """
                CREATE TRIGGER \(table)_no_\(verb.lowercased()) BEFORE \(verb) ON \(table)
                BEGIN SELECT RAISE(ABORT, '\(table) is append-only'); END
                """
            }
        } + [
            // The driver remembers the events of a savepoint and the rows they name. Only an event of the same
            // savepoint counts: naming a row under an old event opens nothing.
            "CREATE TRIGGER events_witness AFTER INSERT ON events BEGIN SELECT postern_event(NEW.id, NEW.action); END",
            """
            CREATE TRIGGER event_entity_witness AFTER INSERT ON event_entity
            BEGIN SELECT postern_witness(NEW.event_id, NEW.type, NEW.id); END
            """,
            """
            CREATE TRIGGER sealed_no_delete BEFORE DELETE ON sealed
            BEGIN SELECT RAISE(ABORT, 'sealed is append-only'); END
            """,
            // postern_erasing() answers 1 only inside the erasure door.
            """
            CREATE TRIGGER sealed_no_update BEFORE UPDATE ON sealed WHEN postern_erasing() IS NOT 1
            BEGIN SELECT RAISE(ABORT, 'sealed values are removed by an erasure only'); END
            """,
            """
            CREATE TRIGGER sealed_erasure_door BEFORE INSERT ON sealed_erasure WHEN postern_erasing() IS NOT 1
            BEGIN SELECT RAISE(ABORT, 'sealed values are removed by an erasure only'); END
            """,
        ]
}
