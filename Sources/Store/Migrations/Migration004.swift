import Kernel

/// Tenants complete: changes whose truth is elsewhere, notes, saved views, counted facets, and words to be found by.
enum Migration004 {
    static let tables = """
        -- What is wanted and not confirmed yet, and the "handle with care" note with the event that wrote it.
        ALTER TABLE tenants ADD COLUMN desired {text};
        ALTER TABLE tenants ADD COLUMN note {text};
        ALTER TABLE tenants ADD COLUMN note_event_id {text};
        -- For what happens by itself after a time.
        CREATE INDEX tenants_status_since ON tenants (status, status_since, id);
        CREATE INDEX tenants_deletable ON tenants (deletion_eligible_at, id) WHERE deletion_eligible_at IS NOT NULL;
        CREATE INDEX users_status ON users (status, id);

        -- Governed: views of the list of tenants that somebody keeps.
        CREATE TABLE segments (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            owner_id {text} NOT NULL,
            name {text} NOT NULL,
            filter {text} NOT NULL,
            is_shared BIGINT NOT NULL,
            status {text} NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX segments_owner ON segments (owner_id, status, name, id);
        CREATE INDEX segments_shared ON segments (is_shared, status, name, id);
        CREATE UNIQUE INDEX segments_name ON segments (owner_id, name) WHERE status = 'kept';

        -- How many tenants have each value, as of a moment (not governed: counted anew, never counted along).
        CREATE TABLE tenant_facets (
            kind {text} NOT NULL,
            value {text} NOT NULL,
            count BIGINT NOT NULL,
            PRIMARY KEY (kind, value)
        );
        CREATE TABLE tenant_facets_state (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            counted_at BIGINT NOT NULL,
            -- The newest change the counts know of, and when they were last made in full.
            newest_event {text},
            scanned_at BIGINT NOT NULL
        );

        -- Words of names and slugs, for who types them with a slip (not governed: made from the tenants).
        CREATE TABLE tenant_words (
            word {text} NOT NULL,
            tenant_id {text} NOT NULL,
            PRIMARY KEY (word, tenant_id)
        );
        CREATE INDEX tenant_words_tenant ON tenant_words (tenant_id);
        CREATE TABLE word_grams (
            gram {text} NOT NULL,
            length BIGINT NOT NULL,
            word {text} NOT NULL,
            PRIMARY KEY (gram, length, word)
        );
        -- Tenants whose words are to be made anew; a row for each change, taken in order.
        CREATE TABLE tenant_reindex (
            seq {serial},
            tenant_id {text} NOT NULL
        );
        INSERT INTO tenant_reindex (tenant_id) SELECT id FROM tenants ORDER BY id;
        """

    static let governed: [(table: String, type: String)] = [("segments", "segment")]

    /// Whoever writes a tenant, by whatever way, its words are made anew.
    @Sendable static func triggers(_ dialect: Dialect) -> [String] {
        switch dialect {
        case .sqlite:
            [
                """
                CREATE TRIGGER tenants_reindex_insert AFTER INSERT ON tenants
                BEGIN INSERT INTO tenant_reindex (tenant_id) VALUES (NEW.id); END
                """,
                """
                CREATE TRIGGER tenants_reindex_update AFTER UPDATE OF name_key, slug ON tenants
                WHEN OLD.name_key <> NEW.name_key OR OLD.slug <> NEW.slug
                BEGIN INSERT INTO tenant_reindex (tenant_id) VALUES (NEW.id); END
                """,
            ]
        case .postgres:
            [
                """
                CREATE FUNCTION postern_reindex_tenant() RETURNS trigger
                LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
                BEGIN
                    INSERT INTO public.tenant_reindex (tenant_id) VALUES (NEW.id);
                    RETURN NULL;
                END $$
                """,
                """
                CREATE TRIGGER reindex_insert AFTER INSERT ON tenants
                FOR EACH ROW EXECUTE FUNCTION postern_reindex_tenant()
                """,
                """
                CREATE TRIGGER reindex_update AFTER UPDATE OF name_key, slug ON tenants
                FOR EACH ROW WHEN (OLD.name_key <> NEW.name_key OR OLD.slug <> NEW.slug)
                EXECUTE FUNCTION postern_reindex_tenant()
                """,
            ]
        }
    }
}
