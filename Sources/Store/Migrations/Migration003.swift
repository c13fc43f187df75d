/// Data from the product: what an import has staged, where its control fields and ours differ, and the tokens it talks with.
enum Migration003 {
    static let tables = """
        -- Work in hand (not governed): a file on its way in. Nothing of it is visible until it is applied.
        CREATE TABLE import_runs (
            id {text} PRIMARY KEY,
            -- SHA-256 of the file and of how it is read: the same file continues the same run.
            digest {text} NOT NULL,
            state {text} NOT NULL,
            bytes_total BIGINT NOT NULL,
            -- How far the file has been read: a byte offset, the line that begins there, and the records so far.
            bytes_done BIGINT NOT NULL,
            line BIGINT NOT NULL,
            staged BIGINT NOT NULL,
            rejected BIGINT NOT NULL,
            problems BIGINT NOT NULL,
            -- How far the staged rows have been applied, and what became of them.
            applied BIGINT NOT NULL,
            created BIGINT NOT NULL,
            updated BIGINT NOT NULL,
            unchanged BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE UNIQUE INDEX import_runs_digest ON import_runs (digest);
        CREATE INDEX import_runs_updated ON import_runs (updated_at, id);
        CREATE TABLE import_rows (
            run_id {text} NOT NULL,
            seq BIGINT NOT NULL,
            line BIGINT NOT NULL,
            external_id {text} NOT NULL,
            slug {text} NOT NULL,
            content {text} NOT NULL,
            PRIMARY KEY (run_id, seq)
        );
        CREATE UNIQUE INDEX import_rows_external_id ON import_rows (run_id, external_id);
        CREATE UNIQUE INDEX import_rows_slug ON import_rows (run_id, slug);
        CREATE TABLE import_problems (
            run_id {text} NOT NULL,
            line BIGINT NOT NULL,
            number BIGINT NOT NULL,
            field {text},
            reason {text} NOT NULL,
            source {text} NOT NULL,
            PRIMARY KEY (run_id, line, number)
        );

        -- Governed
        CREATE TABLE drifts (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            tenant_id {text} NOT NULL,
            field {text} NOT NULL,
            ours {text} NOT NULL,
            theirs {text} NOT NULL,
            state {text} NOT NULL,
            source {text} NOT NULL,
            opened_at BIGINT NOT NULL,
            settled_at BIGINT,
            settled_by {text}
        );
        CREATE UNIQUE INDEX drifts_pair ON drifts (tenant_id, field);
        -- One for each filter of the list, in its order.
        CREATE INDEX drifts_opened ON drifts (opened_at, id);
        CREATE INDEX drifts_state ON drifts (state, opened_at, id);
        CREATE INDEX drifts_field ON drifts (field, opened_at, id);
        CREATE INDEX drifts_state_field ON drifts (state, field, opened_at, id);
        CREATE INDEX drifts_tenant ON drifts (tenant_id, opened_at, id);
        CREATE TABLE runtime_tokens (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            name {text} NOT NULL,
            prefix {text} NOT NULL,
            token_sha256 {text} NOT NULL,
            scopes {text} NOT NULL,
            created_by {text} NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT,
            revoked_at BIGINT,
            revoked_for {text}
        );
        CREATE UNIQUE INDEX runtime_tokens_token ON runtime_tokens (token_sha256);

        -- State of use, no authority of its own.
        CREATE TABLE runtime_token_use (
            token_id {text} PRIMARY KEY,
            used_at BIGINT NOT NULL
        );
        """

    static let governed: [(table: String, type: String)] = [("drifts", "drift"), ("runtime_tokens", "runtime_token")]
}
