-- 1 foundation

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    class TEXT NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    tenant_id TEXT,
    target_type TEXT,
    target_id TEXT,
    request_id TEXT,
    operation_id TEXT,
    approval_id TEXT,
    linked TEXT,
    retention_class TEXT NOT NULL,
    
    leaf BLOB NOT NULL CHECK (length(leaf) <= 65535)
) STRICT;

CREATE INDEX events_at ON events (at, id);

CREATE INDEX events_tenant ON events (tenant_id, at, id) WHERE tenant_id IS NOT NULL;

CREATE INDEX events_actor ON events (actor_id, at, id);

CREATE INDEX events_action ON events (action, at, id);

CREATE INDEX events_class ON events (class, at, id);

CREATE INDEX events_outcome ON events (outcome, at, id);

CREATE INDEX events_target ON events (target_id, at, id) WHERE target_id IS NOT NULL;

CREATE INDEX events_linked ON events (linked) WHERE linked IS NOT NULL;

CREATE TABLE event_entity (
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (type, id, event_id)
) STRICT;

CREATE TABLE entity_head (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (type, id)
) STRICT;

CREATE TABLE sealed (
    event_id TEXT PRIMARY KEY REFERENCES events (id),
    members TEXT NOT NULL
) STRICT;

CREATE TABLE sealed_subject (
    subject TEXT NOT NULL,
    event_id TEXT NOT NULL REFERENCES events (id),
    member TEXT NOT NULL,
    PRIMARY KEY (event_id, member, subject)
) STRICT;

CREATE INDEX sealed_subject_subject ON sealed_subject (subject, event_id);

CREATE TABLE sealed_erasure (
    event_id TEXT NOT NULL,
    member TEXT NOT NULL,
    erased_by TEXT NOT NULL,
    PRIMARY KEY (event_id, member)
) STRICT;

CREATE TABLE log_pending (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE REFERENCES events (id)
) STRICT;

CREATE TABLE log_leaf (
    idx INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE log_pruned (
    idx INTEGER PRIMARY KEY,
    pruned_by TEXT NOT NULL
) STRICT;

CREATE TABLE log_tile (
    level INTEGER NOT NULL,
    n INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, n)
) STRICT;

CREATE TABLE log_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE log_checkpoint (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    note TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
    person TEXT NOT NULL,
    key TEXT NOT NULL,
    operation TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (person, key)
) STRICT;

CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    tenant_id TEXT,
    tenant_version INTEGER,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_state ON outbox (state, created_at, id);

