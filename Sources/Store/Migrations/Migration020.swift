import Kernel

/// Emergencies, each with its end and its review.
enum Migration020 {
    static let tables = """
        CREATE TABLE breakglass_sessions (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            tenant_id {text} NOT NULL,
            person {text} NOT NULL,
            solo BIGINT NOT NULL,
            reason_code {text} NOT NULL,
            tried {text},
            state {text} NOT NULL,
            opened_at BIGINT NOT NULL,
            ends_at BIGINT NOT NULL,
            event_id {text} NOT NULL,
            ended_at BIGINT,
            ended_by {text},
            end_reason {text},
            review_due_at BIGINT,
            escalated_at BIGINT,
            reviewed_at BIGINT,
            reviewed_by {text},
            verdict {text},
            findings {text},
            follow_up {text}
        );
        -- A person has one at most that is not reviewed.
        CREATE UNIQUE INDEX breakglass_live ON breakglass_sessions (person) WHERE state <> 'reviewed';
        CREATE INDEX breakglass_state ON breakglass_sessions (state, id);
        CREATE INDEX breakglass_tenant ON breakglass_sessions (tenant_id, id);
        CREATE INDEX breakglass_person ON breakglass_sessions (person, id);
        """

    static let governed: [(table: String, type: String)] = [("breakglass_sessions", "breakglass")]
}
