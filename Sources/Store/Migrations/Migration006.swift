/// What the staff channel and mail need beside deliveries: where the mirror of the log stands, and how each channel fares.
enum Migration006 {
    static let tables = """
        -- Work in hand (not governed): one row for each channel that a server was ever set up for.
        CREATE TABLE delivery_channels (
            id {text} PRIMARY KEY,
            is_on BIGINT NOT NULL,
            -- The first entry of the log that the channel was not told of yet; 0 where nothing is mirrored.
            next_idx BIGINT NOT NULL,
            -- The day whose root it was told last, counted from 1970-01-01.
            root_day BIGINT NOT NULL,
            sent_at BIGINT,
            failed_at BIGINT,
            error {text}
        );
        """
}