CREATE TABLE staff (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    invited_by TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX staff_email ON staff (email);

CREATE TABLE roles (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL
) STRICT;

CREATE TABLE role_permissions (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    role_id TEXT NOT NULL,
    permission TEXT NOT NULL,
    limits TEXT
) STRICT;

CREATE UNIQUE INDEX role_permissions_pair ON role_permissions (role_id, permission);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    staff_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE INDEX grants_staff ON grants (staff_id);

CREATE UNIQUE INDEX grants_live ON grants (staff_id, role_id) WHERE revoked_at IS NULL;

CREATE TABLE approval_rules (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    operation TEXT NOT NULL,
    condition TEXT NOT NULL,
    demand TEXT NOT NULL,
    window_seconds INTEGER NOT NULL,
    cooldown_seconds INTEGER,
    summary TEXT NOT NULL
) STRICT;

CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    operation TEXT NOT NULL,
    target_type TEXT,
    target_id TEXT,
    requester TEXT NOT NULL,
    state TEXT NOT NULL,
    action TEXT NOT NULL,
    plan_digest TEXT NOT NULL,
    demands TEXT NOT NULL,
    event_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX approvals_pending ON approvals (operation, target_id) WHERE state = 'pending';

CREATE INDEX approvals_state ON approvals (state, created_at, id);

CREATE INDEX approvals_requester ON approvals (requester, state);

CREATE INDEX approvals_target ON approvals (target_id, state);

CREATE TABLE factors (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    staff_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    secret TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX factors_staff ON factors (staff_id, kind);

CREATE TABLE factor_use (
    factor_id TEXT PRIMARY KEY,
    last_step INTEGER,
    used_at INTEGER NOT NULL
) STRICT;

CREATE TABLE enrolments (
    token_hash BLOB PRIMARY KEY,
    staff_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE INDEX enrolments_staff ON enrolments (staff_id);

CREATE TABLE challenges (
    token_hash BLOB PRIMARY KEY,
    staff_id TEXT,
    source TEXT NOT NULL,
    client TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;

CREATE INDEX challenges_expires ON challenges (expires_at);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    token_hash BLOB NOT NULL,
    realm TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    client TEXT NOT NULL,
    factors TEXT NOT NULL,
    mfa_at INTEGER NOT NULL,
    user_agent_hash BLOB NOT NULL,
    user_agent TEXT NOT NULL,
    ip TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX sessions_token ON sessions (token_hash);

CREATE INDEX sessions_staff ON sessions (staff_id, ended_at);

CREATE TABLE throttle (
    key TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    status TEXT NOT NULL,
    resumes_to TEXT,
    then_resumes_to TEXT,
    plan TEXT NOT NULL,
    tier TEXT NOT NULL,
    region TEXT NOT NULL,
    owner_id TEXT,
    csm_id TEXT,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    status_since INTEGER NOT NULL,
    deletion_eligible_at INTEGER,
    last_activity_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX tenants_external_id ON tenants (external_id);

CREATE UNIQUE INDEX tenants_slug ON tenants (slug);

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
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    reason_code TEXT,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX tenant_status_history_tenant ON tenant_status_history (tenant_id, at, seq);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    email TEXT NOT NULL,
    email_local TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_login_at INTEGER
) STRICT;

CREATE UNIQUE INDEX users_external_id ON users (external_id);

CREATE UNIQUE INDEX users_email ON users (email);

CREATE INDEX users_email_local ON users (email_local, id);

CREATE TABLE memberships (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    status TEXT NOT NULL,
    invited_at INTEGER,
    joined_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE UNIQUE INDEX memberships_pair ON memberships (tenant_id, user_id);

CREATE INDEX memberships_user ON memberships (user_id);

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;

CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN postern_pruning() IS NOT 1
BEGIN SELECT RAISE(ABORT, 'events is append-only'); END;

CREATE TRIGGER event_entity_no_update BEFORE UPDATE ON event_entity
BEGIN SELECT RAISE(ABORT, 'event_entity is append-only'); END;

CREATE TRIGGER event_entity_no_delete BEFORE DELETE ON event_entity WHEN postern_pruning() IS NOT 1
BEGIN SELECT RAISE(ABORT, 'event_entity is append-only'); END;

CREATE TRIGGER sealed_subject_no_update BEFORE UPDATE ON sealed_subject
BEGIN SELECT RAISE(ABORT, 'sealed_subject is append-only'); END;

CREATE TRIGGER sealed_subject_no_delete BEFORE DELETE ON sealed_subject WHEN postern_pruning() IS NOT 1
BEGIN SELECT RAISE(ABORT, 'sealed_subject is append-only'); END;

CREATE TRIGGER sealed_erasure_no_update BEFORE UPDATE ON sealed_erasure
BEGIN SELECT RAISE(ABORT, 'sealed_erasure is append-only'); END;

CREATE TRIGGER sealed_erasure_no_delete BEFORE DELETE ON sealed_erasure
BEGIN SELECT RAISE(ABORT, 'sealed_erasure is append-only'); END;

CREATE TRIGGER log_leaf_no_update BEFORE UPDATE ON log_leaf
BEGIN SELECT RAISE(ABORT, 'log_leaf is append-only'); END;

CREATE TRIGGER log_leaf_no_delete BEFORE DELETE ON log_leaf
BEGIN SELECT RAISE(ABORT, 'log_leaf is append-only'); END;

CREATE TRIGGER log_tile_no_update BEFORE UPDATE ON log_tile
BEGIN SELECT RAISE(ABORT, 'log_tile is append-only'); END;

CREATE TRIGGER log_tile_no_delete BEFORE DELETE ON log_tile
BEGIN SELECT RAISE(ABORT, 'log_tile is append-only'); END;

CREATE TRIGGER log_checkpoint_no_update BEFORE UPDATE ON log_checkpoint
BEGIN SELECT RAISE(ABORT, 'log_checkpoint is append-only'); END;

CREATE TRIGGER log_checkpoint_no_delete BEFORE DELETE ON log_checkpoint
BEGIN SELECT RAISE(ABORT, 'log_checkpoint is append-only'); END;

CREATE TRIGGER log_pruned_no_update BEFORE UPDATE ON log_pruned
BEGIN SELECT RAISE(ABORT, 'log_pruned is append-only'); END;

CREATE TRIGGER log_pruned_no_delete BEFORE DELETE ON log_pruned
BEGIN SELECT RAISE(ABORT, 'log_pruned is append-only'); END;

CREATE TRIGGER tenant_status_history_no_update BEFORE UPDATE ON tenant_status_history
BEGIN SELECT RAISE(ABORT, 'tenant_status_history is append-only'); END;

CREATE TRIGGER tenant_status_history_no_delete BEFORE DELETE ON tenant_status_history
BEGIN SELECT RAISE(ABORT, 'tenant_status_history is append-only'); END;

CREATE TRIGGER events_witness AFTER INSERT ON events BEGIN SELECT postern_event(NEW.id, NEW.action); END;

CREATE TRIGGER event_entity_witness AFTER INSERT ON event_entity
BEGIN SELECT postern_witness(NEW.event_id, NEW.type, NEW.id); END;

CREATE TRIGGER sealed_no_delete BEFORE DELETE ON sealed WHEN postern_pruning() IS NOT 1
BEGIN SELECT RAISE(ABORT, 'sealed is append-only'); END;

CREATE TRIGGER sealed_no_update BEFORE UPDATE ON sealed WHEN postern_erasing() IS NOT 1
BEGIN SELECT RAISE(ABORT, 'sealed values are removed by an erasure only'); END;

CREATE TRIGGER sealed_erasure_door BEFORE INSERT ON sealed_erasure WHEN postern_erasing() IS NOT 1
BEGIN SELECT RAISE(ABORT, 'sealed values are removed by an erasure only'); END;

CREATE TRIGGER log_pruned_door BEFORE INSERT ON log_pruned WHEN postern_pruning() IS NOT 1
BEGIN SELECT RAISE(ABORT, 'events leave by retention only'); END;

CREATE TRIGGER governed_staff_insert AFTER INSERT ON staff
BEGIN SELECT postern_governed('staff', NEW.id); END;

CREATE TRIGGER governed_staff_update AFTER UPDATE ON staff
BEGIN SELECT postern_governed('staff', OLD.id), postern_governed('staff', NEW.id); END;

CREATE TRIGGER governed_staff_delete AFTER DELETE ON staff
BEGIN SELECT postern_governed('staff', OLD.id); END;

CREATE TRIGGER governed_roles_insert AFTER INSERT ON roles
BEGIN SELECT postern_governed('role', NEW.id); END;

CREATE TRIGGER governed_roles_update AFTER UPDATE ON roles
BEGIN SELECT postern_governed('role', OLD.id), postern_governed('role', NEW.id); END;

CREATE TRIGGER governed_roles_delete AFTER DELETE ON roles
BEGIN SELECT postern_governed('role', OLD.id); END;

CREATE TRIGGER governed_role_permissions_insert AFTER INSERT ON role_permissions
BEGIN SELECT postern_governed('role_permission', NEW.id); END;

CREATE TRIGGER governed_role_permissions_update AFTER UPDATE ON role_permissions
BEGIN SELECT postern_governed('role_permission', OLD.id), postern_governed('role_permission', NEW.id); END;

CREATE TRIGGER governed_role_permissions_delete AFTER DELETE ON role_permissions
BEGIN SELECT postern_governed('role_permission', OLD.id); END;

CREATE TRIGGER governed_grants_insert AFTER INSERT ON grants
BEGIN SELECT postern_governed('grant', NEW.id); END;

CREATE TRIGGER governed_grants_update AFTER UPDATE ON grants
BEGIN SELECT postern_governed('grant', OLD.id), postern_governed('grant', NEW.id); END;

CREATE TRIGGER governed_grants_delete AFTER DELETE ON grants
BEGIN SELECT postern_governed('grant', OLD.id); END;

CREATE TRIGGER governed_approval_rules_insert AFTER INSERT ON approval_rules
BEGIN SELECT postern_governed('approval_rule', NEW.id); END;

CREATE TRIGGER governed_approval_rules_update AFTER UPDATE ON approval_rules
BEGIN SELECT postern_governed('approval_rule', OLD.id), postern_governed('approval_rule', NEW.id); END;

CREATE TRIGGER governed_approval_rules_delete AFTER DELETE ON approval_rules
BEGIN SELECT postern_governed('approval_rule', OLD.id); END;

CREATE TRIGGER governed_approvals_insert AFTER INSERT ON approvals
BEGIN SELECT postern_governed('approval', NEW.id); END;

CREATE TRIGGER governed_approvals_update AFTER UPDATE ON approvals
BEGIN SELECT postern_governed('approval', OLD.id), postern_governed('approval', NEW.id); END;

CREATE TRIGGER governed_approvals_delete AFTER DELETE ON approvals
BEGIN SELECT postern_governed('approval', OLD.id); END;

CREATE TRIGGER governed_factors_insert AFTER INSERT ON factors
BEGIN SELECT postern_governed('factor', NEW.id); END;

CREATE TRIGGER governed_factors_update AFTER UPDATE ON factors
BEGIN SELECT postern_governed('factor', OLD.id), postern_governed('factor', NEW.id); END;

CREATE TRIGGER governed_factors_delete AFTER DELETE ON factors
BEGIN SELECT postern_governed('factor', OLD.id); END;

CREATE TRIGGER governed_tenants_insert AFTER INSERT ON tenants
BEGIN SELECT postern_governed('tenant', NEW.id); END;

CREATE TRIGGER governed_tenants_update AFTER UPDATE ON tenants
BEGIN SELECT postern_governed('tenant', OLD.id), postern_governed('tenant', NEW.id); END;

CREATE TRIGGER governed_tenants_delete AFTER DELETE ON tenants
BEGIN SELECT postern_governed('tenant', OLD.id); END;

CREATE TRIGGER governed_users_insert AFTER INSERT ON users
BEGIN SELECT postern_governed('user', NEW.id); END;

CREATE TRIGGER governed_users_update AFTER UPDATE ON users
BEGIN SELECT postern_governed('user', OLD.id), postern_governed('user', NEW.id); END;

CREATE TRIGGER governed_users_delete AFTER DELETE ON users
BEGIN SELECT postern_governed('user', OLD.id); END;

CREATE TRIGGER governed_memberships_insert AFTER INSERT ON memberships
BEGIN SELECT postern_governed('membership', NEW.id); END;

CREATE TRIGGER governed_memberships_update AFTER UPDATE ON memberships
BEGIN SELECT postern_governed('membership', OLD.id), postern_governed('membership', NEW.id); END;

CREATE TRIGGER governed_memberships_delete AFTER DELETE ON memberships
BEGIN SELECT postern_governed('membership', OLD.id); END;

-- 2 deliveries

CREATE TABLE outbox_pending (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    outbox_id TEXT NOT NULL UNIQUE REFERENCES outbox (id),
    kind TEXT NOT NULL
) STRICT;

CREATE INDEX outbox_pending_kind ON outbox_pending (kind, seq);

INSERT INTO outbox_pending (outbox_id, kind)
    SELECT id, kind FROM outbox WHERE state = 'pending' ORDER BY created_at, id;

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    status TEXT NOT NULL,
    disabled_for TEXT,
    secret TEXT NOT NULL,
    previous_secret TEXT,
    previous_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX webhooks_status ON webhooks (status, id);

CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    outbox_id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    name TEXT NOT NULL,
    tenant_id TEXT,
    tenant_version INTEGER,
    state TEXT NOT NULL,
    urgency INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER
) STRICT;

CREATE UNIQUE INDEX deliveries_pair ON deliveries (outbox_id, webhook_id);

CREATE INDEX deliveries_urgency ON deliveries (urgency, created_at, id);

CREATE INDEX deliveries_state ON deliveries (state, urgency, created_at, id);

CREATE INDEX deliveries_webhook ON deliveries (webhook_id, urgency, created_at, id);

CREATE INDEX deliveries_tenant ON deliveries (tenant_id, urgency, created_at, id);

CREATE TABLE delivery_lanes (
    id TEXT PRIMARY KEY,
    webhook_id TEXT NOT NULL,
    
    due_at INTEGER,
    lease TEXT
) STRICT;

CREATE INDEX delivery_lanes_due ON delivery_lanes (due_at, id);

CREATE INDEX delivery_lanes_webhook ON delivery_lanes (webhook_id);

CREATE TABLE delivery_queue (
    delivery_id TEXT PRIMARY KEY,
    lane TEXT NOT NULL,
    position INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    tried_at INTEGER
) STRICT;

CREATE INDEX delivery_queue_lane ON delivery_queue (lane, position, delivery_id);

CREATE TABLE delivery_attempts (
    delivery_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    took INTEGER,
    http_status INTEGER,
    note TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT;

CREATE TRIGGER governed_webhooks_insert AFTER INSERT ON webhooks
BEGIN SELECT postern_governed('webhook', NEW.id); END;

CREATE TRIGGER governed_webhooks_update AFTER UPDATE ON webhooks
BEGIN SELECT postern_governed('webhook', OLD.id), postern_governed('webhook', NEW.id); END;

CREATE TRIGGER governed_webhooks_delete AFTER DELETE ON webhooks
BEGIN SELECT postern_governed('webhook', OLD.id); END;

CREATE TRIGGER governed_deliveries_insert AFTER INSERT ON deliveries
BEGIN SELECT postern_governed('delivery', NEW.id); END;

CREATE TRIGGER governed_deliveries_update AFTER UPDATE ON deliveries
BEGIN SELECT postern_governed('delivery', OLD.id), postern_governed('delivery', NEW.id); END;

CREATE TRIGGER governed_deliveries_delete AFTER DELETE ON deliveries
BEGIN SELECT postern_governed('delivery', OLD.id); END;

-- 3 registry

CREATE TABLE import_runs (
    id TEXT PRIMARY KEY,
    
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    bytes_total INTEGER NOT NULL,
    
    bytes_done INTEGER NOT NULL,
    line INTEGER NOT NULL,
    staged INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    problems INTEGER NOT NULL,
    
    applied INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX import_runs_digest ON import_runs (digest);

CREATE INDEX import_runs_updated ON import_runs (updated_at, id);

CREATE TABLE import_rows (
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    line INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    slug TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT;

CREATE UNIQUE INDEX import_rows_external_id ON import_rows (run_id, external_id);

CREATE UNIQUE INDEX import_rows_slug ON import_rows (run_id, slug);

CREATE TABLE import_problems (
    run_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    number INTEGER NOT NULL,
    field TEXT,
    reason TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (run_id, line, number)
) STRICT;

CREATE TABLE drifts (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    field TEXT NOT NULL,
    ours TEXT NOT NULL,
    theirs TEXT NOT NULL,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    settled_at INTEGER,
    settled_by TEXT
) STRICT;

CREATE UNIQUE INDEX drifts_pair ON drifts (tenant_id, field);

CREATE INDEX drifts_opened ON drifts (opened_at, id);

CREATE INDEX drifts_state ON drifts (state, opened_at, id);

CREATE INDEX drifts_field ON drifts (field, opened_at, id);

CREATE INDEX drifts_state_field ON drifts (state, field, opened_at, id);

CREATE INDEX drifts_tenant ON drifts (tenant_id, opened_at, id);

CREATE TABLE runtime_tokens (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revoked_for TEXT
) STRICT;

CREATE UNIQUE INDEX runtime_tokens_token ON runtime_tokens (token_sha256);

CREATE TABLE runtime_token_use (
    token_id TEXT PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER governed_drifts_insert AFTER INSERT ON drifts
BEGIN SELECT postern_governed('drift', NEW.id); END;

CREATE TRIGGER governed_drifts_update AFTER UPDATE ON drifts
BEGIN SELECT postern_governed('drift', OLD.id), postern_governed('drift', NEW.id); END;

CREATE TRIGGER governed_drifts_delete AFTER DELETE ON drifts
BEGIN SELECT postern_governed('drift', OLD.id); END;

CREATE TRIGGER governed_runtime_tokens_insert AFTER INSERT ON runtime_tokens
BEGIN SELECT postern_governed('runtime_token', NEW.id); END;

CREATE TRIGGER governed_runtime_tokens_update AFTER UPDATE ON runtime_tokens
BEGIN SELECT postern_governed('runtime_token', OLD.id), postern_governed('runtime_token', NEW.id); END;

CREATE TRIGGER governed_runtime_tokens_delete AFTER DELETE ON runtime_tokens
BEGIN SELECT postern_governed('runtime_token', OLD.id); END;

-- 4 tenants

ALTER TABLE tenants ADD COLUMN desired TEXT;

ALTER TABLE tenants ADD COLUMN note TEXT;

ALTER TABLE tenants ADD COLUMN note_event_id TEXT;

CREATE INDEX tenants_status_since ON tenants (status, status_since, id);

CREATE INDEX tenants_deletable ON tenants (deletion_eligible_at, id) WHERE deletion_eligible_at IS NOT NULL;

CREATE INDEX users_status ON users (status, id);

CREATE TABLE segments (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    filter TEXT NOT NULL,
    is_shared INTEGER NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX segments_owner ON segments (owner_id, status, name, id);

CREATE INDEX segments_shared ON segments (is_shared, status, name, id);

CREATE UNIQUE INDEX segments_name ON segments (owner_id, name) WHERE status = 'kept';

CREATE TABLE tenant_facets (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) STRICT;

CREATE TABLE tenant_facets_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    counted_at INTEGER NOT NULL,
    
    newest_event TEXT,
    scanned_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tenant_words (
    word TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    PRIMARY KEY (word, tenant_id)
) STRICT;

CREATE INDEX tenant_words_tenant ON tenant_words (tenant_id);

CREATE TABLE word_grams (
    gram TEXT NOT NULL,
    length INTEGER NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (gram, length, word)
) STRICT;

CREATE TABLE tenant_reindex (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL
) STRICT;

INSERT INTO tenant_reindex (tenant_id) SELECT id FROM tenants ORDER BY id;

CREATE TRIGGER tenants_reindex_insert AFTER INSERT ON tenants
BEGIN INSERT INTO tenant_reindex (tenant_id) VALUES (NEW.id); END;

CREATE TRIGGER tenants_reindex_update AFTER UPDATE OF name_key, slug ON tenants
WHEN OLD.name_key <> NEW.name_key OR OLD.slug <> NEW.slug
BEGIN INSERT INTO tenant_reindex (tenant_id) VALUES (NEW.id); END;

CREATE TRIGGER governed_segments_insert AFTER INSERT ON segments
BEGIN SELECT postern_governed('segment', NEW.id); END;

CREATE TRIGGER governed_segments_update AFTER UPDATE ON segments
BEGIN SELECT postern_governed('segment', OLD.id), postern_governed('segment', NEW.id); END;

CREATE TRIGGER governed_segments_delete AFTER DELETE ON segments
BEGIN SELECT postern_governed('segment', OLD.id); END;

-- 6 channels

CREATE TABLE delivery_channels (
    id TEXT PRIMARY KEY,
    is_on INTEGER NOT NULL,
    
    next_idx INTEGER NOT NULL,
    
    root_day INTEGER NOT NULL,
    sent_at INTEGER,
    failed_at INTEGER,
    error TEXT
) STRICT;

-- 7 discrepancies

CREATE TABLE discrepancies (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    row_type TEXT NOT NULL,
    row_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    urgency INTEGER NOT NULL,
    found_at INTEGER NOT NULL,
    settled_at INTEGER
) STRICT;

CREATE UNIQUE INDEX discrepancies_open ON discrepancies (row_type, row_id) WHERE state = 'open';

CREATE INDEX discrepancies_urgency ON discrepancies (urgency, found_at, id);

CREATE INDEX discrepancies_state ON discrepancies (state, urgency, found_at, id);

CREATE TRIGGER governed_discrepancies_insert AFTER INSERT ON discrepancies
BEGIN SELECT postern_governed('discrepancy', NEW.id); END;

CREATE TRIGGER governed_discrepancies_update AFTER UPDATE ON discrepancies
BEGIN SELECT postern_governed('discrepancy', OLD.id), postern_governed('discrepancy', NEW.id); END;

CREATE TRIGGER governed_discrepancies_delete AFTER DELETE ON discrepancies
BEGIN SELECT postern_governed('discrepancy', OLD.id); END;

-- 11 marks

CREATE TABLE policy_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    mark TEXT NOT NULL
) STRICT;

INSERT INTO policy_state (id, version, mark)
SELECT 1, (SELECT COALESCE(SUM(version), 0) FROM roles) + (SELECT COALESCE(SUM(version), 0) FROM role_permissions)
    + (SELECT COALESCE(SUM(version), 0) FROM approval_rules), 'first';

CREATE TRIGGER policy_roles_insert AFTER INSERT ON roles
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_roles_update AFTER UPDATE ON roles
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_roles_delete AFTER DELETE ON roles
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_role_permissions_insert AFTER INSERT ON role_permissions
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_role_permissions_update AFTER UPDATE ON role_permissions
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_role_permissions_delete AFTER DELETE ON role_permissions
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_approval_rules_insert AFTER INSERT ON approval_rules
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_approval_rules_update AFTER UPDATE ON approval_rules
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_approval_rules_delete AFTER DELETE ON approval_rules
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

-- 12 settings

CREATE TABLE settings (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    value INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER policy_settings_insert AFTER INSERT ON settings
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_settings_update AFTER UPDATE ON settings
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_settings_delete AFTER DELETE ON settings
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER governed_settings_insert AFTER INSERT ON settings
BEGIN SELECT postern_governed('setting', NEW.id); END;

CREATE TRIGGER governed_settings_update AFTER UPDATE ON settings
BEGIN SELECT postern_governed('setting', OLD.id), postern_governed('setting', NEW.id); END;

CREATE TRIGGER governed_settings_delete AFTER DELETE ON settings
BEGIN SELECT postern_governed('setting', OLD.id); END;

-- 13 approvals

ALTER TABLE approvals ADD COLUMN tenant_id TEXT;

ALTER TABLE approvals ADD COLUMN plan_event_id TEXT NOT NULL DEFAULT '';

ALTER TABLE approvals ADD COLUMN planned_at INTEGER NOT NULL DEFAULT 0;

ALTER TABLE approvals ADD COLUMN round INTEGER NOT NULL DEFAULT 1;

ALTER TABLE approvals ADD COLUMN not_before INTEGER;

ALTER TABLE approvals ADD COLUMN decided_at INTEGER;

ALTER TABLE approvals ADD COLUMN execute_at INTEGER;

ALTER TABLE approvals ADD COLUMN outcome_event_id TEXT;

DROP INDEX approvals_pending;

CREATE UNIQUE INDEX approvals_live ON approvals (operation, target_id)
    WHERE state IN ('pending', 'stale', 'approved', 'scheduled');

CREATE INDEX approvals_due ON approvals (execute_at, id) WHERE state IN ('approved', 'scheduled');

CREATE INDEX approvals_open ON approvals (expires_at, id) WHERE state IN ('pending', 'stale');

CREATE INDEX approvals_decided ON approvals (decided_at, id) WHERE decided_at IS NOT NULL;

CREATE TABLE approval_signatures (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    approval_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    person TEXT NOT NULL,
    decision TEXT NOT NULL,
    statement TEXT NOT NULL,
    method TEXT NOT NULL,
    factor_at INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX approvals_by ON approvals (requester, created_at, id);

CREATE TABLE approval_leaves (
    leaf TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    approval_id TEXT NOT NULL,
    requester TEXT NOT NULL,
    PRIMARY KEY (leaf, expires_at, approval_id)
) STRICT;

CREATE INDEX approval_leaves_approval ON approval_leaves (approval_id);

CREATE UNIQUE INDEX approval_signatures_once ON approval_signatures (approval_id, round, person);

CREATE INDEX approval_signatures_person ON approval_signatures (person, created_at, id);

CREATE TABLE approval_reveals (
    approval_id TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE spending (
    event_id TEXT PRIMARY KEY,
    approval_id TEXT,
    tenant_id TEXT NOT NULL,
    person TEXT NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX spending_tenant ON spending (tenant_id, at);

CREATE INDEX spending_person ON spending (person, at);

CREATE INDEX spending_approval ON spending (approval_id);

CREATE INDEX spending_at ON spending (at);

CREATE TABLE exchange_rates (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    micros INTEGER NOT NULL
) STRICT;

ALTER TABLE staff ADD COLUMN invited_at INTEGER;

ALTER TABLE staff ADD COLUMN reset_by TEXT;

ALTER TABLE staff ADD COLUMN reset_at INTEGER;

CREATE TRIGGER policy_exchange_rates_insert AFTER INSERT ON exchange_rates
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_exchange_rates_update AFTER UPDATE ON exchange_rates
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_exchange_rates_delete AFTER DELETE ON exchange_rates
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER governed_approval_signatures_insert AFTER INSERT ON approval_signatures
BEGIN SELECT postern_governed('approval_signature', NEW.id); END;

CREATE TRIGGER governed_approval_signatures_update AFTER UPDATE ON approval_signatures
BEGIN SELECT postern_governed('approval_signature', OLD.id), postern_governed('approval_signature', NEW.id); END;

CREATE TRIGGER governed_approval_signatures_delete AFTER DELETE ON approval_signatures
BEGIN SELECT postern_governed('approval_signature', OLD.id); END;

CREATE TRIGGER governed_exchange_rates_insert AFTER INSERT ON exchange_rates
BEGIN SELECT postern_governed('exchange_rate', NEW.id); END;

CREATE TRIGGER governed_exchange_rates_update AFTER UPDATE ON exchange_rates
BEGIN SELECT postern_governed('exchange_rate', OLD.id), postern_governed('exchange_rate', NEW.id); END;

CREATE TRIGGER governed_exchange_rates_delete AFTER DELETE ON exchange_rates
BEGIN SELECT postern_governed('exchange_rate', OLD.id); END;

-- 16 looks


-- 17 staff

CREATE TABLE role_separations (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    first_roles TEXT NOT NULL,
    second_roles TEXT NOT NULL,
    summary TEXT NOT NULL
) STRICT;

CREATE TABLE staff_flags (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    staff_id TEXT NOT NULL,
    roles TEXT NOT NULL,
    reason TEXT NOT NULL,
    raised_by TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    cleared_by TEXT,
    cleared_at INTEGER,
    outcome TEXT
) STRICT;

CREATE INDEX staff_flags_staff ON staff_flags (staff_id, id);

CREATE INDEX staff_flags_state ON staff_flags (state, id);

CREATE TABLE recoveries (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    staff_id TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    execute_at INTEGER NOT NULL,
    ended_at INTEGER,
    ended_by TEXT
) STRICT;

CREATE UNIQUE INDEX recoveries_pending ON recoveries (staff_id) WHERE state = 'pending';

CREATE INDEX recoveries_due ON recoveries (execute_at, id) WHERE state = 'pending';

CREATE INDEX sessions_open ON sessions (staff_id, id) WHERE ended_at IS NULL;

CREATE TRIGGER policy_role_separations_insert AFTER INSERT ON role_separations
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_role_separations_update AFTER UPDATE ON role_separations
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER policy_role_separations_delete AFTER DELETE ON role_separations
BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END;

CREATE TRIGGER governed_role_separations_insert AFTER INSERT ON role_separations
BEGIN SELECT postern_governed('role_separation', NEW.id); END;

CREATE TRIGGER governed_role_separations_update AFTER UPDATE ON role_separations
BEGIN SELECT postern_governed('role_separation', OLD.id), postern_governed('role_separation', NEW.id); END;

CREATE TRIGGER governed_role_separations_delete AFTER DELETE ON role_separations
BEGIN SELECT postern_governed('role_separation', OLD.id); END;

CREATE TRIGGER governed_staff_flags_insert AFTER INSERT ON staff_flags
BEGIN SELECT postern_governed('staff_flag', NEW.id); END;

CREATE TRIGGER governed_staff_flags_update AFTER UPDATE ON staff_flags
BEGIN SELECT postern_governed('staff_flag', OLD.id), postern_governed('staff_flag', NEW.id); END;

CREATE TRIGGER governed_staff_flags_delete AFTER DELETE ON staff_flags
BEGIN SELECT postern_governed('staff_flag', OLD.id); END;

CREATE TRIGGER governed_recoveries_insert AFTER INSERT ON recoveries
BEGIN SELECT postern_governed('recovery', NEW.id); END;

CREATE TRIGGER governed_recoveries_update AFTER UPDATE ON recoveries
BEGIN SELECT postern_governed('recovery', OLD.id), postern_governed('recovery', NEW.id); END;

CREATE TRIGGER governed_recoveries_delete AFTER DELETE ON recoveries
BEGIN SELECT postern_governed('recovery', OLD.id); END;

-- 18 passkeys

ALTER TABLE factors ADD COLUMN credential TEXT;

CREATE UNIQUE INDEX factors_credential ON factors (credential) WHERE credential IS NOT NULL;

CREATE TABLE passkey_answers (
    nonce BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX passkey_answers_expires ON passkey_answers (expires_at);

-- 19 policy

ALTER TABLE approval_rules ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;

ALTER TABLE role_permissions ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;

-- 20 breakglass

CREATE TABLE breakglass_sessions (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    person TEXT NOT NULL,
    solo INTEGER NOT NULL,
    reason_code TEXT NOT NULL,
    tried TEXT,
    state TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    ended_at INTEGER,
    ended_by TEXT,
    end_reason TEXT,
    review_due_at INTEGER,
    escalated_at INTEGER,
    reviewed_at INTEGER,
    reviewed_by TEXT,
    verdict TEXT,
    findings TEXT,
    follow_up TEXT
) STRICT;

CREATE UNIQUE INDEX breakglass_live ON breakglass_sessions (person) WHERE state <> 'reviewed';

CREATE INDEX breakglass_state ON breakglass_sessions (state, id);

CREATE INDEX breakglass_tenant ON breakglass_sessions (tenant_id, id);

CREATE INDEX breakglass_person ON breakglass_sessions (person, id);

CREATE TRIGGER governed_breakglass_sessions_insert AFTER INSERT ON breakglass_sessions
BEGIN SELECT postern_governed('breakglass', NEW.id); END;

CREATE TRIGGER governed_breakglass_sessions_update AFTER UPDATE ON breakglass_sessions
BEGIN SELECT postern_governed('breakglass', OLD.id), postern_governed('breakglass', NEW.id); END;

CREATE TRIGGER governed_breakglass_sessions_delete AFTER DELETE ON breakglass_sessions
BEGIN SELECT postern_governed('breakglass', OLD.id); END;

-- 21 single sign-on

DROP INDEX factors_credential;

CREATE UNIQUE INDEX factors_credential ON factors (credential) WHERE credential IS NOT NULL AND status = 'active';

CREATE TABLE provider_requests (
    state_hash BLOB PRIMARY KEY,
    visitor_hash BLOB NOT NULL,
    purpose TEXT NOT NULL,
    session_id TEXT,
    next TEXT,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX provider_requests_expires ON provider_requests (expires_at);

CREATE INDEX provider_requests_source ON provider_requests (source, expires_at);

CREATE TABLE provider_sessions (
    session_id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    sid TEXT,
    token TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX provider_sessions_subject ON provider_sessions (subject);

CREATE INDEX provider_sessions_sid ON provider_sessions (sid);

CREATE INDEX provider_sessions_expires ON provider_sessions (expires_at);

CREATE TABLE provider_tokens (
    jti BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX provider_tokens_expires ON provider_tokens (expires_at);

ALTER TABLE challenges ADD COLUMN provider TEXT;

CREATE TABLE device_logins (
    id TEXT PRIMARY KEY,
    device_hash BLOB NOT NULL,
    code_hash BLOB NOT NULL,
    machine TEXT NOT NULL,
    client TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    ip TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    staff_id TEXT,
    session_id TEXT,
    wait_seconds INTEGER NOT NULL,
    polled_at INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX device_logins_device ON device_logins (device_hash);

CREATE UNIQUE INDEX device_logins_code ON device_logins (code_hash);

CREATE INDEX device_logins_expires ON device_logins (expires_at);

CREATE INDEX device_logins_source ON device_logins (source, expires_at);

-- 22 accounts

CREATE TABLE service_accounts (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    prefix TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    previous_sha256 TEXT,
    previous_until INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    rotated_at INTEGER,
    revoked_at INTEGER,
    revoked_for TEXT
) STRICT;

CREATE UNIQUE INDEX service_accounts_token ON service_accounts (token_sha256);

CREATE INDEX service_accounts_previous ON service_accounts (previous_sha256) WHERE previous_sha256 IS NOT NULL;

CREATE INDEX service_accounts_owner ON service_accounts (owner_id, id);

CREATE TABLE scim_tokens (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    previous_sha256 TEXT,
    previous_until INTEGER,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    rotated_at INTEGER,
    revoked_at INTEGER,
    revoked_for TEXT
) STRICT;

CREATE UNIQUE INDEX scim_tokens_token ON scim_tokens (token_sha256);

CREATE INDEX scim_tokens_previous ON scim_tokens (previous_sha256) WHERE previous_sha256 IS NOT NULL;

CREATE TABLE service_account_use (
    account_id TEXT PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT;

CREATE TABLE scim_token_use (
    token_id TEXT PRIMARY KEY,
    used_at INTEGER NOT NULL
) STRICT;

CREATE TABLE scim_users (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    staff_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    user_name_folded TEXT NOT NULL,
    external_id TEXT,
    display_name TEXT,
    formatted_name TEXT,
    given_name TEXT,
    family_name TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE UNIQUE INDEX scim_users_staff ON scim_users (staff_id);

CREATE UNIQUE INDEX scim_users_name ON scim_users (user_name_folded) WHERE deleted_at IS NULL;

CREATE INDEX scim_users_folded ON scim_users (user_name_folded);

CREATE INDEX scim_users_external ON scim_users (external_id) WHERE external_id IS NOT NULL;

CREATE TABLE pending_grants (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    staff_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    source TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided_at INTEGER
) STRICT;

CREATE UNIQUE INDEX pending_grants_waiting ON pending_grants (staff_id, role_id)
    WHERE state IN ('pending', 'dismissed');

CREATE INDEX pending_grants_state ON pending_grants (state, id);

CREATE TRIGGER governed_service_accounts_insert AFTER INSERT ON service_accounts
BEGIN SELECT postern_governed('service_account', NEW.id); END;

CREATE TRIGGER governed_service_accounts_update AFTER UPDATE ON service_accounts
BEGIN SELECT postern_governed('service_account', OLD.id), postern_governed('service_account', NEW.id); END;

CREATE TRIGGER governed_service_accounts_delete AFTER DELETE ON service_accounts
BEGIN SELECT postern_governed('service_account', OLD.id); END;

CREATE TRIGGER governed_scim_tokens_insert AFTER INSERT ON scim_tokens
BEGIN SELECT postern_governed('scim_token', NEW.id); END;

CREATE TRIGGER governed_scim_tokens_update AFTER UPDATE ON scim_tokens
BEGIN SELECT postern_governed('scim_token', OLD.id), postern_governed('scim_token', NEW.id); END;

CREATE TRIGGER governed_scim_tokens_delete AFTER DELETE ON scim_tokens
BEGIN SELECT postern_governed('scim_token', OLD.id); END;

CREATE TRIGGER governed_scim_users_insert AFTER INSERT ON scim_users
BEGIN SELECT postern_governed('scim_user', NEW.id); END;

CREATE TRIGGER governed_scim_users_update AFTER UPDATE ON scim_users
BEGIN SELECT postern_governed('scim_user', OLD.id), postern_governed('scim_user', NEW.id); END;

CREATE TRIGGER governed_scim_users_delete AFTER DELETE ON scim_users
BEGIN SELECT postern_governed('scim_user', OLD.id); END;

CREATE TRIGGER governed_pending_grants_insert AFTER INSERT ON pending_grants
BEGIN SELECT postern_governed('pending_grant', NEW.id); END;

CREATE TRIGGER governed_pending_grants_update AFTER UPDATE ON pending_grants
BEGIN SELECT postern_governed('pending_grant', OLD.id), postern_governed('pending_grant', NEW.id); END;

CREATE TRIGGER governed_pending_grants_delete AFTER DELETE ON pending_grants
BEGIN SELECT postern_governed('pending_grant', OLD.id); END;

-- 23 access reviews

CREATE TABLE access_reviews (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    roles TEXT NOT NULL,
    reviewers TEXT NOT NULL,
    state TEXT NOT NULL,
    is_planned INTEGER NOT NULL,
    started_by TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    reminded INTEGER NOT NULL,
    exception_id TEXT,
    ended_at INTEGER,
    ended_by TEXT
) STRICT;

CREATE INDEX access_reviews_due ON access_reviews (state, due_at, id);

CREATE INDEX access_reviews_started ON access_reviews (started_at, id);

CREATE INDEX access_reviews_state ON access_reviews (state, started_at, id);

CREATE UNIQUE INDEX access_reviews_planned ON access_reviews (is_planned) WHERE is_planned = 1 AND state = 'open';

CREATE INDEX access_reviews_last ON access_reviews (is_planned, started_at);

CREATE TABLE access_review_items (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    review_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    grant_id TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_sign_in_at INTEGER,
    last_used_at INTEGER,
    last_used_for TEXT,
    reviewer TEXT,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided_at INTEGER,
    reason_code TEXT,
    event_id TEXT
) STRICT;

CREATE UNIQUE INDEX access_review_items_place ON access_review_items (review_id, place);

CREATE UNIQUE INDEX access_review_items_grant ON access_review_items (review_id, grant_id);

CREATE INDEX access_review_items_owed ON access_review_items (reviewer, state, review_id);

CREATE INDEX access_review_items_staff ON access_review_items (staff_id, id);

CREATE TABLE access_review_plans (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    is_on INTEGER NOT NULL,
    cadence TEXT NOT NULL,
    roles TEXT NOT NULL,
    days_until_due INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE compliance_exceptions (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    control_id TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source_id TEXT NOT NULL,
    title TEXT NOT NULL,
    severity TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT,
    opened_at INTEGER NOT NULL,
    target_close INTEGER NOT NULL,
    closed_at INTEGER,
    closed_by TEXT
) STRICT;

CREATE INDEX compliance_exceptions_status ON compliance_exceptions (status, opened_at, id);

CREATE INDEX compliance_exceptions_opened ON compliance_exceptions (opened_at, id);

CREATE UNIQUE INDEX compliance_exceptions_source ON compliance_exceptions (source_type, source_id)
    WHERE status IN ('open', 'mitigating');

CREATE INDEX grants_role ON grants (role_id, staff_id) WHERE revoked_at IS NULL;

CREATE INDEX sessions_started ON sessions (staff_id, created_at);

CREATE TRIGGER governed_access_reviews_insert AFTER INSERT ON access_reviews
BEGIN SELECT postern_governed('access_review', NEW.id); END;

CREATE TRIGGER governed_access_reviews_update AFTER UPDATE ON access_reviews
BEGIN SELECT postern_governed('access_review', OLD.id), postern_governed('access_review', NEW.id); END;

CREATE TRIGGER governed_access_reviews_delete AFTER DELETE ON access_reviews
BEGIN SELECT postern_governed('access_review', OLD.id); END;

CREATE TRIGGER governed_access_review_items_insert AFTER INSERT ON access_review_items
BEGIN SELECT postern_governed('access_review_item', NEW.id); END;

CREATE TRIGGER governed_access_review_items_update AFTER UPDATE ON access_review_items
BEGIN SELECT postern_governed('access_review_item', OLD.id), postern_governed('access_review_item', NEW.id); END;

CREATE TRIGGER governed_access_review_items_delete AFTER DELETE ON access_review_items
BEGIN SELECT postern_governed('access_review_item', OLD.id); END;

CREATE TRIGGER governed_access_review_plans_insert AFTER INSERT ON access_review_plans
BEGIN SELECT postern_governed('access_review_plan', NEW.id); END;

CREATE TRIGGER governed_access_review_plans_update AFTER UPDATE ON access_review_plans
BEGIN SELECT postern_governed('access_review_plan', OLD.id), postern_governed('access_review_plan', NEW.id); END;

CREATE TRIGGER governed_access_review_plans_delete AFTER DELETE ON access_review_plans
BEGIN SELECT postern_governed('access_review_plan', OLD.id); END;

CREATE TRIGGER governed_compliance_exceptions_insert AFTER INSERT ON compliance_exceptions
BEGIN SELECT postern_governed('compliance_exception', NEW.id); END;

CREATE TRIGGER governed_compliance_exceptions_update AFTER UPDATE ON compliance_exceptions
BEGIN SELECT postern_governed('compliance_exception', OLD.id), postern_governed('compliance_exception', NEW.id); END;

CREATE TRIGGER governed_compliance_exceptions_delete AFTER DELETE ON compliance_exceptions
BEGIN SELECT postern_governed('compliance_exception', OLD.id); END;

-- 24 telling

CREATE TABLE inbox_pending (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    staff_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    event_id TEXT NOT NULL,
    about_type TEXT,
    about_id TEXT,
    created_at INTEGER NOT NULL,
    read_at INTEGER,
    is_moot INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX notifications_once ON notifications (event_id, staff_id, kind);

CREATE INDEX notifications_staff ON notifications (staff_id, created_at, id);

CREATE INDEX notifications_unread ON notifications (staff_id, created_at, id) WHERE read_at IS NULL;

CREATE INDEX notifications_about ON notifications (about_id) WHERE read_at IS NULL;

CREATE INDEX notifications_created ON notifications (created_at);

CREATE TABLE inbox_state (
    id INTEGER PRIMARY KEY,
    mark INTEGER NOT NULL
) STRICT;

INSERT INTO inbox_state (id, mark) VALUES (1, 0);

CREATE TABLE inbox_marks (
    staff_id TEXT PRIMARY KEY,
    mark INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX inbox_marks_mark ON inbox_marks (mark, staff_id);

CREATE TABLE approval_reminders (
    approval_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    round INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (approval_id, stage)
) STRICT;

CREATE INDEX approval_reminders_due ON approval_reminders (due_at, approval_id);

CREATE TABLE slack_links (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    team TEXT NOT NULL,
    slack_user TEXT NOT NULL,
    staff_id TEXT NOT NULL,
    linked_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX slack_links_user ON slack_links (team, slack_user) WHERE ended_at IS NULL;

CREATE INDEX slack_links_staff ON slack_links (staff_id, id);

CREATE TABLE slack_offers (
    token_hash BLOB PRIMARY KEY,
    team TEXT NOT NULL,
    slack_user TEXT NOT NULL,
    slack_name TEXT NOT NULL,
    team_name TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX slack_offers_expires ON slack_offers (expires_at);

CREATE TABLE slack_requests (
    signature BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX slack_requests_expires ON slack_requests (expires_at);

CREATE TABLE slack_messages (
    approval_id TEXT PRIMARY KEY,
    ts TEXT NOT NULL,
    posted_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER governed_slack_links_insert AFTER INSERT ON slack_links
BEGIN SELECT postern_governed('slack_link', NEW.id); END;

CREATE TRIGGER governed_slack_links_update AFTER UPDATE ON slack_links
BEGIN SELECT postern_governed('slack_link', OLD.id), postern_governed('slack_link', NEW.id); END;

CREATE TRIGGER governed_slack_links_delete AFTER DELETE ON slack_links
BEGIN SELECT postern_governed('slack_link', OLD.id); END;

-- 26 mandates

ALTER TABLE scim_tokens ADD COLUMN previous_by TEXT;

ALTER TABLE grants ADD COLUMN source TEXT;

ALTER TABLE grants ADD COLUMN token_holder TEXT;

ALTER TABLE pending_grants ADD COLUMN token_holder TEXT;

ALTER TABLE approvals ADD COLUMN account_id TEXT;

CREATE INDEX approvals_account ON approvals (account_id, created_at, id) WHERE account_id IS NOT NULL;

-- 27 clock

CREATE TABLE clock_jumps (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    seconds INTEGER NOT NULL,
    times INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    confirmed_at INTEGER,
    confirmed_by TEXT
) STRICT;

CREATE UNIQUE INDEX clock_jumps_open ON clock_jumps (is_open) WHERE is_open = 1;

CREATE TRIGGER governed_clock_jumps_insert AFTER INSERT ON clock_jumps
BEGIN SELECT postern_governed('clock_jump', NEW.id); END;

CREATE TRIGGER governed_clock_jumps_update AFTER UPDATE ON clock_jumps
BEGIN SELECT postern_governed('clock_jump', OLD.id), postern_governed('clock_jump', NEW.id); END;

CREATE TRIGGER governed_clock_jumps_delete AFTER DELETE ON clock_jumps
BEGIN SELECT postern_governed('clock_jump', OLD.id); END;

-- 28 portions


-- 31 workers

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    restarted_at INTEGER
) STRICT;

CREATE TRIGGER governed_workers_insert AFTER INSERT ON workers
BEGIN SELECT postern_governed('worker', NEW.id); END;

CREATE TRIGGER governed_workers_update AFTER UPDATE ON workers
BEGIN SELECT postern_governed('worker', OLD.id), postern_governed('worker', NEW.id); END;

CREATE TRIGGER governed_workers_delete AFTER DELETE ON workers
BEGIN SELECT postern_governed('worker', OLD.id); END;

-- 37 clock marks

CREATE TABLE clock_marks (
    boot TEXT PRIMARY KEY,
    
    ahead INTEGER NOT NULL,
    
    steady_at INTEGER NOT NULL
) STRICT;

-- 40 turns of requests

DROP INDEX approvals_state;
