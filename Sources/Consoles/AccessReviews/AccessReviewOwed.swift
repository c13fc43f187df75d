import Kernel

/// What waits for one person.
struct AccessReviewOwed: Sendable {
    let review: AccessReview
    let count: Int

    static func load(_ caller: Caller, from reader: any Reader) throws -> [AccessReviewOwed] {
        guard caller.permissions.contains(AccessReviewQueries.permission) else { return [] }
        return try reader.query(AccessReviewQueries.owed(by: caller.person, at: reader.now)).map { row in
            AccessReviewOwed(review: try AccessReview(row), count: Int(try row.int("owed")))
        }
    }
}
