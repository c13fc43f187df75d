/// That the clock of the embedded database was set, until somebody has confirmed it: also over restarts.
enum Migration027 {
    static let tables = """
        CREATE TABLE clock_jumps (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            seconds BIGINT NOT NULL,
            times BIGINT NOT NULL,
            is_open BIGINT NOT NULL,
            first_at BIGINT NOT NULL,
            last_at BIGINT NOT NULL,
            confirmed_at BIGINT,
            confirmed_by {text}
        );
        -- However often it is set, there is one to look at.
        CREATE UNIQUE INDEX clock_jumps_open ON clock_jumps (is_open) WHERE is_open = 1;
        """

    static let governed: [(table: String, type: String)] = [("clock_jumps", "clock_jump")]
}
