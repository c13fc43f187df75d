/// Service accounts and assistants, and people and roles that an identity provider tells of.
enum Migration022 {
    static let tables = """
        CREATE TABLE service_accounts (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            owner_id {text} NOT NULL,
            kind {text} NOT NULL,
            name {text} NOT NULL,
            scopes {text} NOT NULL,
            prefix {text} NOT NULL,
            token_sha256 {text} NOT NULL,
            previous_sha256 {text},
            previous_until BIGINT,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            rotated_at BIGINT,
            revoked_at BIGINT,
            revoked_for {text}
        );
        CREATE UNIQUE INDEX service_accounts_token ON service_accounts (token_sha256);
        CREATE INDEX service_accounts_previous ON service_accounts (previous_sha256) WHERE previous_sha256 IS NOT NULL;
        CREATE INDEX service_accounts_owner ON service_accounts (owner_id, id);

        CREATE TABLE scim_tokens (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            name {text} NOT NULL,
            prefix {text} NOT NULL,
            token_sha256 {text} NOT NULL,
            previous_sha256 {text},
            previous_until BIGINT,
            created_by {text} NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            rotated_at BIGINT,
            revoked_at BIGINT,
            revoked_for {text}
        );
        CREATE UNIQUE INDEX scim_tokens_token ON scim_tokens (token_sha256);
        CREATE INDEX scim_tokens_previous ON scim_tokens (previous_sha256) WHERE previous_sha256 IS NOT NULL;

        -- When tokens were last used (not governed: state of use, no authority of its own).
        CREATE TABLE service_account_use (
            account_id {text} PRIMARY KEY,
            used_at BIGINT NOT NULL
        );
        CREATE TABLE scim_token_use (
            token_id {text} PRIMARY KEY,
            used_at BIGINT NOT NULL
        );

        -- What a provider calls a person.
        CREATE TABLE scim_users (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            staff_id {text} NOT NULL,
            user_name {text} NOT NULL,
            user_name_folded {text} NOT NULL,
            external_id {text},
            display_name {text},
            formatted_name {text},
            given_name {text},
            family_name {text},
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            deleted_at BIGINT
        );
        CREATE UNIQUE INDEX scim_users_staff ON scim_users (staff_id);
        CREATE UNIQUE INDEX scim_users_name ON scim_users (user_name_folded) WHERE deleted_at IS NULL;
        CREATE INDEX scim_users_folded ON scim_users (user_name_folded);
        CREATE INDEX scim_users_external ON scim_users (external_id) WHERE external_id IS NOT NULL;

        -- Roles that a provider asks for and that somebody has to accept.
        CREATE TABLE pending_grants (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            staff_id {text} NOT NULL,
            role_id {text} NOT NULL,
            source {text} NOT NULL,
            requested_at BIGINT NOT NULL,
            state {text} NOT NULL,
            decided_by {text},
            decided_at BIGINT
        );
        CREATE UNIQUE INDEX pending_grants_waiting ON pending_grants (staff_id, role_id)
            WHERE state IN ('pending', 'dismissed');
        CREATE INDEX pending_grants_state ON pending_grants (state, id);
        """

    static let governed: [(table: String, type: String)] = [
        ("service_accounts", "service_account"), ("scim_tokens", "scim_token"), ("scim_users", "scim_user"),
        ("pending_grants", "pending_grant"),
    ]
}
