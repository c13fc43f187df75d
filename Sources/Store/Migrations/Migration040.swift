/// An index that nothing looks through: each turn of a request wrote into it.
enum Migration040 {
    static let tables = """
        DROP INDEX approvals_state;
        """
}
