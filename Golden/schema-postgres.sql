-- 1 foundation

CREATE TABLE events (
    id TEXT COLLATE "C" PRIMARY KEY,
    at BIGINT NOT NULL,
    class TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    actor_type TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C",
    target_type TEXT COLLATE "C",
    target_id TEXT COLLATE "C",
    request_id TEXT COLLATE "C",
    operation_id TEXT COLLATE "C",
    approval_id TEXT COLLATE "C",
    linked TEXT COLLATE "C",
    retention_class TEXT COLLATE "C" NOT NULL,
    
    leaf BYTEA NOT NULL CHECK (length(leaf) <= 65535),
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    tx_at TIMESTAMPTZ NOT NULL DEFAULT transaction_timestamp()
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
    event_id TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (type, id, event_id)
);

CREATE TABLE entity_head (
    type TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (type, id)
);

CREATE TABLE sealed (
    event_id TEXT COLLATE "C" PRIMARY KEY REFERENCES events (id),
    members TEXT COLLATE "C" NOT NULL
);

CREATE TABLE sealed_subject (
    subject TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL REFERENCES events (id),
    member TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (event_id, member, subject)
);

CREATE INDEX sealed_subject_subject ON sealed_subject (subject, event_id);

CREATE TABLE sealed_erasure (
    event_id TEXT COLLATE "C" NOT NULL,
    member TEXT COLLATE "C" NOT NULL,
    erased_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (event_id, member)
);

CREATE TABLE log_pending (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES events (id)
);

CREATE TABLE log_leaf (
    idx BIGINT PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL UNIQUE,
    hash BYTEA NOT NULL
);

CREATE TABLE log_pruned (
    idx BIGINT PRIMARY KEY,
    pruned_by TEXT COLLATE "C" NOT NULL
);

CREATE TABLE log_tile (
    level BIGINT NOT NULL,
    n BIGINT NOT NULL,
    hashes BYTEA NOT NULL,
    PRIMARY KEY (level, n)
);

CREATE TABLE log_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    origin TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    root BYTEA NOT NULL,
    epoch BIGINT NOT NULL
);

