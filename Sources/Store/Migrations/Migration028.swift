import Kernel

/// An erasure in portions, none of which meets the limit of a statement, however much is sealed about somebody.
enum Migration028 {
    @Sendable static func special(_ dialect: Dialect) -> [String] {
        guard dialect == .postgres else { return [] }
        return [
            "DROP FUNCTION postern_erase(text, text)",
            // As before, of at most 500 events at a time, in the order of their ids: the next call begins after the last
            // event of this one, and what stays is answered among what goes.
            """
            CREATE FUNCTION postern_erase(erased_subject text, erasure_event text, after_event text)
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
                    SELECT s.event_id AS event, array_agg(s.member ORDER BY s.member) AS members,
                        max(e.retention_class) AS kept
                    FROM public.sealed_subject s JOIN public.events e ON e.id = s.event_id
                    WHERE s.subject = erased_subject AND s.event_id > after_event AND s.event_id <> erasure_event
                        AND NOT EXISTS (
                        SELECT 1 FROM public.sealed_erasure x WHERE x.event_id = s.event_id AND x.member = s.member)
                    GROUP BY s.event_id ORDER BY s.event_id LIMIT \(portion)
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
            "REVOKE ALL ON FUNCTION postern_erase(text, text, text) FROM PUBLIC",
        ]
    }

    /// Events of one call.
    static let portion = 500
}
