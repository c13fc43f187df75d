/// Reviews of who may do what: campaigns with their frozen lists, when they start by themselves, and exceptions.
enum Migration023 {
    static let tables = """
        CREATE TABLE access_reviews (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            roles {text} NOT NULL,
            reviewers {text} NOT NULL,
            state {text} NOT NULL,
            is_planned BIGINT NOT NULL,
            started_by {text} NOT NULL,
            started_at BIGINT NOT NULL,
            due_at BIGINT NOT NULL,
            reminded BIGINT NOT NULL,
            exception_id {text},
            ended_at BIGINT,
            ended_by {text}
        );
        CREATE INDEX access_reviews_due ON access_reviews (state, due_at, id);
        CREATE INDEX access_reviews_started ON access_reviews (started_at, id);
        CREATE INDEX access_reviews_state ON access_reviews (state, started_at, id);
        -- Two servers start one, not two.
        CREATE UNIQUE INDEX access_reviews_planned ON access_reviews (is_planned) WHERE is_planned = 1 AND state = 'open';
        CREATE INDEX access_reviews_last ON access_reviews (is_planned, started_at);

        CREATE TABLE access_review_items (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            review_id {text} NOT NULL,
            place BIGINT NOT NULL,
            grant_id {text} NOT NULL,
            staff_id {text} NOT NULL,
            name {text} NOT NULL,
            role {text} NOT NULL,
            granted_by {text} NOT NULL,
            granted_at BIGINT NOT NULL,
            expires_at BIGINT,
            last_sign_in_at BIGINT,
            last_used_at BIGINT,
            last_used_for {text},
            reviewer {text},
            state {text} NOT NULL,
            decided_by {text},
            decided_at BIGINT,
            reason_code {text},
            event_id {text}
        );
        CREATE UNIQUE INDEX access_review_items_place ON access_review_items (review_id, place);
        CREATE UNIQUE INDEX access_review_items_grant ON access_review_items (review_id, grant_id);
        CREATE INDEX access_review_items_owed ON access_review_items (reviewer, state, review_id);
        CREATE INDEX access_review_items_staff ON access_review_items (staff_id, id);

        CREATE TABLE access_review_plans (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            is_on BIGINT NOT NULL,
            cadence {text} NOT NULL,
            roles {text} NOT NULL,
            days_until_due BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );

        CREATE TABLE compliance_exceptions (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            control_id {text} NOT NULL,
            source_type {text} NOT NULL,
            source_id {text} NOT NULL,
            title {text} NOT NULL,
            severity {text} NOT NULL,
            status {text} NOT NULL,
            owner {text},
            opened_at BIGINT NOT NULL,
            target_close BIGINT NOT NULL,
            closed_at BIGINT,
            closed_by {text}
        );
        CREATE INDEX compliance_exceptions_status ON compliance_exceptions (status, opened_at, id);
        CREATE INDEX compliance_exceptions_opened ON compliance_exceptions (opened_at, id);
        CREATE UNIQUE INDEX compliance_exceptions_source ON compliance_exceptions (source_type, source_id)
            WHERE status IN ('open', 'mitigating');

        -- Who holds a role, and when somebody signed in last.
        CREATE INDEX grants_role ON grants (role_id, staff_id) WHERE revoked_at IS NULL;
        CREATE INDEX sessions_started ON sessions (staff_id, created_at);
        """

    static let governed: [(table: String, type: String)] = [
        ("access_reviews", "access_review"), ("access_review_items", "access_review_item"),
        ("access_review_plans", "access_review_plan"), ("compliance_exceptions", "compliance_exception"),
    ]
}
