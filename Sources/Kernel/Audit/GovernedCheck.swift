import Synchronization

/// Looks at every governed row now and then, as verification does, while the server runs (spec: audit-log §5).
public struct GovernedSweep: Sendable {
    private let check: GovernedCheck

    public init(database: any Database, store: any LogStore, catalog: Catalog) {
        // It runs beside people's work, and need not be as fast as it can: small pages hold less memory.
        check = GovernedCheck(database: database, store: store, catalog: catalog, page: 500)
    }

    /// - Parameters:
    ///   - pause: called after each page with the time it took, so that the sweep leaves room for others.
    ///   - found: a row that is not what its last event says; a row once.
    public func run(
        pause: (Duration) async throws -> Void,
        found: (_ type: String, _ id: String, _ kind: Finding.Kind) async throws -> Void
    ) async throws {
        for entity in check.catalog.entities.sorted(by: { $0.type < $1.type }) {
            try await check.walk(entity) { page, start in
                var said: Set<String> = []
                for (id, finding) in page.found where said.insert(id).inserted {
                    try await found(entity.type, id, finding.kind)
                }
                try await pause(ContinuousClock.now - start)
            }
        }
    }
}

/// Compares every governed row with its last *after* in the log.
struct GovernedCheck: Sendable {
    let database: any Database
    let store: any LogStore
    let catalog: Catalog

    /// Rows of one moment. Those of a batch share an event that names thousands, and are best looked at together.
    var page = 3000

    func run(
        _ report: inout VerificationReport, progress: @escaping @Sendable (Int64) async -> Void
    ) async throws {
        let entities = catalog.entities.sorted { $0.type < $1.type }
        // Two kinds at a time: while the rows of one are read, those of the other are compared.
        let done = RowCount()
        let portions = try await withThrowingTaskGroup(of: (place: Int, report: VerificationReport).self) { group in
            var next = 0
            func add() {
                guard next < entities.count else { return }
                let place = next
                next += 1
                group.addTask { (place, try await rows(of: entities[place], done, progress)) }
            }
            add()
            add()
            var portions: [(place: Int, report: VerificationReport)] = []
            for try await portion in group {
                portions.append(portion)
                add()
            }
            return portions.sorted { $0.place < $1.place }
        }
        for (_, part) in portions {
            for finding in part.findings { report.add(finding) }
            report.more += part.more
            report.governedRowsChecked += part.governedRowsChecked
            report.governedRowsErased += part.governedRowsErased
        }
        let types = try await database.read { try store.headTypes($0) }
        for type in types where catalog.entity(type) == nil {
            report.notes.append("Rows of the kind \(type) were not compared: this program does not know them.")
        }
    }

    /// All rows of one kind.
    private func rows(
        of entity: AnyEntityType, _ done: RowCount, _ progress: @Sendable (Int64) async -> Void
    ) async throws -> VerificationReport {
        var whole = VerificationReport()
        try await walk(entity) { portion, _ in
            for (_, finding) in portion.found { whole.add(finding) }
            whole.governedRowsChecked += portion.rows
            whole.governedRowsErased += portion.erased
            await progress(done.add(portion.rows))
        }
        return whole
    }

    /// Every page of one kind, in the order of ids, and when it was begun.
    fileprivate func walk(
        _ entity: AnyEntityType, _ body: (Portion, _ start: ContinuousClock.Instant) async throws -> Void
    ) async throws {
        var cursor: String? = ""
        // Rows of one batch stand on many pages, and its thousands of digests are read out once.
        var kept: [String: EventFacts] = [:]
        while let after = cursor {
            let start = ContinuousClock.now
            let portion = try await database.read { [kept] in
                try check(entity, after: after, kept, $0)
            }
            kept = portion.facts
            cursor = portion.next
            try await body(portion, start)
            try Task.checkCancellation()
        }
    }

    fileprivate struct Portion: Sendable {
        /// What is wrong, each with the row it is wrong with.
        private(set) var found: [(id: String, finding: Finding)] = []
        var rows: Int64 = 0
        var erased: Int64 = 0
        /// Where the next portion starts; `nil` at the end.
        var next: String?
        /// Of the events these rows name.
        var facts: [String: EventFacts] = [:]

        mutating func find(
            _ kind: Finding.Kind, _ id: String, event: String? = nil, row: String, _ detail: String
        ) {
            found.append((id, Finding(kind, event: event, row: row, detail)))
        }
    }

