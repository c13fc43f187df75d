import Kernel

/// The life of an account: roles that are not held together, exceptions to review, and recovery from the server.
enum Migration017 {
    static let tables = """
        CREATE TABLE role_separations (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            first_roles {text} NOT NULL,
            second_roles {text} NOT NULL,
            summary {text} NOT NULL
        );
        CREATE TABLE staff_flags (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            staff_id {text} NOT NULL,
            roles {text} NOT NULL,
            reason {text} NOT NULL,
            raised_by {text} NOT NULL,
            raised_at BIGINT NOT NULL,
            state {text} NOT NULL,
            cleared_by {text},
            cleared_at BIGINT,
            outcome {text}
        );
        CREATE INDEX staff_flags_staff ON staff_flags (staff_id, id);
        CREATE INDEX staff_flags_state ON staff_flags (state, id);
        CREATE TABLE recoveries (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            staff_id {text} NOT NULL,
            name {text} NOT NULL,
            state {text} NOT NULL,
            requested_at BIGINT NOT NULL,
            execute_at BIGINT NOT NULL,
            ended_at BIGINT,
            ended_by {text}
        );
        CREATE UNIQUE INDEX recoveries_pending ON recoveries (staff_id) WHERE state = 'pending';
        CREATE INDEX recoveries_due ON recoveries (execute_at, id) WHERE state = 'pending';
        CREATE INDEX sessions_open ON sessions (staff_id, id) WHERE ended_at IS NULL;
        """

    static let governed: [(table: String, type: String)] = [
        ("role_separations", "role_separation"), ("staff_flags", "staff_flag"), ("recoveries", "recovery"),
    ]

    @Sendable static func special(_ dialect: Dialect) -> [String] {
        Migration011.marking("role_separations", dialect)
    }
}
