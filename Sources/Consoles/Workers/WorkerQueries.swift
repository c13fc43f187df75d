import Kernel

extension Worker {
    public static let columns = "id, version, restarted_at"

    public init(_ row: Row) throws {
        guard let name = Name(rawValue: try row.string("id")) else { throw StoreError.shape(column: "id") }
        self.init(
            name, version: try row.int("version"), restartedAt: try row.optionalInstant("restarted_at"))
    }

    public var values: [Value] { [.text(id), .int(version), Value(restartedAt)] }

    /// The version of each, which rises whenever one is to start anew. One that this version does not know is left out.
    /// - Throws: `StoreError`.
    public static func versions(in database: any Database) async throws -> [Name: Int64] {
        try await database.read { reader in
            var found: [Name: Int64] = [:]
            for row in try reader.query(selectAll(after: "", limit: 100)) {
                if let name = Name(rawValue: try row.string("id")) { found[name] = try row.int("version") }
            }
            return found
        }
    }
}