CREATE TABLE log_checkpoint (
    size BIGINT PRIMARY KEY,
    root BYTEA NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE idempotency (
    person TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (person, key)
);

CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE TABLE outbox (
    id TEXT COLLATE "C" PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL,
    operation_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C",
    tenant_version BIGINT,
    payload TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX outbox_state ON outbox (state, created_at, id);

CREATE TABLE staff (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    invited_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX staff_email ON staff (email);

CREATE TABLE roles (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL
);

CREATE TABLE role_permissions (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    role_id TEXT COLLATE "C" NOT NULL,
    permission TEXT COLLATE "C" NOT NULL,
    limits TEXT COLLATE "C"
);

CREATE UNIQUE INDEX role_permissions_pair ON role_permissions (role_id, permission);

CREATE TABLE grants (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    role_id TEXT COLLATE "C" NOT NULL,
    granted_by TEXT COLLATE "C" NOT NULL,
    granted_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE INDEX grants_staff ON grants (staff_id);

CREATE UNIQUE INDEX grants_live ON grants (staff_id, role_id) WHERE revoked_at IS NULL;

CREATE TABLE approval_rules (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    condition TEXT COLLATE "C" NOT NULL,
    demand TEXT COLLATE "C" NOT NULL,
    window_seconds BIGINT NOT NULL,
    cooldown_seconds BIGINT,
    summary TEXT COLLATE "C" NOT NULL
);

CREATE TABLE approvals (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    target_type TEXT COLLATE "C",
    target_id TEXT COLLATE "C",
    requester TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    plan_digest TEXT COLLATE "C" NOT NULL,
    demands TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX approvals_pending ON approvals (operation, target_id) WHERE state = 'pending';

CREATE INDEX approvals_state ON approvals (state, created_at, id);

CREATE INDEX approvals_requester ON approvals (requester, state);

CREATE INDEX approvals_target ON approvals (target_id, state);

CREATE TABLE factors (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    secret TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX factors_staff ON factors (staff_id, kind);

CREATE TABLE factor_use (
    factor_id TEXT COLLATE "C" PRIMARY KEY,
    last_step BIGINT,
    used_at BIGINT NOT NULL
);

CREATE TABLE enrolments (
    token_hash BYTEA PRIMARY KEY,
    staff_id TEXT COLLATE "C" NOT NULL,
    purpose TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX enrolments_staff ON enrolments (staff_id);

CREATE TABLE challenges (
    token_hash BYTEA PRIMARY KEY,
    staff_id TEXT COLLATE "C",
    source TEXT COLLATE "C" NOT NULL,
    client TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);

CREATE INDEX challenges_expires ON challenges (expires_at);

CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    token_hash BYTEA NOT NULL,
    realm TEXT COLLATE "C" NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    client TEXT COLLATE "C" NOT NULL,
    factors TEXT COLLATE "C" NOT NULL,
    mfa_at BIGINT NOT NULL,
    user_agent_hash BYTEA NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);

CREATE UNIQUE INDEX sessions_token ON sessions (token_hash);

CREATE INDEX sessions_staff ON sessions (staff_id, ended_at);

CREATE TABLE throttle (
    key TEXT COLLATE "C" PRIMARY KEY,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE tenants (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    resumes_to TEXT COLLATE "C",
    then_resumes_to TEXT COLLATE "C",
    plan TEXT COLLATE "C" NOT NULL,
    tier TEXT COLLATE "C" NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    owner_id TEXT COLLATE "C",
    csm_id TEXT COLLATE "C",
    metadata TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    status_since BIGINT NOT NULL,
    deletion_eligible_at BIGINT,
    last_activity_at BIGINT NOT NULL
);

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
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    from_status TEXT COLLATE "C",
    to_status TEXT COLLATE "C" NOT NULL,
    actor_type TEXT COLLATE "C" NOT NULL,
    actor_id TEXT COLLATE "C" NOT NULL,
    reason_code TEXT COLLATE "C",
    at BIGINT NOT NULL
);

CREATE INDEX tenant_status_history_tenant ON tenant_status_history (tenant_id, at, seq);

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C" NOT NULL,
    email_local TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT
);

CREATE UNIQUE INDEX users_external_id ON users (external_id);

CREATE UNIQUE INDEX users_email ON users (email);

CREATE INDEX users_email_local ON users (email_local, id);

CREATE TABLE memberships (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    invited_at BIGINT,
    joined_at BIGINT,
    revoked_at BIGINT
);

CREATE UNIQUE INDEX memberships_pair ON memberships (tenant_id, user_id);

CREATE INDEX memberships_user ON memberships (user_id);

CREATE FUNCTION postern_expect_rows(actual bigint, expected bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
BEGIN
    IF actual IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'expected % rows, wrote %', expected, actual
            USING ERRCODE = 'PT001', DETAIL = expected::text;
    END IF;
    RETURN actual;
END $$;

CREATE FUNCTION postern_stamp_event() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    NEW.tx := pg_current_xact_id();
    NEW.tx_at := transaction_timestamp();
    RETURN NEW;
END $$;

CREATE TRIGGER stamp BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION postern_stamp_event();

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
END $$;

CREATE FUNCTION postern_no_truncate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% can''t be truncated', TG_TABLE_NAME USING ERRCODE = 'PT002';
END $$;

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
END $$;

REVOKE ALL ON FUNCTION postern_erase(text, text) FROM PUBLIC;

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
            WHEN 'operational_1y' THEN 366
                    WHEN 'access_3y' THEN 1098
                    WHEN 'soc2_iso_7y' THEN 2562
                    WHEN 'hipaa_6y' THEN 2196
                    WHEN 'financial_7y' THEN 2562
                    WHEN 'erasure_proof_7y' THEN 2562
                    WHEN 'eu_aia_10y' THEN 3660
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
END $$;

REVOKE ALL ON FUNCTION postern_prune(text, text) FROM PUBLIC;

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON staff
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('staff');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON staff
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON roles
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('role');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON roles
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON role_permissions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('role_permission');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON role_permissions
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON grants
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('grant');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON grants
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON approval_rules
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('approval_rule');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON approval_rules
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON approvals
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('approval');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON approvals
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON factors
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('factor');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON factors
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON tenants
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('tenant');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON tenants
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON users
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('user');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON users
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON memberships
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('membership');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON memberships
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 2 deliveries

CREATE TABLE outbox_pending (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES outbox (id),
    kind TEXT COLLATE "C" NOT NULL
);

CREATE INDEX outbox_pending_kind ON outbox_pending (kind, seq);

INSERT INTO outbox_pending (outbox_id, kind)
    SELECT id, kind FROM outbox WHERE state = 'pending' ORDER BY created_at, id;

CREATE TABLE webhooks (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    events TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    disabled_for TEXT COLLATE "C",
    secret TEXT COLLATE "C" NOT NULL,
    previous_secret TEXT COLLATE "C",
    previous_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX webhooks_status ON webhooks (status, id);

CREATE TABLE deliveries (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    outbox_id TEXT COLLATE "C" NOT NULL,
    webhook_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C",
    tenant_version BIGINT,
    state TEXT COLLATE "C" NOT NULL,
    urgency BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT
);

CREATE UNIQUE INDEX deliveries_pair ON deliveries (outbox_id, webhook_id);

CREATE INDEX deliveries_urgency ON deliveries (urgency, created_at, id);

CREATE INDEX deliveries_state ON deliveries (state, urgency, created_at, id);

CREATE INDEX deliveries_webhook ON deliveries (webhook_id, urgency, created_at, id);

CREATE INDEX deliveries_tenant ON deliveries (tenant_id, urgency, created_at, id);

CREATE TABLE delivery_lanes (
    id TEXT COLLATE "C" PRIMARY KEY,
    webhook_id TEXT COLLATE "C" NOT NULL,
    
    due_at BIGINT,
    lease TEXT COLLATE "C"
);

CREATE INDEX delivery_lanes_due ON delivery_lanes (due_at, id);

CREATE INDEX delivery_lanes_webhook ON delivery_lanes (webhook_id);

CREATE TABLE delivery_queue (
    delivery_id TEXT COLLATE "C" PRIMARY KEY,
    lane TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    tried_at BIGINT
);

CREATE INDEX delivery_queue_lane ON delivery_queue (lane, position, delivery_id);

CREATE TABLE delivery_attempts (
    delivery_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    took BIGINT,
    http_status BIGINT,
    note TEXT COLLATE "C",
    PRIMARY KEY (delivery_id, number)
);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON webhooks
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('webhook');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON webhooks
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON deliveries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('delivery');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON deliveries
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 3 registry

CREATE TABLE import_runs (
    id TEXT COLLATE "C" PRIMARY KEY,
    
    digest TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    bytes_total BIGINT NOT NULL,
    
    bytes_done BIGINT NOT NULL,
    line BIGINT NOT NULL,
    staged BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    problems BIGINT NOT NULL,
    
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
    run_id TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    line BIGINT NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    content TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE UNIQUE INDEX import_rows_external_id ON import_rows (run_id, external_id);

CREATE UNIQUE INDEX import_rows_slug ON import_rows (run_id, slug);

CREATE TABLE import_problems (
    run_id TEXT COLLATE "C" NOT NULL,
    line BIGINT NOT NULL,
    number BIGINT NOT NULL,
    field TEXT COLLATE "C",
    reason TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, line, number)
);

CREATE TABLE drifts (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    field TEXT COLLATE "C" NOT NULL,
    ours TEXT COLLATE "C" NOT NULL,
    theirs TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    settled_at BIGINT,
    settled_by TEXT COLLATE "C"
);

CREATE UNIQUE INDEX drifts_pair ON drifts (tenant_id, field);

CREATE INDEX drifts_opened ON drifts (opened_at, id);

CREATE INDEX drifts_state ON drifts (state, opened_at, id);

CREATE INDEX drifts_field ON drifts (field, opened_at, id);

CREATE INDEX drifts_state_field ON drifts (state, field, opened_at, id);

CREATE INDEX drifts_tenant ON drifts (tenant_id, opened_at, id);

CREATE TABLE runtime_tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    token_sha256 TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    revoked_for TEXT COLLATE "C"
);

CREATE UNIQUE INDEX runtime_tokens_token ON runtime_tokens (token_sha256);

CREATE TABLE runtime_token_use (
    token_id TEXT COLLATE "C" PRIMARY KEY,
    used_at BIGINT NOT NULL
);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON drifts
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('drift');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON drifts
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON runtime_tokens
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('runtime_token');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON runtime_tokens
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 4 tenants

ALTER TABLE tenants ADD COLUMN desired TEXT COLLATE "C";

ALTER TABLE tenants ADD COLUMN note TEXT COLLATE "C";

ALTER TABLE tenants ADD COLUMN note_event_id TEXT COLLATE "C";

CREATE INDEX tenants_status_since ON tenants (status, status_since, id);

CREATE INDEX tenants_deletable ON tenants (deletion_eligible_at, id) WHERE deletion_eligible_at IS NOT NULL;

CREATE INDEX users_status ON users (status, id);

CREATE TABLE segments (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    owner_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    filter TEXT COLLATE "C" NOT NULL,
    is_shared BIGINT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX segments_owner ON segments (owner_id, status, name, id);

CREATE INDEX segments_shared ON segments (is_shared, status, name, id);

CREATE UNIQUE INDEX segments_name ON segments (owner_id, name) WHERE status = 'kept';

CREATE TABLE tenant_facets (
    kind TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (kind, value)
);

CREATE TABLE tenant_facets_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    counted_at BIGINT NOT NULL,
    
    newest_event TEXT COLLATE "C",
    scanned_at BIGINT NOT NULL
);

CREATE TABLE tenant_words (
    word TEXT COLLATE "C" NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (word, tenant_id)
);

CREATE INDEX tenant_words_tenant ON tenant_words (tenant_id);

CREATE TABLE word_grams (
    gram TEXT COLLATE "C" NOT NULL,
    length BIGINT NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (gram, length, word)
);

CREATE TABLE tenant_reindex (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL
);

INSERT INTO tenant_reindex (tenant_id) SELECT id FROM tenants ORDER BY id;

CREATE FUNCTION postern_reindex_tenant() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.tenant_reindex (tenant_id) VALUES (NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER reindex_insert AFTER INSERT ON tenants
FOR EACH ROW EXECUTE FUNCTION postern_reindex_tenant();

CREATE TRIGGER reindex_update AFTER UPDATE OF name_key, slug ON tenants
FOR EACH ROW WHEN (OLD.name_key <> NEW.name_key OR OLD.slug <> NEW.slug)
EXECUTE FUNCTION postern_reindex_tenant();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON segments
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('segment');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON segments
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 6 channels

CREATE TABLE delivery_channels (
    id TEXT COLLATE "C" PRIMARY KEY,
    is_on BIGINT NOT NULL,
    
    next_idx BIGINT NOT NULL,
    
    root_day BIGINT NOT NULL,
    sent_at BIGINT,
    failed_at BIGINT,
    error TEXT COLLATE "C"
);

-- 7 discrepancies

CREATE TABLE discrepancies (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    row_type TEXT COLLATE "C" NOT NULL,
    row_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    urgency BIGINT NOT NULL,
    found_at BIGINT NOT NULL,
    settled_at BIGINT
);

CREATE UNIQUE INDEX discrepancies_open ON discrepancies (row_type, row_id) WHERE state = 'open';

CREATE INDEX discrepancies_urgency ON discrepancies (urgency, found_at, id);

CREATE INDEX discrepancies_state ON discrepancies (state, urgency, found_at, id);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON discrepancies
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('discrepancy');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON discrepancies
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 11 marks

CREATE TABLE policy_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL,
    mark TEXT COLLATE "C" NOT NULL
);

INSERT INTO policy_state (id, version, mark)
SELECT 1, (SELECT COALESCE(SUM(version), 0) FROM roles) + (SELECT COALESCE(SUM(version), 0) FROM role_permissions)
    + (SELECT COALESCE(SUM(version), 0) FROM approval_rules), 'first';

CREATE FUNCTION postern_mark_policy() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE public.policy_state SET version = version + 1, mark = gen_random_uuid()::text WHERE id = 1;
    RETURN NULL;
END $$;

CREATE TRIGGER policy AFTER INSERT OR UPDATE OR DELETE ON roles
FOR EACH ROW EXECUTE FUNCTION postern_mark_policy();

CREATE TRIGGER policy AFTER INSERT OR UPDATE OR DELETE ON role_permissions
FOR EACH ROW EXECUTE FUNCTION postern_mark_policy();

CREATE TRIGGER policy AFTER INSERT OR UPDATE OR DELETE ON approval_rules
FOR EACH ROW EXECUTE FUNCTION postern_mark_policy();

CREATE FUNCTION postern_claim(free boolean) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF free IS NOT TRUE THEN
        RAISE EXCEPTION 'the key is taken' USING ERRCODE = 'PT003';
    END IF;
    RETURN true;
END $$;

-- 12 settings

CREATE TABLE settings (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    value BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TRIGGER policy AFTER INSERT OR UPDATE OR DELETE ON settings
FOR EACH ROW EXECUTE FUNCTION postern_mark_policy();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON settings
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('setting');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON settings
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 13 approvals

ALTER TABLE approvals ADD COLUMN tenant_id TEXT COLLATE "C";

ALTER TABLE approvals ADD COLUMN plan_event_id TEXT COLLATE "C" NOT NULL DEFAULT '';

ALTER TABLE approvals ADD COLUMN planned_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE approvals ADD COLUMN round BIGINT NOT NULL DEFAULT 1;

ALTER TABLE approvals ADD COLUMN not_before BIGINT;

ALTER TABLE approvals ADD COLUMN decided_at BIGINT;

ALTER TABLE approvals ADD COLUMN execute_at BIGINT;

ALTER TABLE approvals ADD COLUMN outcome_event_id TEXT COLLATE "C";

DROP INDEX approvals_pending;

CREATE UNIQUE INDEX approvals_live ON approvals (operation, target_id)
    WHERE state IN ('pending', 'stale', 'approved', 'scheduled');

CREATE INDEX approvals_due ON approvals (execute_at, id) WHERE state IN ('approved', 'scheduled');

CREATE INDEX approvals_open ON approvals (expires_at, id) WHERE state IN ('pending', 'stale');

CREATE INDEX approvals_decided ON approvals (decided_at, id) WHERE decided_at IS NOT NULL;

CREATE TABLE approval_signatures (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    approval_id TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    decision TEXT COLLATE "C" NOT NULL,
    statement TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    factor_at BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX approvals_by ON approvals (requester, created_at, id);

CREATE TABLE approval_leaves (
    leaf TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    approval_id TEXT COLLATE "C" NOT NULL,
    requester TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (leaf, expires_at, approval_id)
);

CREATE INDEX approval_leaves_approval ON approval_leaves (approval_id);

CREATE UNIQUE INDEX approval_signatures_once ON approval_signatures (approval_id, round, person);

CREATE INDEX approval_signatures_person ON approval_signatures (person, created_at, id);

CREATE TABLE approval_reveals (
    approval_id TEXT COLLATE "C" PRIMARY KEY,
    sealed TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE spending (
    event_id TEXT COLLATE "C" PRIMARY KEY,
    approval_id TEXT COLLATE "C",
    tenant_id TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);

CREATE INDEX spending_tenant ON spending (tenant_id, at);

CREATE INDEX spending_person ON spending (person, at);

CREATE INDEX spending_approval ON spending (approval_id);

CREATE INDEX spending_at ON spending (at);

CREATE TABLE exchange_rates (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    micros BIGINT NOT NULL
);

ALTER TABLE staff ADD COLUMN invited_at BIGINT;

ALTER TABLE staff ADD COLUMN reset_by TEXT COLLATE "C";

ALTER TABLE staff ADD COLUMN reset_at BIGINT;

CREATE TRIGGER policy AFTER INSERT OR UPDATE OR DELETE ON exchange_rates
FOR EACH ROW EXECUTE FUNCTION postern_mark_policy();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON approval_signatures
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('approval_signature');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON approval_signatures
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON exchange_rates
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('exchange_rate');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON exchange_rates
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 16 looks

CREATE OR REPLACE FUNCTION postern_stamp_event() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.tx := pg_catalog.pg_current_xact_id();
    NEW.tx_at := pg_catalog.transaction_timestamp();
    RETURN NEW;
END $$;

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
END $$;

ALTER TABLE sealed DROP CONSTRAINT sealed_event_id_fkey;

CREATE TRIGGER of_event AFTER INSERT ON sealed REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event();

CREATE TRIGGER of_event_changed AFTER UPDATE ON sealed REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event();

ALTER TABLE sealed_subject DROP CONSTRAINT sealed_subject_event_id_fkey;

CREATE TRIGGER of_event AFTER INSERT ON sealed_subject REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event();

CREATE TRIGGER of_event_changed AFTER UPDATE ON sealed_subject REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event();

ALTER TABLE log_pending DROP CONSTRAINT log_pending_event_id_fkey;

CREATE TRIGGER of_event AFTER INSERT ON log_pending REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event();

CREATE TRIGGER of_event_changed AFTER UPDATE ON log_pending REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION postern_of_event();

-- 17 staff

CREATE TABLE role_separations (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    first_roles TEXT COLLATE "C" NOT NULL,
    second_roles TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL
);

CREATE TABLE staff_flags (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    roles TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    raised_by TEXT COLLATE "C" NOT NULL,
    raised_at BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    cleared_by TEXT COLLATE "C",
    cleared_at BIGINT,
    outcome TEXT COLLATE "C"
);

CREATE INDEX staff_flags_staff ON staff_flags (staff_id, id);

CREATE INDEX staff_flags_state ON staff_flags (state, id);

CREATE TABLE recoveries (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    execute_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT COLLATE "C"
);

CREATE UNIQUE INDEX recoveries_pending ON recoveries (staff_id) WHERE state = 'pending';

CREATE INDEX recoveries_due ON recoveries (execute_at, id) WHERE state = 'pending';

CREATE INDEX sessions_open ON sessions (staff_id, id) WHERE ended_at IS NULL;

CREATE TRIGGER policy AFTER INSERT OR UPDATE OR DELETE ON role_separations
FOR EACH ROW EXECUTE FUNCTION postern_mark_policy();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON role_separations
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('role_separation');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON role_separations
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON staff_flags
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('staff_flag');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON staff_flags
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON recoveries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('recovery');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON recoveries
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 18 passkeys

ALTER TABLE factors ADD COLUMN credential TEXT COLLATE "C";

CREATE UNIQUE INDEX factors_credential ON factors (credential) WHERE credential IS NOT NULL;

CREATE TABLE passkey_answers (
    nonce BYTEA PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX passkey_answers_expires ON passkey_answers (expires_at);

-- 19 policy

ALTER TABLE approval_rules ADD COLUMN retired BIGINT NOT NULL DEFAULT 0;

ALTER TABLE role_permissions ADD COLUMN revoked BIGINT NOT NULL DEFAULT 0;

-- 20 breakglass

CREATE TABLE breakglass_sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    tenant_id TEXT COLLATE "C" NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    solo BIGINT NOT NULL,
    reason_code TEXT COLLATE "C" NOT NULL,
    tried TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    ended_at BIGINT,
    ended_by TEXT COLLATE "C",
    end_reason TEXT COLLATE "C",
    review_due_at BIGINT,
    escalated_at BIGINT,
    reviewed_at BIGINT,
    reviewed_by TEXT COLLATE "C",
    verdict TEXT COLLATE "C",
    findings TEXT COLLATE "C",
    follow_up TEXT COLLATE "C"
);

CREATE UNIQUE INDEX breakglass_live ON breakglass_sessions (person) WHERE state <> 'reviewed';

CREATE INDEX breakglass_state ON breakglass_sessions (state, id);

CREATE INDEX breakglass_tenant ON breakglass_sessions (tenant_id, id);

CREATE INDEX breakglass_person ON breakglass_sessions (person, id);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON breakglass_sessions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('breakglass');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON breakglass_sessions
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 21 single sign-on

DROP INDEX factors_credential;

CREATE UNIQUE INDEX factors_credential ON factors (credential) WHERE credential IS NOT NULL AND status = 'active';

CREATE TABLE provider_requests (
    state_hash BYTEA PRIMARY KEY,
    visitor_hash BYTEA NOT NULL,
    purpose TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C",
    next TEXT COLLATE "C",
    source TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX provider_requests_expires ON provider_requests (expires_at);

CREATE INDEX provider_requests_source ON provider_requests (source, expires_at);

CREATE TABLE provider_sessions (
    session_id TEXT COLLATE "C" PRIMARY KEY,
    subject TEXT COLLATE "C" NOT NULL,
    sid TEXT COLLATE "C",
    token TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX provider_sessions_subject ON provider_sessions (subject);

CREATE INDEX provider_sessions_sid ON provider_sessions (sid);

CREATE INDEX provider_sessions_expires ON provider_sessions (expires_at);

CREATE TABLE provider_tokens (
    jti BYTEA PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX provider_tokens_expires ON provider_tokens (expires_at);

ALTER TABLE challenges ADD COLUMN provider TEXT COLLATE "C";

CREATE TABLE device_logins (
    id TEXT COLLATE "C" PRIMARY KEY,
    device_hash BYTEA NOT NULL,
    code_hash BYTEA NOT NULL,
    machine TEXT COLLATE "C" NOT NULL,
    client TEXT COLLATE "C" NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    staff_id TEXT COLLATE "C",
    session_id TEXT COLLATE "C",
    wait_seconds BIGINT NOT NULL,
    polled_at BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX device_logins_device ON device_logins (device_hash);

CREATE UNIQUE INDEX device_logins_code ON device_logins (code_hash);

CREATE INDEX device_logins_expires ON device_logins (expires_at);

CREATE INDEX device_logins_source ON device_logins (source, expires_at);

-- 22 accounts

CREATE TABLE service_accounts (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    owner_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    token_sha256 TEXT COLLATE "C" NOT NULL,
    previous_sha256 TEXT COLLATE "C",
    previous_until BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    rotated_at BIGINT,
    revoked_at BIGINT,
    revoked_for TEXT COLLATE "C"
);

CREATE UNIQUE INDEX service_accounts_token ON service_accounts (token_sha256);

CREATE INDEX service_accounts_previous ON service_accounts (previous_sha256) WHERE previous_sha256 IS NOT NULL;

CREATE INDEX service_accounts_owner ON service_accounts (owner_id, id);

CREATE TABLE scim_tokens (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    token_sha256 TEXT COLLATE "C" NOT NULL,
    previous_sha256 TEXT COLLATE "C",
    previous_until BIGINT,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    rotated_at BIGINT,
    revoked_at BIGINT,
    revoked_for TEXT COLLATE "C"
);

CREATE UNIQUE INDEX scim_tokens_token ON scim_tokens (token_sha256);

CREATE INDEX scim_tokens_previous ON scim_tokens (previous_sha256) WHERE previous_sha256 IS NOT NULL;

CREATE TABLE service_account_use (
    account_id TEXT COLLATE "C" PRIMARY KEY,
    used_at BIGINT NOT NULL
);

CREATE TABLE scim_token_use (
    token_id TEXT COLLATE "C" PRIMARY KEY,
    used_at BIGINT NOT NULL
);

CREATE TABLE scim_users (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    user_name TEXT COLLATE "C" NOT NULL,
    user_name_folded TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C",
    display_name TEXT COLLATE "C",
    formatted_name TEXT COLLATE "C",
    given_name TEXT COLLATE "C",
    family_name TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);

CREATE UNIQUE INDEX scim_users_staff ON scim_users (staff_id);

CREATE UNIQUE INDEX scim_users_name ON scim_users (user_name_folded) WHERE deleted_at IS NULL;

CREATE INDEX scim_users_folded ON scim_users (user_name_folded);

CREATE INDEX scim_users_external ON scim_users (external_id) WHERE external_id IS NOT NULL;

CREATE TABLE pending_grants (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    role_id TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    decided_by TEXT COLLATE "C",
    decided_at BIGINT
);

CREATE UNIQUE INDEX pending_grants_waiting ON pending_grants (staff_id, role_id)
    WHERE state IN ('pending', 'dismissed');

CREATE INDEX pending_grants_state ON pending_grants (state, id);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON service_accounts
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('service_account');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON service_accounts
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON scim_tokens
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('scim_token');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON scim_tokens
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON scim_users
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('scim_user');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON scim_users
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON pending_grants
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('pending_grant');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON pending_grants
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 23 access reviews

CREATE TABLE access_reviews (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    roles TEXT COLLATE "C" NOT NULL,
    reviewers TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    is_planned BIGINT NOT NULL,
    started_by TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    reminded BIGINT NOT NULL,
    exception_id TEXT COLLATE "C",
    ended_at BIGINT,
    ended_by TEXT COLLATE "C"
);

CREATE INDEX access_reviews_due ON access_reviews (state, due_at, id);

CREATE INDEX access_reviews_started ON access_reviews (started_at, id);

CREATE INDEX access_reviews_state ON access_reviews (state, started_at, id);

CREATE UNIQUE INDEX access_reviews_planned ON access_reviews (is_planned) WHERE is_planned = 1 AND state = 'open';

CREATE INDEX access_reviews_last ON access_reviews (is_planned, started_at);

CREATE TABLE access_review_items (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    review_id TEXT COLLATE "C" NOT NULL,
    place BIGINT NOT NULL,
    grant_id TEXT COLLATE "C" NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    granted_by TEXT COLLATE "C" NOT NULL,
    granted_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_sign_in_at BIGINT,
    last_used_at BIGINT,
    last_used_for TEXT COLLATE "C",
    reviewer TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    decided_by TEXT COLLATE "C",
    decided_at BIGINT,
    reason_code TEXT COLLATE "C",
    event_id TEXT COLLATE "C"
);

CREATE UNIQUE INDEX access_review_items_place ON access_review_items (review_id, place);

CREATE UNIQUE INDEX access_review_items_grant ON access_review_items (review_id, grant_id);

CREATE INDEX access_review_items_owed ON access_review_items (reviewer, state, review_id);

CREATE INDEX access_review_items_staff ON access_review_items (staff_id, id);

CREATE TABLE access_review_plans (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    is_on BIGINT NOT NULL,
    cadence TEXT COLLATE "C" NOT NULL,
    roles TEXT COLLATE "C" NOT NULL,
    days_until_due BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE compliance_exceptions (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    control_id TEXT COLLATE "C" NOT NULL,
    source_type TEXT COLLATE "C" NOT NULL,
    source_id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    severity TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C",
    opened_at BIGINT NOT NULL,
    target_close BIGINT NOT NULL,
    closed_at BIGINT,
    closed_by TEXT COLLATE "C"
);

CREATE INDEX compliance_exceptions_status ON compliance_exceptions (status, opened_at, id);

CREATE INDEX compliance_exceptions_opened ON compliance_exceptions (opened_at, id);

CREATE UNIQUE INDEX compliance_exceptions_source ON compliance_exceptions (source_type, source_id)
    WHERE status IN ('open', 'mitigating');

CREATE INDEX grants_role ON grants (role_id, staff_id) WHERE revoked_at IS NULL;

CREATE INDEX sessions_started ON sessions (staff_id, created_at);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON access_reviews
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('access_review');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON access_reviews
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON access_review_items
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('access_review_item');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON access_review_items
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON access_review_plans
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('access_review_plan');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON access_review_plans
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON compliance_exceptions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('compliance_exception');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON compliance_exceptions
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 24 telling

CREATE TABLE inbox_pending (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id TEXT COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE notifications (
    id TEXT COLLATE "C" PRIMARY KEY,
    staff_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    about_type TEXT COLLATE "C",
    about_id TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    read_at BIGINT,
    is_moot BIGINT NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX notifications_once ON notifications (event_id, staff_id, kind);

CREATE INDEX notifications_staff ON notifications (staff_id, created_at, id);

CREATE INDEX notifications_unread ON notifications (staff_id, created_at, id) WHERE read_at IS NULL;

CREATE INDEX notifications_about ON notifications (about_id) WHERE read_at IS NULL;

CREATE INDEX notifications_created ON notifications (created_at);

CREATE TABLE inbox_state (
    id BIGINT PRIMARY KEY,
    mark BIGINT NOT NULL
);

INSERT INTO inbox_state (id, mark) VALUES (1, 0);

CREATE TABLE inbox_marks (
    staff_id TEXT COLLATE "C" PRIMARY KEY,
    mark BIGINT NOT NULL
);

CREATE UNIQUE INDEX inbox_marks_mark ON inbox_marks (mark, staff_id);

CREATE TABLE approval_reminders (
    approval_id TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (approval_id, stage)
);

CREATE INDEX approval_reminders_due ON approval_reminders (due_at, approval_id);

CREATE TABLE slack_links (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    team TEXT COLLATE "C" NOT NULL,
    slack_user TEXT COLLATE "C" NOT NULL,
    staff_id TEXT COLLATE "C" NOT NULL,
    linked_at BIGINT NOT NULL,
    ended_at BIGINT
);

CREATE UNIQUE INDEX slack_links_user ON slack_links (team, slack_user) WHERE ended_at IS NULL;

CREATE INDEX slack_links_staff ON slack_links (staff_id, id);

CREATE TABLE slack_offers (
    token_hash BYTEA PRIMARY KEY,
    team TEXT COLLATE "C" NOT NULL,
    slack_user TEXT COLLATE "C" NOT NULL,
    slack_name TEXT COLLATE "C" NOT NULL,
    team_name TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX slack_offers_expires ON slack_offers (expires_at);

CREATE TABLE slack_requests (
    signature BYTEA PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX slack_requests_expires ON slack_requests (expires_at);

CREATE TABLE slack_messages (
    approval_id TEXT COLLATE "C" PRIMARY KEY,
    ts TEXT COLLATE "C" NOT NULL,
    posted_at BIGINT NOT NULL
);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON slack_links
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('slack_link');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON slack_links
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 26 mandates

ALTER TABLE scim_tokens ADD COLUMN previous_by TEXT COLLATE "C";

ALTER TABLE grants ADD COLUMN source TEXT COLLATE "C";

ALTER TABLE grants ADD COLUMN token_holder TEXT COLLATE "C";

ALTER TABLE pending_grants ADD COLUMN token_holder TEXT COLLATE "C";

ALTER TABLE approvals ADD COLUMN account_id TEXT COLLATE "C";

CREATE INDEX approvals_account ON approvals (account_id, created_at, id) WHERE account_id IS NOT NULL;

-- 27 clock

CREATE TABLE clock_jumps (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    times BIGINT NOT NULL,
    is_open BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    confirmed_by TEXT COLLATE "C"
);

CREATE UNIQUE INDEX clock_jumps_open ON clock_jumps (is_open) WHERE is_open = 1;

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON clock_jumps
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('clock_jump');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON clock_jumps
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 28 portions

DROP FUNCTION postern_erase(text, text);

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
        GROUP BY s.event_id ORDER BY s.event_id LIMIT 500
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
END $$;

REVOKE ALL ON FUNCTION postern_erase(text, text, text) FROM PUBLIC;

-- 31 workers

CREATE TABLE workers (
    id TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    restarted_at BIGINT
);

CREATE CONSTRAINT TRIGGER governed AFTER INSERT OR UPDATE OR DELETE ON workers
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION postern_governed('worker');

CREATE TRIGGER governed_truncate BEFORE TRUNCATE ON workers
FOR EACH STATEMENT EXECUTE FUNCTION postern_no_truncate();

-- 37 clock marks

CREATE TABLE clock_marks (
    boot TEXT COLLATE "C" PRIMARY KEY,
    
    ahead BIGINT NOT NULL,
    
    steady_at BIGINT NOT NULL
);

-- 40 turns of requests

DROP INDEX approvals_state;
