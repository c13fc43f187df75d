import Kernel
import Store
import Synchronization
import TestSupport
import Testing

/// Statements the conformance cases share.
enum Fixture {
    static let records = SQLRecords()

    static func event(
        _ action: String = "role.change", naming rows: [(type: String, id: String)] = [],
        sealed: [String: EventDraft.SealedValue] = [:], retention: RetentionClass? = nil
    ) -> SealedEvent {
        var draft = EventDraft(at: TestDatabase.start, .mutation, action, actor: .system("test"))
        draft.digestEntities = rows
        draft.sealed = sealed
        if let retention { draft.retention = retention }
        return SealedEvent(draft)
    }

    static func role(_ id: String, version: Int64 = 1, title: String = "Title") -> Statement {
        Statement(
            "INSERT INTO roles (id, version, title, summary) VALUES ($1, $2, $3, '')",
            [.text(id), .int(version), .text(title)], expectedRows: 1)
    }

    static func note(_ key: String, _ number: Int64 = 0) -> Statement {
        Statement(
            "INSERT INTO throttle (key, failures, blocked_until, updated_at) VALUES ($1, $2, 0, 0)",
            [.text(key), .int(number)], expectedRows: 1)
    }
}

extension TestDatabase {
    /// Writes all statements in one transaction.
    func write(_ statements: [Statement]) async throws {
        try await database.write { writer in writer.enqueue(statements) }
    }

    /// Writes roles with an event that names them.
    func writeRoles(_ ids: [String]) async throws {
        let event = Fixture.event(naming: ids.map { ("role", $0) })
        try await write(Fixture.records.insert(event) + ids.map { Fixture.role($0) })
    }
}

/// A value that several threads look at.
final class LockedValue<T: Sendable>: Sendable {
    private let value: Mutex<T>
    init(_ value: T) { self.value = Mutex(value) }
    func get() -> T { value.withLock { $0 } }
    func set(_ new: T) { value.withLock { $0 = new } }
}
