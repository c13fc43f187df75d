/// Rows that are not what the log says.
enum Migration007 {
    static let tables = """
        -- Governed
        CREATE TABLE discrepancies (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            row_type {text} NOT NULL,
            row_id {text} NOT NULL,
            kind {text} NOT NULL,
            state {text} NOT NULL,
            urgency BIGINT NOT NULL,
            found_at BIGINT NOT NULL,
            settled_at BIGINT
        );
        CREATE UNIQUE INDEX discrepancies_open ON discrepancies (row_type, row_id) WHERE state = 'open';
        CREATE INDEX discrepancies_urgency ON discrepancies (urgency, found_at, id);
        CREATE INDEX discrepancies_state ON discrepancies (state, urgency, found_at, id);
        """

    static let governed: [(table: String, type: String)] = [("discrepancies", "discrepancy")]
}
