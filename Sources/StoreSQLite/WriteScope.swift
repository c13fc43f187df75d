import GRDB
import Kernel
import Synchronization

/// What the savepoint now running has touched and recorded. Triggers report through SQL functions that exist on this
/// driver's connections only (spec: audit-log §5).
final class WriteScope: Sendable {
    struct Row: Hashable {
        let type: String
        let id: String
    }

    private struct State {
        var isOpen = false
        var events: [String: String] = [:]
        var touched: Set<Row> = []
        var named: Set<Row> = []
        var isErasing = false
        var isPruning = false
    }

    private let state = Mutex(State())

    func open() { state.withLock { $0 = State(isOpen: true) } }
    func close() { state.withLock { $0 = State() } }

    /// A governed row that no event of this savepoint names.
    var ungoverned: Row? { state.withLock { state in state.touched.first { !state.named.contains($0) } } }

    func install(on database: GRDB.Database) {
        database.add(
            function: DatabaseFunction("postern_governed", argumentCount: 2) { [self] values in
                let row = try Self.row(values[0], values[1])
                try state.withLock { state in
                    guard state.isOpen else { throw Self.refusal("governed tables are written by operations only") }
                    state.touched.insert(row)
                }
                return nil
            })
        database.add(
            function: DatabaseFunction("postern_event", argumentCount: 2) { [self] values in
                let event = try Self.row(values[1], values[0])
                try state.withLock { state in
                    guard state.isOpen else { throw Self.refusal("events are written by operations only") }
                    state.events[event.id] = event.type
                }
                return nil
            })
        database.add(
            function: DatabaseFunction("postern_witness", argumentCount: 3) { [self] values in
                let row = try Self.row(values[1], values[2])
                let event = String.fromDatabaseValue(values[0]) ?? ""
                state.withLock { state in
                    if state.events[event] != nil { state.named.insert(row) }
                }
                return nil
            })
        // The door: opened with an erasure event of this savepoint, closed by passing NULL.
        database.add(
            function: DatabaseFunction("postern_erase_under", argumentCount: 1) { [self] values in
                guard let event = String.fromDatabaseValue(values[0]) else {
                    state.withLock { $0.isErasing = false }
                    return 0
                }
                try state.withLock { state in
                    guard state.isOpen, state.events[event]?.hasPrefix("erasure.") == true else {
                        throw Self.refusal("no erasure event \(event) in this transaction")
                    }
                    state.isErasing = true
                }
                return 1
            })
        database.add(
            function: DatabaseFunction("postern_erasing", argumentCount: 0) { [self] _ in
                state.withLock { $0.isErasing ? 1 : 0 }
            })
        // The other one, for events that retention lets go.
        database.add(
            function: DatabaseFunction("postern_prune_under", argumentCount: 1) { [self] values in
                guard let event = String.fromDatabaseValue(values[0]) else {
                    state.withLock { $0.isPruning = false }
                    return 0
                }
                try state.withLock { state in
                    guard state.isOpen, state.events[event] == "retention.pruned" else {
                        throw Self.refusal("no event \(event) of retention in this transaction")
                    }
                    state.isPruning = true
                }
                return 1
            })
        database.add(
            function: DatabaseFunction("postern_pruning", argumentCount: 0) { [self] _ in
                state.withLock { $0.isPruning ? 1 : 0 }
            })
    }

    static let refusalPrefix = "postern: "

    private static func refusal(_ sentence: String) -> DatabaseError {
        DatabaseError(resultCode: .SQLITE_ERROR, message: refusalPrefix + sentence)
    }

    private static func row(_ type: DatabaseValue, _ id: DatabaseValue) throws -> Row {
        guard let type = String.fromDatabaseValue(type), let id = String.fromDatabaseValue(id) else {
            throw refusal("a governed row needs an id")
        }
        return Row(type: type, id: id)
    }
}
