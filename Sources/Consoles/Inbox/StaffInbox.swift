import Kernel

/// Inboxes of staff over the database.
public struct StaffInbox: Inboxes {
    private let pipeline: Pipeline
    private var database: any Database { pipeline.database }

    public init(pipeline: Pipeline) { self.pipeline = pipeline }

    public func markRead(_ id: String, of person: String) async throws(OperationError) -> Bool {
        guard Identifier.isValid(id, prefix: Notice.idPrefix) else { return false }
        return try await write { tx in
            guard try tx.first(InboxQueries.read(id, of: person, at: tx.now)) != nil else {
                return try tx.first(InboxQueries.find(id, of: person)) != nil
            }
            var telling = Telling(tx)
            telling.changed(person)
            try telling.finish()
            return true
        }
    }

    public func markAllRead(of person: String, until: Instant) async throws(OperationError) -> Int {
        try await write { tx in
            let count = try tx.query(InboxQueries.readAll(of: person, until: until, at: tx.now)).count
            guard count > 0 else { return 0 }
            var telling = Telling(tx)
            telling.changed(person)
            try telling.finish()
            return count
        }
    }

    /// People whose numbers are read at once; more than one commit changes.
    private static let most = 20_000

    public func news(since mark: Int64?, andOf people: [String]) async throws(OperationError) -> InboxNews {
        try await read { reader in
            let now = try reader.first(InboxQueries.mark)?.int("mark") ?? 0
            guard let mark else { return InboxNews(mark: now, unread: [:]) }
            var unread: [String: Int64] = [:]
            var last = mark
            if now > mark {
                let rows = try reader.query(InboxQueries.changed(since: mark, limit: Self.most))
                for row in rows {
                    unread[try row.string("staff_id")] = try row.int("unread")
                    last = try row.int("mark")
                }
                // The rest of a mark's people would be passed over: it is asked for again from before it.
                last = rows.count == Self.most ? max(mark, last - 1) : now
            }
            let others = Set(people).subtracting(unread.keys).sorted()
            if !others.isEmpty {
                let counts = try reader.query(others.map(InboxQueries.countUnread))
                for (person, rows) in zip(others, counts) { unread[person] = try rows.first?.int("count") ?? 0 }
            }
            return InboxNews(mark: last, unread: unread)
        }
    }

    public func live(_ sessions: [String]) async throws(OperationError) -> Set<String> {
        try await read { reader in
            var live: Set<String> = []
            var start = 0
            while start < sessions.count {
                let part = Array(sessions[start..<min(sessions.count, start + 128)])
                for row in try reader.query(InboxQueries.sessions(filled(part, to: [1, 16, 128]))) {
                    let limits = try SessionLimits(row)
                    let ends = min(try row.instant("expires_at"), try row.instant("created_at") + limits.length)
                    if reader.now < ends, reader.now - (try row.instant("last_seen_at")) < limits.idle {
                        live.insert(try row.string("id"))
                    }
                }
                start += 128
            }
            return live
        }
    }

    public func onShift(
        for needs: [ApprovalNeed], askedBy person: String
    ) async throws(OperationError) -> OnShift {
        try await read { reader in
            try Signers.onShift(for: .supposed(needs, askedBy: person, at: reader.now), signatures: [], from: reader)
        }
    }

    public func foretold(_ preview: Preview, by caller: Caller) async throws(OperationError) -> ToldBeside {
        let isAsked = !preview.approvals.isEmpty
        let foresight = Self.foresight(
            preview.operation, on: preview.target, by: caller.person, isAsked: isAsked,
            preview.changes.map { (type: $0.type, document: $0.after ?? $0.before) })
        return try await read { reader in
            let channel = try ChannelState.isOn(.slack, reader) ? [InboxForesight.channel] : []
            let notices = try foresight.effects(from: reader)
            guard isAsked else { return ToldBeside(asking: [], done: notices + channel) }
            let calls = preview.calls.map { call in
                Effect(
                    kind: call.kind, name: call.name,
                    summary: MailNotice.summary(call.name, call.payload) ?? call.summary, payload: .null, tenant: nil)
            }
            let asked = InboxForesight.notice("A notice in the inbox of everybody who could sign: it waits for them")
            let mail = try ChannelState.isOn(.mail, reader) ? [InboxForesight.carriedOut] : []
            return ToldBeside(asking: [asked] + calls + channel, done: mail + notices + channel)
        }
    }

    public func told(of applied: Applied, by caller: Caller) async throws(OperationError) -> [Effect] {
        try await read { reader in
            let event = try EventDetail.load(applied.eventID, from: reader)
            let foresight = Self.foresight(
                applied.operation, on: applied.target, by: caller.person, isAsked: false,
                event.changes.map { (type: $0.type, document: $0.after ?? $0.before) })
            // What was said in Slack when it ran stands with nothing: whether the channel is on now does not say it.
            return try foresight.effects(from: reader)
        }
    }

    private static func foresight(
        _ operation: String, on target: String?, by person: String, isAsked: Bool,
        _ changes: [(type: String, document: JSON?)]
    ) -> InboxForesight {
        let type = Consoles.declared[operation]?.targetType
        return InboxForesight(
            operation, on: target.map { (type: type, id: $0) }, by: person, isAsked: isAsked, changes)
    }

    /// Removes notices that are older than `kept`.
    public static func forget(after kept: Span, in database: any Database) async throws {
        while !Task.isCancelled {
            let count = try await database.write { tx in
                try tx.execute(InboxQueries.forget(madeBefore: tx.now - kept)).count
            }
            guard count > 0 else { return }
        }
    }

    private func write<T: Sendable>(
        _ body: @escaping @Sendable (any Writer) throws -> T
    ) async throws(OperationError) -> T {
        do { return try await database.write(body) } catch { throw pipeline.translate(error, nil) }
    }

    private func read<T: Sendable>(
        _ body: @escaping @Sendable (any Reader) throws -> T
    ) async throws(OperationError) -> T {
        do { return try await database.read(body) } catch { throw pipeline.translate(error, nil) }
    }
}
