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

    /// Writes this row over the one with version `expecting`.
    public func update(expecting version: Int64) -> [Statement] {
        [Statement(Self.texts.update, values + [.int(version)], expectedRows: 1)]
    }

    static var columnNames: [String] { texts.names }

    private static var texts: EntityTexts { EntityTexts.of(Self.self) }

    /// Columns of the stored row that are not what this row would be stored as.
    /// - Parameter names: `columnNames`, worked out once for many rows.
    func columnsEdited(in row: Row, _ names: [String]) -> [String] {
        var edited: [String] = []
        for (name, value) in zip(names, values) {
            let stored = row[name]
            if case (.text(let stored), .text(let expected)) = (stored, value) {
                if !stored.hasSameBytes(as: expected) { edited.append(name) }
            } else if stored != value {
                edited.append(name)
            }
        }
        return edited
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

    private init<E: Entity>(_ entity: E.Type) {
        names = E.columns.split(separator: ",").map { String($0.drop { $0 == " " || $0 == "\n" }) }
        selectOne = "SELECT \(E.columns) FROM \(E.table) WHERE id IN ($1) ORDER BY id"
        insert = "INSERT INTO \(E.table) (\(E.columns)) VALUES (\(placeholders(names.count)))"
        let places = names.enumerated().dropFirst().map { "\($1) = $\($0 + 1)" }.joined(separator: ", ")
        update = "UPDATE \(E.table) SET \(places) WHERE id = $1 AND version = $\(names.count + 1)"
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
