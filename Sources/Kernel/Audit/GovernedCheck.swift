import Synchronization

/// Looks at every governed row now and then, as verification does, while the server runs (spec: audit-log §5).
public struct GovernedSweep: Sendable {
    private let check: GovernedCheck

    public init(database: any Database, store: any LogStore, catalog: Catalog) {
        check = GovernedCheck(database: database, store: store, catalog: catalog)
    }

    /// - Parameters:
    ///   - pause: called after each page with the time it took, so that the sweep leaves room for others.
    ///   - found: a row that is not what its last event says; a row once.
    public func run(
        pause: (Duration) async throws -> Void,
        found: (_ type: String, _ id: String, _ kind: Finding.Kind) async throws -> Void
    ) async throws { try await check.sweep(pause: pause, found: found) }
}

/// Compares every governed row with its last *after* in the log.
struct GovernedCheck: Sendable {
    let database: any Database
    let store: any LogStore
    let catalog: Catalog

    /// Rows of one moment. Those of a batch share an event that names thousands, and are best looked at together.
    private static let page = 3000

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

    /// Looks at every governed row and says which are not what the log says, a row once.
    /// - Parameter pause: called after each page with the time it took.
    func sweep(
        pause: (Duration) async throws -> Void,
        found: (_ type: String, _ id: String, _ kind: Finding.Kind) async throws -> Void
    ) async throws {
        let store = store
        for entity in catalog.entities.sorted(by: { $0.type < $1.type }) {
            var cursor: String? = ""
            var kept: [String: EventFacts] = [:]
            while let after = cursor {
                let start = ContinuousClock.now
                let portion = try await database.read { [kept] in try Self.check(entity, after: after, kept, store, $0)
                }
                kept = portion.facts
                cursor = portion.next
                var said: Set<Substring> = []
                for finding in portion.findings {
                    // `table:id`, or `entity_head:type/id`.
                    let separator: Character =
                        finding.kind == .headEdited && finding.row?.hasPrefix("entity_head:") == true
                        ? "/" : ":"
                    guard let row = finding.row, let end = row.firstIndex(of: separator) else { continue }
                    let id = row[row.index(after: end)...]
                    if said.insert(id).inserted { try await found(entity.type, String(id), finding.kind) }
                }
                try await pause(ContinuousClock.now - start)
            }
        }
    }

    /// All rows of one kind.
    private func rows(
        of entity: AnyEntityType, _ done: RowCount, _ progress: @Sendable (Int64) async -> Void
    ) async throws -> VerificationReport {
        var whole = VerificationReport()
        var cursor: String? = ""
        // Rows of one batch stand on many pages, and its thousands of digests are read out once.
        var kept: [String: EventFacts] = [:]
        while let after = cursor {
            let portion = try await database.read { [store, kept] in
                try Self.check(entity, after: after, kept, store, $0)
            }
            kept = portion.facts
            for finding in portion.findings { whole.add(finding) }
            whole.governedRowsChecked += portion.rows
            whole.governedRowsErased += portion.erased
            cursor = portion.next
            await progress(done.add(portion.rows))
            try Task.checkCancellation()
        }
        return whole
    }

    private struct Portion: Sendable {
        var findings: [Finding] = []
        var rows: Int64 = 0
        var erased: Int64 = 0
        /// Where the next portion starts; `nil` at the end.
        var next: String?
        /// Of the events these rows name.
        var facts: [String: EventFacts] = [:]
    }

