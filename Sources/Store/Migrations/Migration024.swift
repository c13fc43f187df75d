/// What people are told: an inbox for each, reminders, and accounts of Slack that are somebody's.
enum Migration024 {
    static let tables = """
        -- Events that may concern somebody, written with them, until the inbox has looked at them (not governed: a queue).
        CREATE TABLE inbox_pending (
            seq {serial},
            event_id {text} NOT NULL UNIQUE
        );

        -- What somebody was told, and whether they have read it (not governed: it says nothing that the log doesn't).
        CREATE TABLE notifications (
            id {text} PRIMARY KEY,
            staff_id {text} NOT NULL,
            kind {text} NOT NULL,
            event_id {text} NOT NULL,
            about_type {text},
            about_id {text},
            created_at BIGINT NOT NULL,
            read_at BIGINT,
            is_moot BIGINT NOT NULL DEFAULT 0
        );
        -- Nobody is told the same twice, whoever tries.
        CREATE UNIQUE INDEX notifications_once ON notifications (event_id, staff_id, kind);
        CREATE INDEX notifications_staff ON notifications (staff_id, created_at, id);
        CREATE INDEX notifications_unread ON notifications (staff_id, created_at, id) WHERE read_at IS NULL;
        CREATE INDEX notifications_about ON notifications (about_id) WHERE read_at IS NULL;
        CREATE INDEX notifications_created ON notifications (created_at);

        -- Whose inbox changed last: counts up under one row's lock, so that marks are in the order of the commits.
        CREATE TABLE inbox_state (
            id BIGINT PRIMARY KEY,
            mark BIGINT NOT NULL
        );
        INSERT INTO inbox_state (id, mark) VALUES (1, 0);
        CREATE TABLE inbox_marks (
            staff_id {text} PRIMARY KEY,
            mark BIGINT NOT NULL
        );
        CREATE UNIQUE INDEX inbox_marks_mark ON inbox_marks (mark, staff_id);

        -- When those who could sign a request are reminded; a row goes when it was done (not governed).
        CREATE TABLE approval_reminders (
            approval_id {text} NOT NULL,
            stage {text} NOT NULL,
            round BIGINT NOT NULL,
            due_at BIGINT NOT NULL,
            PRIMARY KEY (approval_id, stage)
        );
        CREATE INDEX approval_reminders_due ON approval_reminders (due_at, approval_id);

        -- Governed
        CREATE TABLE slack_links (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            team {text} NOT NULL,
            slack_user {text} NOT NULL,
            staff_id {text} NOT NULL,
            linked_at BIGINT NOT NULL,
            ended_at BIGINT
        );
        CREATE UNIQUE INDEX slack_links_user ON slack_links (team, slack_user) WHERE ended_at IS NULL;
        CREATE INDEX slack_links_staff ON slack_links (staff_id, id);

        -- Offers to link, until somebody takes them or their time is over (not governed).
        CREATE TABLE slack_offers (
            token_hash {bytes} PRIMARY KEY,
            team {text} NOT NULL,
            slack_user {text} NOT NULL,
            slack_name {text} NOT NULL,
            team_name {text} NOT NULL,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX slack_offers_expires ON slack_offers (expires_at);
        -- Signatures of Slack's requests, until they would be too old anyway: none is taken twice (not governed).
        CREATE TABLE slack_requests (
            signature {bytes} PRIMARY KEY,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX slack_requests_expires ON slack_requests (expires_at);
        -- Where a request's message stands in the channel, so that it can be changed (not governed).
        CREATE TABLE slack_messages (
            approval_id {text} PRIMARY KEY,
            ts {text} NOT NULL,
            posted_at BIGINT NOT NULL
        );
        """

    static let governed: [(table: String, type: String)] = [("slack_links", "slack_link")]
}
