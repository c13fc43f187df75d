import Synchronization

// The statements every governed row needs, made from its columns.
extension Entity {
    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        if ids.count == 1 {
            return Statement(texts.selectOne + (lock ? dialect.forUpdate : ""), [.text(ids[0])])
        }
        return Statement(
            """
            SELECT \(columns) FROM \(table) WHERE id IN (\(placeholders(ids.count))) ORDER BY id\
            \(lock ? dialect.forUpdate : "")
            """, ids.map(Value.text))
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement(
            "SELECT \(columns) FROM \(table) WHERE id > $1 ORDER BY id LIMIT $2",
            [.text(cursor), .int(Int64(limit))])
    }

    /// Inserts this row.
    public func insert() -> [Statement] {
        [Statement(Self.texts.insert, values, expectedRows: 1)]
    }

    /// Inserts all of them at once.
    public static func load(_ entities: [Self]) -> RowLoad {
        var rows = RowLoad(table, columns: columns, reserving: entities.count)
        for entity in entities { rows.append(entity.values) }
        return rows
    }

    /// Writes this row over the one with version `expecting`, whatever that is.
    public func update(expecting version: Int64) -> [Statement] {
        [Statement(Self.texts.update, values + [.int(version)], expectedRows: 1)]
    }

    /// Writes what this row has otherwise over `before`, which stands there: long texts that stay are neither sent nor stored again. A
    /// column that is worked out from others is written when they change; to work it out in another way takes a migration.
    func update(over before: any Entity) -> [Statement] {
        guard let before = before as? Self else { return update(expecting: before.version) }
        let (old, new) = (before.valuesAsRead, valuesAsRead)
        let changed = new.indices.dropFirst().filter { !new[$0].isSame(as: old[$0]) }
        return [
            Statement(
                Self.texts.update(of: changed), [new[0]] + changed.map { new[$0] } + [.int(before.version)],
                expectedRows: 1)
        ]
    }

    static var columnNames: [String] { texts.names }

    private static var texts: EntityTexts { EntityTexts.of(Self.self) }

    /// Columns of the stored row that are not what this row would be stored as.
    /// - Parameter names: `columnNames`, worked out once for many rows.
    func columnsEdited(in row: Row, _ names: [String]) -> [String] {
        var edited: [String] = []
        for (name, value) in zip(names, values) {
            if !row[name].isSame(as: value) { edited.append(name) }
        }
        return edited
    }
}

extension Value {
    /// Texts byte by byte: as Unicode compares them, different ones are equal.
    fileprivate func isSame(as other: Value) -> Bool {
        if case (.text(let text), .text(let other)) = (self, other) { return text.hasSameBytes(as: other) }
        return self == other
    }
}

/// `$1, $2, …`
public func placeholders(_ count: Int, from first: Int = 1) -> String {
    (first..<first + count).map { "$\($0)" }.joined(separator: ", ")
}

/// Values for an `IN (…)` of few lengths, so that few texts are prepared: the last is named again. More than the greatest
/// length, and none, stay as they are.
public func filled<T>(_ values: [T], to lengths: [Int] = [1, 10, 50]) -> [T] {
    guard let last = values.last, let length = lengths.first(where: { $0 >= values.count }) else { return values }
    return values + Array(repeating: last, count: length - values.count)
}

/// The texts of an entity's statements, made once for each type.
private struct EntityTexts: Sendable {
    let names: [String]
    let selectOne: String
    let insert: String
    let update: String
    private let table: String
    private let updates = Updates()

    private init<E: Entity>(_ entity: E.Type) {
        names = E.columns.split(separator: ",").map { String($0.drop { $0 == " " || $0 == "\n" }) }
        selectOne = "SELECT \(E.columns) FROM \(E.table) WHERE id IN ($1) ORDER BY id"
        insert = "INSERT INTO \(E.table) (\(E.columns)) VALUES (\(placeholders(names.count)))"
        table = E.table
        update = Self.update(table, names.dropFirst())
    }

    private static func update(_ table: String, _ columns: some Collection<String>) -> String {
        let places = columns.enumerated().map { "\($1) = $\($0 + 2)" }.joined(separator: ", ")
        return "UPDATE \(table) SET \(places) WHERE id = $1 AND version = $\(columns.count + 2)"
    }

    /// - Parameter columns: their places among the names.
    func update(of columns: [Int]) -> String {
        updates.texts.withLock { texts in
            if let text = texts[columns] { return text }
            let text = Self.update(table, columns.map { names[$0] })
            texts[columns] = text
            return text
        }
    }

    /// By what changes: an operation changes the same columns each time.
    private final class Updates: Sendable {
        let texts = Mutex<[[Int]: String]>([:])
    }

    private static let known = Mutex<[ObjectIdentifier: EntityTexts]>([:])

    static func of<E: Entity>(_ entity: E.Type) -> EntityTexts {
        known.withLock { known in
            if let texts = known[ObjectIdentifier(entity)] { return texts }
            let texts = EntityTexts(entity)
            known[ObjectIdentifier(entity)] = texts
            return texts
        }
    }
}