    /// One page of rows, in one transaction and so of one moment: rows, heads and events merged in id order.
    private static func check(
        _ entity: AnyEntityType, after: String, _ kept: [String: EventFacts], _ store: any LogStore,
        _ reader: any Reader
    ) throws -> Portion {
        var portion = Portion()
        var rows: [String: JSON] = [:]
        var end: String?
        do {
            let page = try entity.page(after, Self.page, reader)
            for (row, edited) in page {
                rows[row.id] = row.document
                guard !edited.isEmpty else { continue }
                portion.findings.append(
                    Finding(
                        .governedRowEdited, row: "\(entity.table):\(row.id)",
                        "Columns that are not as they are written: \(edited.joined(separator: ", "))."))
            }
            end = page.count < Self.page ? nil : page.last?.entity.id
        } catch let error as StoreError {
            guard case .shape = error else { throw error }
            // Some row can't even be read. Take them one by one, found through their heads.
            end = try single(entity, after: after, store, reader, &rows, &portion)
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
                    facts[id] = events[id].flatMap { EventFacts($0, sealed: sealed[id], erased) }
                }
            }
        }
        portion.facts = facts

        for id in Set(rows.keys).union(heads.keys).sorted() {
            let row = "\(entity.table):\(id)"
            if rows[id] != nil { portion.rows += 1 }
            guard let head = heads[id] else {
                portion.findings.append(Finding(.governedRowUnlogged, row: row, "No event names this row."))
                continue
            }
            if let last = latest[id]?.eventID, last != head {
                portion.findings.append(
                    Finding(
                        .headEdited, event: head, row: "entity_head:\(entity.type)/\(id)",
                        "The last event of this row is \(last), but the pointer says \(head)."))
            }
            guard let event = facts[head] else {
                portion.findings.append(
                    Finding(.headEdited, event: head, row: row, "The row's last event can't be read."))
                continue
            }
            switch event.judge(entity.type, id, rows[id]) {
            case .same: break
            case .erased: portion.erased += 1
            case .edited:
                portion.findings.append(
                    Finding(.governedRowEdited, event: head, row: row, "The row is not what its last event says."))
            case .deleted:
                portion.findings.append(
                    Finding(
                        .governedRowDeleted, event: head, row: row,
                        "The row is gone, but its last event says it exists."))
            case .notNamed:
                portion.findings.append(
                    Finding(.headEdited, event: head, row: row, "The event the row's pointer names says nothing of it.")
                )
            }
        }
        return portion
    }

    private static func single(
        _ entity: AnyEntityType, after: String, _ store: any LogStore, _ reader: any Reader,
        _ rows: inout [String: JSON],
        _ portion: inout Portion
    ) throws -> String? {
        var ids: [String] = []
        try store.heads(type: entity.type, after: after, upTo: nil, reader) { id, _ in
            if ids.count <= Self.page { ids.append(id) }
        }
        let isLast = ids.count <= Self.page
        for id in ids.prefix(Self.page) {
            do {
                rows[id] = try entity.load(id, false, reader)?.document
            } catch let error as StoreError {
                portion.findings.append(
                    Finding(.governedRowEdited, row: "\(entity.table):\(id)", "The row can't be read: \(error)"))
                // Something is there; what, is said already.
                rows[id] = .null
            }
        }
        return isLast ? nil : ids[Self.page - 1]
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

/// What an event says about the rows it names.
private struct EventFacts: Sendable {
    enum Judgement { case same, edited, deleted, erased, notNamed }

    let leafBytes: [UInt8]
    let sealed: String?
    /// Members that were erased.
    let erased: Set<String>
    private let leaf: LeafReader
    private let members: [String: JSON]
    /// type/id → digest
    private let digests: [String: String]
    private let digestsErased: Bool

    init?(_ event: StoredEvent, sealed: String?, _ erased: Set<String>) {
        guard let leaf = try? LeafReader(event.leaf) else { return nil }
        self.leaf = leaf
        leafBytes = event.leaf
        self.sealed = sealed
        members = sealed.flatMap { try? JSON(parsing: $0).object } ?? [:]
        self.erased = erased
        var digests: [String: String] = [:]
        let hasDigests = leaf.json["facts"]?["rows"]?.int != nil
        if hasDigests, let rows = DigestRows(members["details"]?["value"]) {
            for row in rows.rows { digests["\(row.type)/\(row.id)"] = row.sha256 }
        }
        self.digests = digests
        digestsErased = hasDigests && members["details"] == nil && erased.contains("details")
    }

    func judge(_ type: String, _ rowID: String, _ document: JSON?) -> Judgement {
        if let position = leaf.changes.lastIndex(where: { $0.type == type && $0.id == rowID }) {
            guard leaf.changes[position].exists else { return document == nil ? .same : .edited }
            guard let document else { return .deleted }
            if document.isNull { return .same }
            let name = "changes.\(position).after"
            // Only what is gone can have been erased.
            if members[name] == nil, erased.contains(name) { return .erased }
            // Straight against the leaf: salt and row must give the commitment.
            guard let salt = members[name]?["salt"]?.string.flatMap(Base64.decode) else { return .edited }
            let commitment = Base64.encode(SealedMember.commitment(salt: salt, value: document))
            return commitment == leaf.commitments[name] ? .same : .edited
        }
        if digestsErased { return .erased }
        guard let digest = digests["\(type)/\(rowID)"] else { return .notNamed }
        guard let document else { return .deleted }
        if document.isNull { return .same }
        return sha256(document.canonical).hex == digest ? .same : .edited
    }
}
