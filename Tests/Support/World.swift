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
        /// `type id` → canonical document.
        public var documents: [String: String]
        public var counts: [String: Int64]
        public var events: Int64
        /// All but the number of events.
        public var state: [String: String] {
            documents.merging(counts.mapValues(String.init)) { first, _ in first }
        }
    }

    public struct RecordedEvent: Sendable {
        public let id: String
        public let eventClass: String
        public let action: String
        public let outcome: String
        public let leaf: JSON
    }

    private init(_ test: TestDatabase, sendsMail: Bool, consoles: [Console]) throws {
        self.test = test
        masterKey = try MasterKey(parsing: MasterKey.generate())
        catalog = Catalog(Consoles.all + consoles)
        var settings = Pipeline.Settings()
        settings.masterKey = masterKey
        settings.sendsMail = sendsMail
        pipeline = Pipeline(
            database: test.database, records: SQLRecords(), directory: StaffDirectory(), catalog: catalog,
            clock: test.clock.clock,
            settings: settings)
    }

    /// - Parameters:
    ///   - populated: false for the schema and the policy alone, without people or customers.
    ///   - drifted: with rows that somebody changed beside the log, and a case open about each.
    ///   - recorder: hears of every statement.
    ///   - consoles: a test's own operations.
    public static func make(
        _ kind: TestDatabase.Kind, populated: Bool = true, drifted: Bool = false, sendsMail: Bool = false,
        recorder: StatementRecorder? = nil, consoles: [Console] = []
    ) async throws -> World {
        let world = try World(
            try await TestDatabase.make(kind, recorder: recorder), sendsMail: sendsMail, consoles: consoles)
        try await world.run("policy.seed", by: world.system)
        if populated { try await world.populate() }
        if drifted { try await world.drift() }
        return world
    }

    public func close() async { await test.drop() }

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
            try directory.standings(reader.query(directory.standings(of: [id])), at: reader.now)[id]
        }
        guard let standing else { throw StoreError.other("there is no \(id)") }
        let now = test.clock.clock.now
        return Caller(
            actor: Actor(.staff, id), person: id, displayName: standing.name, roles: standing.roles,
            permissions: standing.permissions,
            authentication: Authentication(
                session: "ses_\(id)", factors: [.password, .totp], mfaAt: now - .seconds(10), readAt: now),
            client: .api, ip: "127.0.0.1", userAgent: "test", requestID: Identifier.mint("req", at: now))
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
        by caller: Caller? = nil
    ) async throws -> Applied {
        let outcome = try await pipeline.run(
            OperationRequest(
                operation: operation, target: target, input: input, reasonCode: reason,
                justification: "because the test world needs it", idempotencyKey: key()), by: caller ?? everybody)
        guard case .applied(let applied) = outcome.result else {
            throw StoreError.other("\(operation) waits for approval")
        }
        return applied
    }

    /// A request that its own preview allows: fields from their declarations, tried on every entity of the target's type.
    public func trial(of operation: AnyOperation) async throws -> Trial? {
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
                if try await pipeline.preview(request, by: caller).allowed {
                    return Trial(request: request, caller: caller)
                }
            }
            return nil
        }
        guard let type = catalog.entity(operation.targetType) else { return nil }
        let targets = try await test.database.read { reader in
            try type.page("", 500, reader).map { (id: $0.entity.id, version: $0.entity.version) }
        }
        for target in targets {
            for code in codes {
                request.reasonCode = code
                request.target = target.id
                request.ifMatch = target.version
                if try await pipeline.preview(request, by: caller).allowed {
                    return Trial(request: request, caller: caller)
                }
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
            var documents: [String: String] = [:]
            for type in types {
                var cursor = ""
                while true {
                    let rows = try type.page(cursor, 500, reader)
                    for row in rows { documents["\(type.type) \(row.entity.id)"] = row.entity.document.canonicalText }
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

    // MARK: - Contents

    private func populate() async throws {
        try await run(
            "staff.bootstrap", ["email": "first@example.test", "name": "First Person"], by: system)
        try await webhooks()
        // Archived long enough ago to be deleted.
        try await tenant("departed", then: [("tenant.archive", "customer_departed")])
        var departed: [String] = []
        for number in 2...4 {
            departed.append(
                try await tenant("gone-\(number)", then: [("tenant.archive", "customer_departed")]))
        }
        test.clock.advance(.days(91))
        // Whom the laws act as may sign; somebody else asked.
        try await staff("everybody", roles: ["super_admin"])
        let asker = try await staff("asker", roles: ["super_admin"])
        for tenant in departed {
            _ = try await ask("tenant.hard_delete", on: tenant, reason: "retention_policy", by: asker)
        }
        // A row of every kind, for the laws of verification.
        let invited = try await ask(
            "staff.invite", ["email": "second@example.test", "name": "Second", "roles": ["support_l1"]], by: asker)
        try await run("approval.approve", on: invited.approvalID, by: try await caller("stf_everybody"))
        try await staff("left", roles: [])
        try await run("staff.deactivate", on: "stf_left", reason: "left")
        try await exceptions()
        // Who asked holds nothing any more, nor did lately: with one super_admin left, inviting waits for nobody.
        try await revoke("super_admin", of: "stf_asker", ago: .days(31))
        try await rate("EUR", 1_100_000)
        try await tenant("active")
        try await tenant("suspended", then: [("tenant.suspend", "non_payment")])
        try await tenant("archived", then: [("tenant.archive", "customer_departed")])
        // Several, because other operations may take one of them.
        for slug in ["failed-1", "failed-2", "failed-3"] {
            let id = try await tenant(slug, status: "pending")
            try await run("tenant.mark_failed", on: id, ["reason": "No capacity left."], by: system)
        }
        try await stages()
        try await views()
        try await loseDeliveries()
        try await DeliveryChannels.announce([.slack, .mail], in: test.database)
        try await sync()
        for name in ["nightly sync", "old sync"] {
            try await run("runtime_token.create", ["name": .string(name), "scopes": ["registry"]])
        }
    }

    /// Somebody who holds two roles that are not held together, and accounts that are recovered from the server: one for whoever
    /// says no, one whose time has come.
    private func exceptions() async throws {
        let now = test.clock.clock.now
        try await staff("locked", roles: [])
        func recovery(_ number: Int, of person: String) -> Recovery {
            Recovery(
                id: "rcv_\(number)", staffID: "stf_\(person)", name: person, requestedAt: now - .hours(25),
                executeAt: now - .hours(1))
        }
        try await put([
            .create(
                StaffFlag(
                    id: "flg_1", staffID: "stf_asker", roles: ["billing_ops", "security"],
                    reason: "Stands in while the team is small.", raisedBy: "stf_nobody", raisedAt: now)),
            .create(recovery(1, of: "asker")), .create(recovery(2, of: "locked")),
        ])
        try await staff("colleague", roles: [])
        try await session("ses_colleague", of: "stf_colleague")
    }

    /// A session that is going on.
    public func session(_ id: String, of staff: String) async throws {
        let now = test.clock.clock.now
        _ = try await test.asOwner { writer in try writer.execute(TestQueries.session(id, of: staff, at: now)) }
    }

    /// What the product told: people, and control fields that are different here.
    private func sync() async throws {
        for id in ["u-law", "u-law-gone"] {
            try await run(
                "registry.put_user", ["user": ["external_id": .string(id), "email": .string("\(id)@c.example")]],
                by: system)
        }
        try await run(
            "registry.put_member", ["member": ["tenant": "ext-active", "user": "u-law-gone", "role": "member"]],
            by: system)
        for (slug, fields) in [
            ("active", ["plan": "business", "tier": "gold", "region": "us-east"]),
            ("suspended", ["plan": "enterprise", "status": "active"]),
        ] as [(String, [String: JSON])] {
            try await run(
                "registry.put_tenant",
                [
                    "tenant": .object(
                        fields.merging([
                            "external_id": .string("ext-\(slug)"), "name": .string("Tenant \(slug)"),
                            "slug": .string(slug),
                        ]) { first, _ in first })
                ], by: system)
        }
        let drifts = try await test.database.read { reader in
            try reader.query(TestQueries.drifts).map { try $0.string("id") }
        }
        for drift in drifts.prefix(2) { try await run("drift.dismiss", on: drift, reason: "decided_here") }
    }

    /// One endpoint that hears of everything, and disabled ones.
    private func webhooks() async throws {
        for number in 1...3 {
            let made = try await run(
                "webhook.create",
                [
                    "url": .string("https://hooks-\(number).example.com/postern"),
                    "events": ["tenant.created", "tenant.suspended", "tenant.updated"],
                ])
            if number > 1 { try await run("webhook.disable", on: made.target, reason: "maintenance") }
        }
    }

    /// Deliveries nobody took, given up at once.
    private func loseDeliveries() async throws {
        var settings = DeliveryOutbox.Settings()
        settings.schedule.patience = .seconds(0)
        let outbox = DeliveryOutbox(pipeline: pipeline, settings: settings, clock: test.clock.clock)
        while try await outbox.distribute() {}
        for parcel in try await outbox.claim(3, inFlight: [:]) {
            try await outbox.settle(parcel, .failed(status: 500, note: "Answered 500"), took: .milliseconds(3))
        }
    }

    /// Tenants that somebody renamed beside the log, and one that was put right by hand meanwhile.
    private func drift() async throws {
        for (slug, name) in [("edited-1", "Other"), ("edited-2", "Other"), ("edited-3", "Tenant edited-3")] {
            let id = try await tenant(slug)
            try await test.tamper([TestQueries.rename(tenant: id, to: name)])
            try await run(
                "discrepancy.report", ["row_type": "tenant", "row_id": .string(id), "kind": "edited"], by: system)
        }
    }

    @discardableResult
    public func tenant(
        _ slug: String, status: String = "active", then steps: [(operation: String, reason: String)] = []
    ) async throws -> String {
        let created = try await run(
            "tenant.create",
            [
                "external_id": .string("ext-\(slug)"), "name": .string("Tenant \(slug)"), "slug": .string(slug),
                "status": .string(status), "plan": "team", "region": "eu-west",
            ])
        let id = created.target ?? ""
        for step in steps { try await run(step.operation, on: id, reason: step.reason) }
        return id
    }

    /// Tenants where the product and the provider report on, several because operations take them.
    private func stages() async throws {
        for number in 1...3 {
            try await tenant("pending-\(number)", status: "pending")
            try await tenant("ready-\(number)", status: "ready")
            let expired = try await tenant("expired-\(number)")
            try await run("tenant.expire", on: expired, by: system)
            let moving = try await tenant("moving-\(number)")
            try await run("tenant.change_region", on: moving, ["region": "us-east"])
            try await run("tenant.change_plan", on: moving, ["plan": "business"])
            let stuck = try await tenant("stuck-\(number)")
            try await run("tenant.change_plan", on: stuck, ["plan": "business"])
            try await run("tenant.fail_change", on: stuck, ["field": "plan", "reason": "No such plan."], by: system)
        }
        // With people: an owner, and the member that examples name.
        for number in 1...3 {
            try await run(
                "registry.import_batch",
                [
                    "rows": [
                        [
                            "external_id": .string("peopled-\(number)"), "name": "Peopled",
                            "slug": .string("peopled-\(number)"), "owner_email": "owner@example.com",
                            "members": [["email": "grace@example.com", "name": "Grace", "role": "billing"]],
                        ]
                    ]
                ], by: system)
        }
    }

    /// Saved views: one that is shared, and several that are not, because operations take them.
    private func views() async throws {
        for number in 1...5 {
            let made = try await run(
                "segment.save", ["name": .string("View \(number)"), "filter": "status=active&sort=name"])
            if number == 1 { try await run("segment.share", on: made.target, ["shared": true]) }
        }
    }
}

/// Field values made from declarations.
public enum Samples {
    public static func input(for operation: AnyOperation, number: Int) -> JSON {
        let fields = operation.fields()
        let required = fields.filter(\.param.isRequired)
        // Where every field may be left out, an edit needs one all the same.
        let chosen = required.isEmpty ? Array(fields.prefix(1)) : required
        return .object(
            Dictionary(uniqueKeysWithValues: chosen.map { ($0.name, value(for: $0, number: number)) }))
    }

    public static func value(for field: ParamField, number: Int) -> JSON {
        // A field of a shape of its own says what one looks like.
        if let example = field.param.schema["examples"]?.array?.first { return example }
        // The one of `World.populate`.
        if field.name == "session" { return "ses_colleague" }
        switch field.param.rules.pattern {
        case .slug: return .string("law-\(number)")
        case .email: return .string("law-\(number)@example.test")
        case .externalID: return .string("law-\(number)")
        case .currency: return "USD"
        case nil: break
        }
        switch field.param.control {
        case .choice(let words): return .string(words.first ?? "")
        case .choices(let words): return .array(words.prefix(1).map(JSON.string))
        case .number: return .int(field.param.rules.range?.lowerBound ?? 1)
        case .checkbox: return true
        case .day: return "2030-01-31"
        case .email: return .string("law-\(number)@example.test")
        case .line, .prose: return .string("law-\(number)")
        }
    }
}
