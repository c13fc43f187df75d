import Kernel

extension Segment {
    public static let columns = "id, version, owner_id, name, filter, is_shared, status, created_at, updated_at"

    public var values: [Value] {
        [
            .text(id), .int(version), .text(ownerID), .text(name), .text(view.text), Value(isShared),
            .text(status.rawValue), Value(createdAt), Value(updatedAt),
        ]
    }
}

enum SegmentQueries {
    /// One's own views and those that others share, by name. `after` is the last of the page before.
    static func seen(by person: String, after: (name: String, id: String)?, limit: Int) -> Statement {
        var values: [Value] = [.text(person), .int(Int64(limit))]
        var position = ""
        if let after {
            values += [.text(after.name), .text(after.id)]
            position = "AND (name, id) > ($3, $4) "
        }
        func branch(_ condition: String) -> String {
            """
            SELECT \(Segment.columns) FROM segments WHERE \(condition) AND status = 'kept' \(position)\
            ORDER BY name, id LIMIT $2
            """
        }
        return Statement(
            """
            SELECT * FROM (SELECT * FROM (\(branch("owner_id = $1"))) AS own \
            UNION ALL SELECT * FROM (\(branch("is_shared = 1 AND owner_id <> $1"))) AS shared) AS seen \
            ORDER BY name, id LIMIT $2
            """, values)
    }
}
