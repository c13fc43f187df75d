/// What runs in the servers beside requests, and when each part of it was told to start anew.
enum Migration031 {
    static let tables = """
        CREATE TABLE workers (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            restarted_at BIGINT
        );
        """

    static let governed: [(table: String, type: String)] = [("workers", "worker")]
}
