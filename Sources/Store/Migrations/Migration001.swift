/// The foundation: log, people, policy, customers.
///
/// `{text}` is byte-compared text, `{bytes}` raw bytes, `{serial}` an ever-growing integer key.
enum Migration001 {
    static let tables = """
        -- The log. Nothing here is ever updated or deleted by the server, except log_pending (a queue), log_state, and
        -- what retention lets go. Tables that outlive an event, or would have to be searched for it then, do not
        -- reference it: verification compares them.
        CREATE TABLE events (
            id {text} PRIMARY KEY,
            at BIGINT NOT NULL,
            class {text} NOT NULL,
            action {text} NOT NULL,
            outcome {text} NOT NULL,
            actor_type {text} NOT NULL,
            actor_id {text} NOT NULL,
            tenant_id {text},
            target_type {text},
            target_id {text},
            request_id {text},
            operation_id {text},
            approval_id {text},
            linked {text},
            retention_class {text} NOT NULL,
            -- An entry of the log carries its length in 16 bits.
            leaf {bytes} NOT NULL CHECK (length(leaf) <= 65535){event_tx}
        );
        CREATE INDEX events_at ON events (at, id);
        CREATE INDEX events_tenant ON events (tenant_id, at, id) WHERE tenant_id IS NOT NULL;
        CREATE INDEX events_actor ON events (actor_id, at, id);
        CREATE INDEX events_action ON events (action, at, id);
        CREATE INDEX events_class ON events (class, at, id);
        CREATE INDEX events_outcome ON events (outcome, at, id);
        CREATE INDEX events_target ON events (target_id, at, id) WHERE target_id IS NOT NULL;
        CREATE INDEX events_linked ON events (linked) WHERE linked IS NOT NULL;

        CREATE TABLE event_entity (
            event_id {text} NOT NULL,
            type {text} NOT NULL,
            id {text} NOT NULL,
            PRIMARY KEY (type, id, event_id)
        );
        CREATE TABLE entity_head (
            type {text} NOT NULL,
            id {text} NOT NULL,
            event_id {text} NOT NULL,
            PRIMARY KEY (type, id)
        );
        CREATE TABLE sealed (
            event_id {text} PRIMARY KEY REFERENCES events (id),
            members {text} NOT NULL
        );
        CREATE TABLE sealed_subject (
            subject {text} NOT NULL,
            event_id {text} NOT NULL REFERENCES events (id),
            member {text} NOT NULL,
            PRIMARY KEY (event_id, member, subject)
        );
        CREATE INDEX sealed_subject_subject ON sealed_subject (subject, event_id);
        CREATE TABLE sealed_erasure (
            event_id {text} NOT NULL,
            member {text} NOT NULL,
            erased_by {text} NOT NULL,
            PRIMARY KEY (event_id, member)
        );
        CREATE TABLE log_pending (
            seq {serial},
            event_id {text} NOT NULL UNIQUE REFERENCES events (id)
        );
        CREATE TABLE log_leaf (
            idx BIGINT PRIMARY KEY,
            event_id {text} NOT NULL UNIQUE,
            hash {bytes} NOT NULL
        );
        -- Entries whose event is in the archive, and the event that says so.
        CREATE TABLE log_pruned (
            idx BIGINT PRIMARY KEY,
            pruned_by {text} NOT NULL
        );
        -- Only full tiles (256 hashes, 8192 bytes); partial ones are computed from the leaves.
        CREATE TABLE log_tile (
            level BIGINT NOT NULL,
            n BIGINT NOT NULL,
            hashes {bytes} NOT NULL,
            PRIMARY KEY (level, n)
        );
        CREATE TABLE log_state (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            origin {text} NOT NULL,
            size BIGINT NOT NULL,
            root {bytes} NOT NULL,
            epoch BIGINT NOT NULL
        );
        CREATE TABLE log_checkpoint (
            size BIGINT PRIMARY KEY,
            root {bytes} NOT NULL,
            note {text} NOT NULL,
            at BIGINT NOT NULL
        );

        CREATE TABLE idempotency (
            person {text} NOT NULL,
            key {text} NOT NULL,
            operation {text} NOT NULL,
            fingerprint {bytes} NOT NULL,
            event_id {text} NOT NULL,
            body {text} NOT NULL,
            created_at BIGINT NOT NULL,
            PRIMARY KEY (person, key)
        );
        CREATE INDEX idempotency_created ON idempotency (created_at);

        CREATE TABLE outbox (
            id {text} PRIMARY KEY,
            event_id {text} NOT NULL,
            operation_id {text} NOT NULL,
            kind {text} NOT NULL,
            name {text} NOT NULL,
            tenant_id {text},
            tenant_version BIGINT,
            payload {text} NOT NULL,
            state {text} NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE INDEX outbox_state ON outbox (state, created_at, id);

        -- People (governed)
        CREATE TABLE staff (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            email {text} NOT NULL,
            name {text} NOT NULL,
            status {text} NOT NULL,
            invited_by {text},
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE UNIQUE INDEX staff_email ON staff (email);
        CREATE TABLE roles (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            title {text} NOT NULL,
            summary {text} NOT NULL
        );
        CREATE TABLE role_permissions (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            role_id {text} NOT NULL,
            permission {text} NOT NULL,
            limits {text}
        );
        CREATE UNIQUE INDEX role_permissions_pair ON role_permissions (role_id, permission);
        CREATE TABLE grants (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            staff_id {text} NOT NULL,
            role_id {text} NOT NULL,
            granted_by {text} NOT NULL,
            granted_at BIGINT NOT NULL,
            expires_at BIGINT,
            revoked_at BIGINT
        );
        CREATE INDEX grants_staff ON grants (staff_id);
        CREATE UNIQUE INDEX grants_live ON grants (staff_id, role_id) WHERE revoked_at IS NULL;
        CREATE TABLE approval_rules (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            operation {text} NOT NULL,
            condition {text} NOT NULL,
            demand {text} NOT NULL,
            window_seconds BIGINT NOT NULL,
            cooldown_seconds BIGINT,
            summary {text} NOT NULL
        );
        CREATE TABLE approvals (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            operation {text} NOT NULL,
            target_type {text},
            target_id {text},
            requester {text} NOT NULL,
            state {text} NOT NULL,
            action {text} NOT NULL,
            plan_digest {text} NOT NULL,
            demands {text} NOT NULL,
            event_id {text} NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL
        );
        CREATE UNIQUE INDEX approvals_pending ON approvals (operation, target_id) WHERE state = 'pending';
        CREATE INDEX approvals_state ON approvals (state, created_at, id);
        CREATE INDEX approvals_requester ON approvals (requester, state);
        CREATE INDEX approvals_target ON approvals (target_id, state);
        CREATE TABLE factors (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            staff_id {text} NOT NULL,
            kind {text} NOT NULL,
            label {text} NOT NULL,
            secret {text} NOT NULL,
            status {text} NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE INDEX factors_staff ON factors (staff_id, kind);

        -- People (not governed: state of use, no authority of its own)
        CREATE TABLE factor_use (
            factor_id {text} PRIMARY KEY,
            last_step BIGINT,
            used_at BIGINT NOT NULL
        );
        CREATE TABLE enrolments (
            token_hash {bytes} PRIMARY KEY,
            staff_id {text} NOT NULL,
            purpose {text} NOT NULL,
            state {text} NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            used_at BIGINT
        );
        CREATE INDEX enrolments_staff ON enrolments (staff_id);
        CREATE TABLE challenges (
            token_hash {bytes} PRIMARY KEY,
            staff_id {text},
            source {text} NOT NULL,
            client {text} NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            attempts BIGINT NOT NULL
        );
        CREATE INDEX challenges_expires ON challenges (expires_at);
        CREATE TABLE sessions (
            id {text} PRIMARY KEY,
            token_hash {bytes} NOT NULL,
            realm {text} NOT NULL,
            staff_id {text} NOT NULL,
            client {text} NOT NULL,
            factors {text} NOT NULL,
            mfa_at BIGINT NOT NULL,
            user_agent_hash {bytes} NOT NULL,
            user_agent {text} NOT NULL,
            ip {text} NOT NULL,
            created_at BIGINT NOT NULL,
            last_seen_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            ended_at BIGINT
        );
        CREATE UNIQUE INDEX sessions_token ON sessions (token_hash);
        CREATE INDEX sessions_staff ON sessions (staff_id, ended_at);
        CREATE TABLE throttle (
            key {text} PRIMARY KEY,
            failures BIGINT NOT NULL,
            blocked_until BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );

        -- Customers (governed)
        CREATE TABLE tenants (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            external_id {text} NOT NULL,
            slug {text} NOT NULL,
            name {text} NOT NULL,
            name_key {text} NOT NULL,
            status {text} NOT NULL,
            resumes_to {text},
            then_resumes_to {text},
            plan {text} NOT NULL,
            tier {text} NOT NULL,
            region {text} NOT NULL,
            owner_id {text},
            csm_id {text},
            metadata {text} NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            status_since BIGINT NOT NULL,
            deletion_eligible_at BIGINT,
            last_activity_at BIGINT NOT NULL
        );
        CREATE UNIQUE INDEX tenants_external_id ON tenants (external_id);
        CREATE UNIQUE INDEX tenants_slug ON tenants (slug);
        -- One for every order a list may have, alone and behind each filter.
        CREATE INDEX tenants_name ON tenants (name_key, id);
        CREATE INDEX tenants_created ON tenants (created_at, id);
        CREATE INDEX tenants_activity ON tenants (last_activity_at, id);
        CREATE INDEX tenants_status_name ON tenants (status, name_key, id);
        CREATE INDEX tenants_status_created ON tenants (status, created_at, id);
        CREATE INDEX tenants_status_activity ON tenants (status, last_activity_at, id);
        CREATE INDEX tenants_plan_name ON tenants (plan, name_key, id);
        CREATE INDEX tenants_plan_created ON tenants (plan, created_at, id);
        CREATE INDEX tenants_plan_activity ON tenants (plan, last_activity_at, id);
        CREATE INDEX tenants_tier_name ON tenants (tier, name_key, id);
        CREATE INDEX tenants_tier_created ON tenants (tier, created_at, id);
        CREATE INDEX tenants_tier_activity ON tenants (tier, last_activity_at, id);
        CREATE INDEX tenants_region_name ON tenants (region, name_key, id);
        CREATE INDEX tenants_region_created ON tenants (region, created_at, id);
        CREATE INDEX tenants_region_activity ON tenants (region, last_activity_at, id);
        CREATE TABLE tenant_status_history (
            seq {serial},
            tenant_id {text} NOT NULL,
            event_id {text} NOT NULL,
            from_status {text},
            to_status {text} NOT NULL,
            actor_type {text} NOT NULL,
            actor_id {text} NOT NULL,
            reason_code {text},
            at BIGINT NOT NULL
        );
        CREATE INDEX tenant_status_history_tenant ON tenant_status_history (tenant_id, at, seq);
        CREATE TABLE users (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            external_id {text} NOT NULL,
            email {text} NOT NULL,
            email_local {text} NOT NULL,
            name {text} NOT NULL,
            status {text} NOT NULL,
            created_at BIGINT NOT NULL,
            last_login_at BIGINT
        );
        CREATE UNIQUE INDEX users_external_id ON users (external_id);
        CREATE UNIQUE INDEX users_email ON users (email);
        CREATE INDEX users_email_local ON users (email_local, id);
        CREATE TABLE memberships (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            tenant_id {text} NOT NULL,
            user_id {text} NOT NULL,
            role {text} NOT NULL,
            status {text} NOT NULL,
            invited_at BIGINT,
            joined_at BIGINT,
            revoked_at BIGINT
        );
        CREATE UNIQUE INDEX memberships_pair ON memberships (tenant_id, user_id);
        CREATE INDEX memberships_user ON memberships (user_id);
        """

    /// Governed tables and the entity type their rows are known by (spec: audit-log §5).
    static let governed: [(table: String, type: String)] = [
        ("staff", "staff"), ("roles", "role"), ("role_permissions", "role_permission"), ("grants", "grant"),
        ("approval_rules", "approval_rule"), ("approvals", "approval"), ("factors", "factor"), ("tenants", "tenant"),
        ("users", "user"), ("memberships", "membership"),
    ]
}
