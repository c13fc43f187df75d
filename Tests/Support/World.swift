import Consoles
import HTML
import Kernel
import Store
import Synchronization

/// A migrated database with the seeded policy, some people and a tenant in every state, and the pipeline over it.
public final class World: Sendable {
    public let test: TestDatabase
    public let catalog: Catalog
    public let pipeline: Pipeline
    public let masterKey: MasterKey
    private let counter = Atomic<Int>(0)

    /// A request that is allowed, and who may make it.
    public struct Trial: Sendable {
        public var request: OperationRequest
        public var caller: Caller
    }

    /// Everything governed and everything the kernel keeps, to compare before and after.
    public struct Snapshot: Sendable, Equatable {
        /// `type id` → document.
        public var documents: [String: JSON]
        public var counts: [String: Int64]
        public var events: Int64
        /// All but the number of events.
        public var state: [String: JSON] {
            documents.merging(counts.mapValues(JSON.int)) { first, _ in first }
        }
    }

    public struct RecordedEvent: Sendable {
        public let id: String
        public let eventClass: String
        public let action: String
        public let outcome: String
        public let leaf: JSON
    }

    private init(
        _ test: TestDatabase, key: MasterKey? = nil, sendsMail: Bool = false, site: PasskeySite? = nil,
        consoles: [Console] = []
    ) throws {
        self.test = test
        masterKey = try key ?? MasterKey(parsing: MasterKey.generate())
        catalog = Catalog(Consoles.all + consoles)
        var settings = Pipeline.Settings()
        settings.masterKey = masterKey
        settings.sendsMail = sendsMail
        settings.passkeySite = site
        pipeline = Pipeline(
            database: test.database, records: SQLRecords(), directory: StaffDirectory(), catalog: catalog,
            clock: test.clock.clock,
            settings: settings)
    }

    /// - Parameters:
    ///   - populated: false for the schema and the policy alone, without people or customers.
    ///   - drifted: with rows that somebody changed beside the log, and a case open about each.
    ///   - site: where passkeys can be used.
    ///   - recorder: hears of every statement.
    ///   - consoles: a test's own operations.
    public static func make(
        _ kind: TestDatabase.Kind, populated: Bool = true, drifted: Bool = false, sendsMail: Bool = false,
        site: PasskeySite? = nil, recorder: StatementRecorder? = nil, consoles: [Console] = []
    ) async throws -> World {
        if !sendsMail, site == nil, recorder == nil, consoles.isEmpty {
            let kept = try await Worlds.shared.world(kind, populated: populated, drifted: drifted)
            let world = try World(try await TestDatabase.make(as: kept.database), key: kept.key)
            world.counter.store(kept.count, ordering: .relaxed)
            return world
        }
        let world = try World(
            try await TestDatabase.make(kind, recorder: recorder), sendsMail: sendsMail, site: site,
            consoles: consoles)
        try await world.fill(populated: populated, drifted: drifted)
        return world
    }

    private func fill(populated: Bool, drifted: Bool) async throws {
        try await run("policy.seed", by: system)
        if populated { try await populate() }
        if drifted { try await drift() }
    }

    public func close() async { await test.drop() }

    /// A world as it was when it was full, which others begin as.
    fileprivate struct Kept: Sendable {
        let database: TestDatabase.Kept
        let key: MasterKey
        let count: Int
    }

    fileprivate static func keep(
        _ kind: TestDatabase.Kind, populated: Bool, drifted: Bool
    ) async throws -> Kept {
        let world = try World(try await TestDatabase.make(kind))
        try await world.fill(populated: populated, drifted: drifted)
        return Kept(
            database: try await world.test.keep(), key: world.masterKey, count: world.counter.load(ordering: .relaxed))
    }

    public func key() -> String { "key-\(counter.add(1, ordering: .relaxed).newValue)" }

    // MARK: - People

    public var system: Caller {
        Caller(
            actor: .system("test"), person: "test", displayName: "Test", client: .worker,
            requestID: Identifier.mint("req", at: test.clock.clock.now))
    }

    /// Somebody who holds exactly these permissions and used a factor `factorAge` ago.
    public func person(
        _ name: String, permissions: [String], limits: [Limit]? = nil, factorAge: Span = .seconds(10)
    ) -> Caller {
        Caller(
            actor: Actor(.staff, "stf_\(name)"), person: "stf_\(name)", displayName: name,
            permissions: Permissions(
                Dictionary(uniqueKeysWithValues: permissions.map { ($0, limits) })),
            authentication: Authentication(
                session: "ses_\(name)", factors: [.password, .totp], mfaAt: test.clock.clock.now - factorAge,
                readAt: test.clock.clock.now),
            client: .api, ip: "127.0.0.1", userAgent: "test",
            requestID: Identifier.mint("req", at: test.clock.clock.now))
    }

