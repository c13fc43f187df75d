import Kernel

extension Staff {
    public static let columns = """
        id, version, email, name, status, invited_by, created_at, updated_at, invited_at, reset_by, reset_at
        """

    /// The one with this address, or nothing.
    static func withEmail(_ email: String) -> Statement {
        Statement("SELECT \(columns) FROM staff WHERE email = $1", [.text(email)])
    }

    public init(_ row: Row) throws {
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), email: try row.string("email"),
            name: try row.string("name"), status: status, invitedBy: try row.optionalString("invited_by"),
            createdAt: try row.instant("created_at"), updatedAt: try row.instant("updated_at"),
            invitedAt: try row.optionalInstant("invited_at"),
            resetBy: try row.optionalString("reset_by"), resetAt: try row.optionalInstant("reset_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(email), .text(name), .text(status.rawValue), Value(invitedBy),
            Value(createdAt), Value(updatedAt), Value(invitedAt), Value(resetBy), Value(resetAt),
        ]
    }
}
