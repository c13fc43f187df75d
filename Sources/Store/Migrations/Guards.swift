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
        #variable_conflict use_column
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
                WHERE s.subject = erased_subject AND s.event_id <> erasure_event AND NOT EXISTS (
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
        // The only door through which events leave for the archive. What it removes it works out itself: no caller can
        // name a row that is not due, is the last word on a governed row, or explains why something else is gone.
        """
        CREATE FUNCTION postern_prune(prune_event text, pruned text) RETURNS bigint
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        #variable_conflict use_column
        DECLARE
            ids text[] := ARRAY(SELECT DISTINCT jsonb_array_elements_text(pruned::jsonb));
            moment bigint := (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint;
            named text[];
            kinds text[];
            targets text[];
            wrong text;
            removed bigint;
        BEGIN
            IF NOT EXISTS (
                SELECT 1 FROM public.events e WHERE e.id = prune_event AND e.action = 'retention.pruned'
                    AND e.tx = pg_current_xact_id() AND e.tx_at = transaction_timestamp())
            THEN
                RAISE EXCEPTION 'no event % of retention in this transaction', prune_event USING ERRCODE = 'PT002';
            END IF;
            SELECT w.id INTO wrong FROM unnest(ids) AS w (id)
            LEFT JOIN public.events e ON e.id = w.id LEFT JOIN public.log_leaf l ON l.event_id = w.id
            WHERE l.idx IS NULL OR e.action LIKE 'erasure.%' OR e.action = 'retention.pruned'
                OR e.at >= moment - 86400000000 * CASE e.retention_class
                    \(retentionCases)
                    ELSE NULL END IS NOT FALSE
            LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'event % must be kept', wrong USING ERRCODE = 'PT002';
            END IF;
            SELECT array_agg(n.event), array_agg(n.type), array_agg(n.id) INTO named, kinds, targets FROM (
                SELECT e.id AS event, c ->> 'type' AS type, c ->> 'id' AS id
                FROM unnest(ids) AS w (id) JOIN public.events e ON e.id = w.id,
                    jsonb_array_elements(convert_from(e.leaf, 'UTF8')::jsonb -> 'changes') AS c
                UNION
                SELECT s.event_id, c ->> 'type', c ->> 'id'
                FROM unnest(ids) AS w (id) JOIN public.sealed s ON s.event_id = w.id,
                    jsonb_path_query(s.members::jsonb, 'strict $.details.value.rows[*]', '{}', true) AS c) AS n;
            SELECT n.event INTO wrong FROM unnest(named, kinds, targets) AS n (event, type, id)
            JOIN public.entity_head h ON h.type = n.type AND h.id = n.id AND h.event_id = n.event LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'event % is the last about a row', wrong USING ERRCODE = 'PT002';
            END IF;
            DELETE FROM public.event_entity x USING unnest(named, kinds, targets) AS n (event, type, id)
            WHERE x.type = n.type AND x.id = n.id AND x.event_id = n.event;
            DELETE FROM public.sealed_subject WHERE event_id = ANY (ids);
            DELETE FROM public.sealed WHERE event_id = ANY (ids);
            DELETE FROM public.events WHERE id = ANY (ids);
            INSERT INTO public.log_pruned (idx, pruned_by)
            SELECT l.idx, prune_event FROM public.log_leaf l WHERE l.event_id = ANY (ids);
            GET DIAGNOSTICS removed = ROW_COUNT;
            RETURN removed;
        END $$
        """,
        "REVOKE ALL ON FUNCTION postern_prune(text, text) FROM PUBLIC",
    ]

    /// `WHEN 'access_3y' THEN 1098 …`: the days each class is kept at least.
    private static let retentionCases = RetentionClass.allCases.compactMap { retention in
        retention.days.map { "WHEN '\(retention.rawValue)' THEN \($0)" }
    }.joined(separator: "\n                    ")

    /// Tables whose rows are written once.
    private static let appendOnly = [
        "events", "event_entity", "sealed_subject", "sealed_erasure", "log_leaf", "log_tile", "log_checkpoint",
        "log_pruned", "tenant_status_history",
    ]
    /// Of them, those that retention may empty.
    private static let prunable: Set<String> = ["events", "event_entity", "sealed_subject"]

    private static let sqlite =
        appendOnly.flatMap { table in
            ["UPDATE", "DELETE"].map { verb in
                let isDoor = verb == "DELETE" && prunable.contains(table)
                return """
                    CREATE TRIGGER \(table)_no_\(verb.lowercased()) BEFORE \(verb) ON \(table)\(isDoor ? " WHEN postern_pruning() IS NOT 1" : "")
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
            CREATE TRIGGER sealed_no_delete BEFORE DELETE ON sealed WHEN postern_pruning() IS NOT 1
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
            // postern_pruning() answers 1 only inside the door of retention.
            """
            CREATE TRIGGER log_pruned_door BEFORE INSERT ON log_pruned WHEN postern_pruning() IS NOT 1
            BEGIN SELECT RAISE(ABORT, 'events leave by retention only'); END
            """,
        ]
}
