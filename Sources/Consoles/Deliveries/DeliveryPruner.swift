import Kernel

extension Guard {
    /// Nothing of the outbox is forgotten under it.
    static let outboxPruning = Guard("outbox.pruning")
}

/// Forgets what was needed to send: rows of the outbox, attempts and idle lanes of deliveries that ended long ago. The
/// deliveries themselves, and the events that tell of them, stay.
public struct DeliveryPruner: Sendable {
    /// Rows of the outbox in one transaction.
    static let batch = 100

    private let database: any Database
    private let kept: Span

    /// - Parameter kept: how long what ended is kept; at least a day.
    public init(database: any Database, kept: Span) {
        self.database = database
        self.kept = max(kept, .days(1))
    }

    /// Answers how many rows of the outbox went.
    @discardableResult
    public func run() async throws -> Int {
        var total = 0
        while !Task.isCancelled {
            let before = try await database.read { reader in
                try reader.first(ChannelQueries.finished(before: reader.now - kept, limit: 1))
            }
            guard before != nil else { break }
            let count = try await database.write { tx in try batch(tx) }
            total += count
            guard count > 0 else { break }
        }
        return total
    }

    private func batch(_ tx: any Writer) throws -> Int {
        guard try tx.tryLock(Guard.outboxPruning.name) else { return 0 }
        let limit = tx.now - kept
        let ids = try tx.query(ChannelQueries.finished(before: limit, limit: Self.batch)).map { try $0.string("id") }
        guard !ids.isEmpty else { return 0 }
        let rows = try tx.query(ChannelQueries.deliveries(of: ids))
        if !rows.isEmpty {
            let deliveries = try rows.map { try $0.string("id") }
            let lanes = try rows.map { Delivery.lane(try $0.string("webhook_id"), try $0.optionalString("tenant_id")) }
            tx.enqueue(ChannelQueries.forgetAttempts(of: deliveries))
            tx.enqueue(ChannelQueries.forgetIdle(Set(lanes).sorted()))
        }
        tx.enqueue(ChannelQueries.forgetOutbox(ids))
        return ids.count
    }
}