    /// One page of rows, in one transaction and so of one moment: rows, heads and events merged in id order.
    private func check(
        _ entity: AnyEntityType, after: String, _ kept: [String: EventFacts], _ reader: any Reader
    ) throws -> Portion {
        var portion = Portion()
        var rows: [String: JSON] = [:]
        var end: String?
        do {
            let some = try entity.page(after, page, reader)
            for (row, edited) in some {
                rows[row.id] = row.document
                guard !edited.isEmpty else { continue }
                portion.find(
                    .governedRowEdited, row.id, row: "\(entity.table):\(row.id)",
                    "Columns that are not as they are written: \(edited.joined(separator: ", ")).")
            }
            end = some.count < page ? nil : some.last?.entity.id
        } catch let error as StoreError {
            guard case .shape = error else { throw error }
            // Some row can't even be read. Take them one by one, found through their heads.
            end = try single(entity, after: after, reader, &rows, &portion)
        }
        portion.next = end

        var heads: [String: String] = [:]
        try store.heads(type: entity.type, after: after, upTo: end, reader) { heads[$0] = $1 }
        var latest: [String: EntityNaming] = [:]
        try store.namings(type: entity.type, after: after, upTo: end, reader) { naming in
            if let other = latest[naming.id], !naming.isLater(than: other) { return }
            latest[naming.id] = naming
        }
        var facts: [String: EventFacts] = [:]
        let ids = Array(Set(heads.values)).sorted()
        // Rows made together share one event; each is read once.
        for part in stride(from: 0, to: ids.count, by: 100).map({ Array(ids[$0..<min($0 + 100, ids.count)]) }) {
            let (events, sealed) = (try store.events(part, reader), try store.sealed(part, reader))
            var erasures: [String: Set<String>] = [:]
            for erasure in try store.erasures(part, reader) {
                erasures[erasure.event, default: []].insert(erasure.member)
            }
            for id in part {
                let erased = erasures[id] ?? []
                if let known = kept[id], known.sealed == sealed[id], known.erased == erased,
                    known.leafBytes == events[id]?.leaf
                {
                    facts[id] = known
                } else {
                    facts[id] = events[id].flatMap { EventFacts(leaf: $0.leaf, sealed: sealed[id], erased: erased) }
                }
            }
        }
        portion.facts = facts

        for id in Set(rows.keys).union(heads.keys).sorted() {
            let row = "\(entity.table):\(id)"
            if rows[id] != nil { portion.rows += 1 }
            guard let head = heads[id] else {
                portion.find(.governedRowUnlogged, id, row: row, "No event names this row.")
                continue
            }
            if let last = latest[id]?.eventID, last != head {
                portion.find(
                    .headEdited, id, event: head, row: "entity_head:\(entity.type)/\(id)",
                    "The last event of this row is \(last), but the pointer says \(head).")
            }
            guard let event = facts[head] else {
                portion.find(.headEdited, id, event: head, row: row, "The row's last event can't be read.")
                continue
            }
            switch event.judge(entity.type, id, rows[id]) {
            case .same: break
            case .erased: portion.erased += 1
            case .edited:
                portion.find(
                    .governedRowEdited, id, event: head, row: row, "The row is not what its last event says.")
            case .deleted:
                portion.find(
                    .governedRowDeleted, id, event: head, row: row,
                    "The row is gone, but its last event says it exists.")
            case .notNamed:
                portion.find(
                    .headEdited, id, event: head, row: row, "The event the row's pointer names says nothing of it.")
            }
        }
        return portion
    }

    private func single(
        _ entity: AnyEntityType, after: String, _ reader: any Reader, _ rows: inout [String: JSON],
        _ portion: inout Portion
    ) throws -> String? {
        var ids: [String] = []
        try store.heads(type: entity.type, after: after, upTo: nil, reader) { id, _ in
            if ids.count <= page { ids.append(id) }
        }
        let isLast = ids.count <= page
        for id in ids.prefix(page) {
            do {
                rows[id] = try entity.load(id, false, reader)?.document
            } catch let error as StoreError {
                portion.find(
                    .governedRowEdited, id, row: "\(entity.table):\(id)", "The row can't be read: \(error)")
                // Something is there; what, is said already.
                rows[id] = .null
            }
        }
        return isLast ? nil : ids[page - 1]
    }
}

/// How many rows were looked at, over all kinds.
private final class RowCount: Sendable {
    private let count = Mutex<Int64>(0)
    func add(_ rows: Int64) -> Int64 {
        count.withLock { count in
            count += rows
            return count
        }
    }
}
