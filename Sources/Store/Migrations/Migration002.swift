/// What is sent to others: endpoints, deliveries, and the queues the worker takes them from.
enum Migration002 {
    static let tables = """
        -- The order in which effects were committed; a row goes once its deliveries are there.
        CREATE TABLE outbox_pending (
            seq {serial},
            outbox_id {text} NOT NULL UNIQUE REFERENCES outbox (id),
            kind {text} NOT NULL
        );
        CREATE INDEX outbox_pending_kind ON outbox_pending (kind, seq);
        INSERT INTO outbox_pending (outbox_id, kind)
            SELECT id, kind FROM outbox WHERE state = 'pending' ORDER BY created_at, id;

        -- Governed
        CREATE TABLE webhooks (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            url {text} NOT NULL,
            events {text} NOT NULL,
            status {text} NOT NULL,
            disabled_for {text},
            secret {text} NOT NULL,
            previous_secret {text},
            previous_until BIGINT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX webhooks_status ON webhooks (status, id);
        CREATE TABLE deliveries (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            outbox_id {text} NOT NULL,
            webhook_id {text} NOT NULL,
            event_id {text} NOT NULL,
            name {text} NOT NULL,
            tenant_id {text},
            tenant_version BIGINT,
            state {text} NOT NULL,
            urgency BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            settled_at BIGINT
        );
        CREATE UNIQUE INDEX deliveries_pair ON deliveries (outbox_id, webhook_id);
        -- One for each filter of the list, in its order.
        CREATE INDEX deliveries_urgency ON deliveries (urgency, created_at, id);
        CREATE INDEX deliveries_state ON deliveries (state, urgency, created_at, id);
        CREATE INDEX deliveries_webhook ON deliveries (webhook_id, urgency, created_at, id);
        CREATE INDEX deliveries_tenant ON deliveries (tenant_id, urgency, created_at, id);

        -- Work in hand (not governed): what is sent in order, what waits in it, and what was tried.
        CREATE TABLE delivery_lanes (
            id {text} PRIMARY KEY,
            webhook_id {text} NOT NULL,
            -- When the first of the lane may be tried; while it is tried, when the lease runs out; NULL: nothing is due.
            due_at BIGINT,
            lease {text}
        );
        CREATE INDEX delivery_lanes_due ON delivery_lanes (due_at, id);
        CREATE INDEX delivery_lanes_webhook ON delivery_lanes (webhook_id);
        CREATE TABLE delivery_queue (
            delivery_id {text} PRIMARY KEY,
            lane {text} NOT NULL,
            position BIGINT NOT NULL,
            failures BIGINT NOT NULL,
            tried_at BIGINT
        );
        CREATE INDEX delivery_queue_lane ON delivery_queue (lane, position, delivery_id);
        CREATE TABLE delivery_attempts (
            delivery_id {text} NOT NULL,
            number BIGINT NOT NULL,
            at BIGINT NOT NULL,
            took BIGINT,
            http_status BIGINT,
            note {text},
            PRIMARY KEY (delivery_id, number)
        );
        """

    static let governed: [(table: String, type: String)] = [("webhooks", "webhook"), ("deliveries", "delivery")]
}
