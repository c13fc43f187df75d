import Kernel

extension PolicySetting {
    public static let columns = "id, version, value, updated_at"

    public init(_ row: Row) throws {
        guard let key = Key(rawValue: try row.string("id")) else { throw StoreError.shape(column: "id") }
        self.init(
            key, version: try row.int("version"), value: try row.int("value"), at: try row.instant("updated_at"))
    }

    /// How long what is done can be undone here.
    static func undoWindow(from reader: any Reader) throws -> Span {
        try load(Key.undoHours.id, from: reader).map { .hours($0.value) } ?? Undo.window
    }

    public var values: [Value] { [.text(id), .int(version), .int(value), Value(updatedAt)] }
}