    /// Somebody who holds every permission there is.
    public var everybody: Caller { person("everybody", permissions: PermissionCatalog.entries.map(\.code)) }

    /// Somebody who is in the tables: enrolled, holding these roles since before anybody asked for anything.
    @discardableResult
    public func staff(
        _ name: String, roles: [String], grantedBy: String = "bootstrap", ago: Span = .days(30)
    ) async throws -> Caller {
        let id = "stf_\(name)"
        let now = test.clock.clock.now
        let person = Staff(
            id: id, email: "\(name)@staff.test", name: name, status: .active, invitedBy: nil, createdAt: now - ago,
            updatedAt: now - ago)
        let grants = roles.map {
            Grant(id: "grt_\(name)-\($0)", staffID: id, role: $0, grantedBy: grantedBy, grantedAt: now - ago)
        }
        try await put([.create(person)] + grants.map { .create($0) })
        return try await caller(id)
    }

    public func revoke(_ role: String, of person: String, ago: Span = .seconds(0)) async throws {
        let now = test.clock.clock.now - ago
        let grants = try await test.database.read { reader in
            try reader.query(Grant.selectAll(after: "", limit: 500)).map(Grant.init)
        }
        for grant in grants where grant.staffID == person && grant.role == role && grant.revokedAt == nil {
            var after = grant
            after.revokedAt = now
            after.version += 1
            try await put([.update(grant, to: after)])
        }
    }

    /// The person as they stand now, with a fresh factor.
    public func caller(_ id: String) async throws -> Caller {
        let directory = StaffDirectory()
        let standing = try await test.database.read { reader in
            try directory.standings(of: [id]).read(from: reader)[id]
        }
        guard let standing else { throw StoreError.other("there is no \(id)") }
        let now = test.clock.clock.now
        return Caller(
            actor: Actor(.staff, id), person: id, displayName: standing.name, roles: standing.roles,
            permissions: standing.permissions,
            authentication: Authentication(
                session: "ses_\(id)", factors: [.password, .totp], mfaAt: now - .seconds(10), readAt: now),
            client: .api, ip: "127.0.0.1", userAgent: "test", requestID: Identifier.mint("req", at: now),
            emergency: standing.emergency)
    }

    /// Rows as a test wants them, named by an event as the log demands.
    public func put(_ changes: [Change]) async throws {
        var draft = EventDraft(at: test.clock.clock.now, .system, "test.put", actor: .system("test"))
        draft.changes = changes.map(EventDraft.ChangeRecord.init)
        try await pipeline.record(
            [draft],
            also: changes.flatMap { change in
                change.before.map { change.after.update(expecting: $0.version) } ?? change.after.insert()
            })
    }

    /// Says what a currency is worth, past the operation.
    public func rate(_ currency: String, _ micros: Int64) async throws {
        let stored = try await test.database.read { try ExchangeRate.load(currency, from: $0) }
        guard let before = stored else { throw StoreError.other("there is no rate of \(currency)") }
        var after = before
        after.micros = micros
        after.version += 1
        try await put([.update(before, to: after)])
    }

    /// Asks for something that waits for approval.
    public func ask(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
        by caller: Caller, notBefore: Instant? = nil
    ) async throws -> PendingApproval {
        let outcome = try await pipeline.run(
            OperationRequest(
                operation: operation, target: target, input: input, reasonCode: reason,
                justification: "because the test world needs it", ticket: "TEST-1", idempotencyKey: key(),
                notBefore: notBefore), by: caller)
        guard case .pending(let pending) = outcome.result else {
            throw StoreError.other("\(operation) waits for nobody")
        }
        return pending
    }

    public func approval(_ id: String) async throws -> ApprovalRequest {
        try await test.database.read { reader in
            guard let request = try ApprovalRequest.load(id, from: reader) else {
                throw StoreError.other("there is no request \(id)")
            }
            return request
        }
    }

    // MARK: - Running

    @discardableResult
    public func run(_ trial: Trial) async throws -> Outcome { try await pipeline.run(trial.request, by: trial.caller) }

    @discardableResult
    public func run(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
        version: Int64? = nil, by caller: Caller? = nil
    ) async throws -> Applied {
        let outcome = try await pipeline.run(
            OperationRequest(
                operation: operation, target: target, input: input, reasonCode: reason,
                justification: "because the test world needs it", ifMatch: version, idempotencyKey: key()),
            by: caller ?? everybody)
        guard case .applied(let applied) = outcome.result else {
            throw StoreError.other("\(operation) waits for approval")
        }
        return applied
    }

    /// What each operation was allowed on last, in any world. Most previews say no, so that is tried first.
    private static let allowed = Mutex<[String: (target: String, code: String?)]>([:])

