import Kernel

/// Approvals that are decided and carried out: rounds, schedules, signatures, and who made an account what it is.
enum Migration013 {
    static let tables = """
        ALTER TABLE approvals ADD COLUMN tenant_id {text};
        ALTER TABLE approvals ADD COLUMN plan_event_id {text} NOT NULL DEFAULT '';
        ALTER TABLE approvals ADD COLUMN planned_at BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE approvals ADD COLUMN round BIGINT NOT NULL DEFAULT 1;
        ALTER TABLE approvals ADD COLUMN not_before BIGINT;
        ALTER TABLE approvals ADD COLUMN decided_at BIGINT;
        ALTER TABLE approvals ADD COLUMN execute_at BIGINT;
        ALTER TABLE approvals ADD COLUMN outcome_event_id {text};
        -- One live request for an operation on a target, whatever it waits for.
        DROP INDEX approvals_pending;
        CREATE UNIQUE INDEX approvals_live ON approvals (operation, target_id)
            WHERE state IN ('pending', 'stale', 'approved', 'scheduled');
        CREATE INDEX approvals_due ON approvals (execute_at, id) WHERE state IN ('approved', 'scheduled');
        CREATE INDEX approvals_open ON approvals (expires_at, id) WHERE state IN ('pending', 'stale');
        CREATE INDEX approvals_decided ON approvals (decided_at, id) WHERE decided_at IS NOT NULL;

        CREATE TABLE approval_signatures (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            approval_id {text} NOT NULL,
            round BIGINT NOT NULL,
            person {text} NOT NULL,
            decision {text} NOT NULL,
            statement {text} NOT NULL,
            method {text} NOT NULL,
            factor_at BIGINT NOT NULL,
            event_id {text} NOT NULL,
            created_at BIGINT NOT NULL
        );
        CREATE INDEX approvals_by ON approvals (requester, created_at, id);

        -- Whose signature an open request asks for, so that everybody finds theirs (not governed: read from the demands).
        CREATE TABLE approval_leaves (
            leaf {text} NOT NULL,
            expires_at BIGINT NOT NULL,
            approval_id {text} NOT NULL,
            requester {text} NOT NULL,
            PRIMARY KEY (leaf, expires_at, approval_id)
        );
        CREATE INDEX approval_leaves_approval ON approval_leaves (approval_id);

        CREATE UNIQUE INDEX approval_signatures_once ON approval_signatures (approval_id, round, person);
        CREATE INDEX approval_signatures_person ON approval_signatures (person, created_at, id);

        -- One-time answers of approved operations, for who asked, sealed; gone once shown (not governed).
        CREATE TABLE approval_reveals (
            approval_id {text} PRIMARY KEY,
            sealed {text} NOT NULL,
            expires_at BIGINT NOT NULL
        );

        -- Money moved without a second person's signature, or waiting for one: what bands and allowances add up
        -- (not governed: read from events that say the same).
        CREATE TABLE spending (
            event_id {text} PRIMARY KEY,
            approval_id {text},
            tenant_id {text} NOT NULL,
            person {text} NOT NULL,
            amount BIGINT NOT NULL,
            currency {text} NOT NULL,
            at BIGINT NOT NULL
        );
        CREATE INDEX spending_tenant ON spending (tenant_id, at);
        CREATE INDEX spending_person ON spending (person, at);
        CREATE INDEX spending_approval ON spending (approval_id);
        CREATE INDEX spending_at ON spending (at);
        CREATE TABLE exchange_rates (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            micros BIGINT NOT NULL
        );

        ALTER TABLE staff ADD COLUMN invited_at BIGINT;
        ALTER TABLE staff ADD COLUMN reset_by {text};
        ALTER TABLE staff ADD COLUMN reset_at BIGINT;
        """

    static let governed: [(table: String, type: String)] = [
        ("approval_signatures", "approval_signature"), ("exchange_rates", "exchange_rate"),
    ]

    @Sendable static func special(_ dialect: Dialect) -> [String] {
        Migration011.marking("exchange_rates", dialect)
    }
}
