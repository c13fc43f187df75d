/// Where the clock stood when a server last looked, so that one that is set while none runs is noticed by the next.
enum Migration037 {
    static let tables = """
        -- Work in hand (not governed): one row for each start of a machine that a server ran on.
        CREATE TABLE clock_marks (
            boot {text} PRIMARY KEY,
            -- How far the clock was ahead of the time since that start, in microseconds.
            ahead BIGINT NOT NULL,
            -- When it was looked at, in microseconds since that start.
            steady_at BIGINT NOT NULL
        );
        """
}