    /// A request that its own preview allows: fields from their declarations, tried on every entity of the target's type.
    /// - Parameter refused: hears why a preview did not allow it.
    public func trial(of operation: AnyOperation, refused: ([String]) -> Void = { _ in }) async throws -> Trial? {
        let caller = operation.spec.systemOnly ? system : everybody
        let number = counter.add(1, ordering: .relaxed).newValue
        var request = OperationRequest(
            operation: operation.spec.name, input: Samples.input(for: operation, number: number),
            justification: "because the law must be tried", ticket: "LAW-\(number)",
            idempotencyKey: "law-\(number)")
        let codes: [String?] = operation.spec.reasonCodes.isEmpty ? [nil] : operation.spec.reasonCodes.map(\.code)
        // What Postern runs without a target is named for something else than one.
        if operation.creates || (operation.spec.systemOnly && operation.spec.noun != operation.targetType) {
            for code in codes {
                request.reasonCode = code
                let preview = try await pipeline.preview(request, by: caller)
                if preview.allowed { return Trial(request: request, caller: caller) }
                refused(preview.reasons)
            }
            return nil
        }
        guard let type = catalog.entity(operation.targetType) else { return nil }
        let targets = try await test.database.read { reader in
            try type.page("", 500, reader).map { row in
                (id: row.entity.id, version: row.entity.version, name: row.entity.displayName)
            }
        }
        let last = Self.allowed.withLock { $0[operation.spec.name] }
        let ordered = targets.filter { $0.name == last?.target } + targets.filter { $0.name != last?.target }
        // One reason on all of them before the next reason: whatever is in another state takes none.
        for code in codes.filter({ $0 == last?.code }) + codes.filter({ $0 != last?.code }) {
            for target in ordered {
                request.reasonCode = code
                request.target = target.id
                request.ifMatch = target.version
                let preview = try await pipeline.preview(request, by: caller)
                if preview.allowed {
                    Self.allowed.withLock { $0[operation.spec.name] = (target.name, code) }
                    return Trial(request: request, caller: caller)
                }
                refused(preview.reasons)
            }
        }
        return nil
    }

    /// What a client is told, without what is shown only once.
    public func answer(_ outcome: Outcome, revealed: Bool) -> JSON {
        switch outcome.result {
        case .applied(let applied):
            var members = applied.json.object ?? [:]
            if !revealed { members["reveal"] = nil }
            return .object(members)
        case .pending(let pending): return pending.json
        }
    }

    // MARK: - Looking

    public func snapshot() async throws -> Snapshot {
        let types = catalog.entities
        return try await test.database.read { reader in
            var documents: [String: JSON] = [:]
            for type in types {
                var cursor = ""
                while true {
                    let rows = try type.page(cursor, 500, reader)
                    for row in rows { documents["\(type.type) \(row.entity.id)"] = row.entity.document }
                    guard rows.count == 500, let last = rows.last else { break }
                    cursor = last.entity.id
                }
            }
            let tables = [
                "idempotency", "outbox", "outbox_pending", "delivery_queue", "delivery_lanes", "delivery_attempts",
                "delivery_channels", "tenant_status_history", "enrolments", "sessions", "tenant_facets", "tenant_words",
                "word_grams",
            ]
            var counts: [String: Int64] = [:]
            for table in tables { counts[table] = try TestQueries.count(table, reader) }
            return Snapshot(documents: documents, counts: counts, events: try TestQueries.count("events", reader))
        }
    }

    /// Events written since a snapshot, oldest first.
    public func events(after snapshot: Snapshot) async throws -> [RecordedEvent] {
        try await test.database.read { reader in
            try TestQueries.events(skipping: snapshot.events, reader).map { row in
                RecordedEvent(
                    id: try row.string("id"), eventClass: try row.string("class"), action: try row.string("action"),
                    outcome: try row.string("outcome"), leaf: try JSON(parsing: try row.bytes("leaf")))
            }
        }
    }

    /// `type id` of every governed row an event names.
    public func entities(named event: String) async throws -> Set<String> {
        try await test.database.read { reader in
            Set(
                try TestQueries.entities(of: event, reader).map { row in
                    "\(try row.string("type")) \(try row.string("id"))"
                })
        }
    }

    /// A document without what undoing may not restore.
    public static func lasting(_ document: JSON?) -> JSON? {
        guard case .object(var members)? = document else { return document }
        for name in ["version", "created_at", "updated_at", "status_since", "deletion_eligible_at", "last_activity_at"]
        {
            members[name] = nil
        }
        return .object(members)
    }
}

/// Each kind of world is filled once in a process: most of what its tests did was to fill another.
private actor Worlds {
    static let shared = Worlds()

    private var kept: [String: Task<World.Kept, any Error>] = [:]

    func world(_ kind: TestDatabase.Kind, populated: Bool, drifted: Bool) async throws -> World.Kept {
        let name = "\(kind) \(populated) \(drifted)"
        let task =
            kept[name] ?? Task { try await World.keep(kind, populated: populated, drifted: drifted) }
        kept[name] = task
        return try await task.value
    }
}
