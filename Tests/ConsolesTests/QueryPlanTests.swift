import Consoles
import Foundation
import HTML
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

/// Cost must not grow with history: whatever the pages, the API, the operations, sign-in, the sequencer and the outbox send is
/// taken down at the driver, and its plan is looked at in a database with large tables.
@Suite struct QueryPlanTests {
    /// Rows of each large table.
    private static let rows = 20_000

    private static let large: Set<String> = [
        "events", "event_entity", "entity_head", "sealed", "sealed_subject", "log_leaf", "idempotency", "outbox",
        "tenants", "tenant_status_history", "users", "memberships", "deliveries", "delivery_attempts", "sessions",
        "notifications", "drifts", "import_rows", "delivery_lanes", "delivery_queue", "tenant_words", "word_grams",
    ]

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing that is sent reads a large table from end to end`(kind: TestDatabase.Kind) async throws {
        let recorder = StatementRecorder()
        let world = try await World.make(kind, drifted: true, recorder: recorder)
        try await Self.doEverything(world)
        try await Self.signIn(kind, recorder)
        let sent = recorder.statements
        #expect(sent.count > 100, "only \(sent.count) statements were sent")
        for table in Self.large {
            #expect(sent.contains { $0.text.contains(table) }, "nothing was sent about \(table)")
        }
        // What writes these is not what finds something in them.
        for table in ["drifts", "import_rows", "delivery_lanes", "delivery_queue", "tenant_words", "word_grams"] {
            #expect(sent.contains { $0.text.contains("FROM \(table)") }, "nothing was read from \(table)")
        }
        try await Self.fill(world.test)
        let looked = sent.filter { Self.isPlanned($0.text) }
        for (statement, first) in zip(looked, try await Self.plans(of: looked, world.test)) {
            var plan = first
            if plan.contains(where: { Self.readsWhole($0, statement) }) {
                // A range that is a good part of a table of this size may be cheaper to read whole; at full size it is not.
                plan = try await Self.plans(of: [statement], world.test, withoutScans: true)[0]
            }
            let whole = plan.filter { Self.readsWhole($0, statement) }
            #expect(whole.isEmpty, "\(statement.text)\n\(plan.joined(separator: "\n"))")
        }
        #expect(looked.count > 80, "only \(looked.count) plans were looked at")
        await world.close()
    }

    /// So that the test above can fail.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a statement without an index is found`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await Self.fill(test)
            for text in [
                "SELECT id FROM tenants WHERE name = $1", "SELECT id FROM events WHERE policy = $1",
                "UPDATE users SET name = $1 WHERE name = $1", "SELECT id FROM drifts WHERE theirs = $1",
                "SELECT seq FROM import_rows WHERE content = $1", "SELECT id FROM delivery_lanes WHERE lease = $1",
            ] {
                let statement = Statement(text.replacing("policy", with: "approval_id"), [.text("x")])
                let plan = try await Self.plans(of: [statement], test, withoutScans: true)[0]
                #expect(plan.contains { Self.readsWhole($0, statement) }, "\(text) \(plan)")
            }
        }
    }

    // MARK: Plans

    private static func isPlanned(_ text: String) -> Bool {
        let word = text.prefix { !$0.isWhitespace }.uppercased()
        return ["SELECT", "WITH", "UPDATE", "DELETE"].contains(word)
            // The kernel's named locks and settings.
            || (word == "INSERT" && text.contains("SELECT"))
    }

    private static func plans(
        of statements: [Statement], _ test: TestDatabase, withoutScans: Bool = false
    ) async throws -> [[String]] {
        let (prefix, column) =
            test.kind == .postgres ? ("EXPLAIN (COSTS OFF) ", "QUERY PLAN") : ("EXPLAIN QUERY PLAN ", "detail")
        return try await test.asOwner { writer in
            if withoutScans, test.kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
            return try statements.map { statement in
                try writer.query(Statement(prefix + statement.text, statement.values)).map { try $0.string(column) }
            }
        }
    }

    /// `Seq Scan on events e`; `SCAN e`, which on the embedded database may also walk a whole index.
    private static func readsWhole(_ line: String, _ statement: Statement) -> Bool {
        let words = line.split(whereSeparator: { " >-".contains($0) }).map(String.init)
        let scanned: String
        if let place = words.firstIndex(of: "Seq"), words.count > place + 3, words[place + 1] == "Scan" {
            scanned = words[place + 3]
        } else if words.first == "SCAN", words.count > 1 {
            // In order up to a limit is what an index is for.
            if line.contains("INDEX"), statement.text.contains("LIMIT") { return false }
            scanned = table(of: words[1], statement.text)
        } else {
            return false
        }
        return large.contains(scanned)
    }

    /// What an alias stands for.
    private static func table(of alias: String, _ text: String) -> String {
        guard let pattern = try? Regex("(?:FROM|JOIN|UPDATE|INTO)\\s+(\\w+)\\s+(?:AS\\s+)?\(alias)\\b"),
            let match = text.firstMatch(of: pattern), let name = match.output[1].substring
        else { return alias }
        return String(name)
    }

    // MARK: Deeds

    private static let cursors = CursorCodec(key: [UInt8](repeating: 1, count: 32))

    private static func doEverything(_ world: World) async throws {
        while try await WordIndex.turn(world.test.database) {}
        // Every operation that something in the world allows, and its undo.
        for operation in world.catalog.operations {
            guard let trial = try await world.trial(of: operation) else { continue }
            guard case .applied(let applied)? = try? await world.run(trial).result else { continue }
            _ = try? await world.pipeline.undoOffer(for: applied.eventID, by: world.everybody)
        }
        try await importCustomers(world)
        while try await WordIndex.turn(world.test.database) {}
        try await log(world)
        try await reads(world)
        let outbox = DeliveryOutbox(pipeline: world.pipeline, clock: world.test.clock.clock)
        while try await outbox.distribute() {}
        for parcel in try await outbox.claim(5, inFlight: [:]) {
            try await outbox.settle(parcel, .delivered(status: 200), took: .milliseconds(3))
        }
        let inbox = StaffInbox(pipeline: world.pipeline)
        _ = try await inbox.news(since: 0, andOf: ["stf_nobody"])
        _ = try await inbox.live(["ses_1", "ses_2"])
        _ = try await inbox.markRead(Identifier.mint("ntc", at: world.test.clock.clock.now), of: "stf_everybody")
        _ = try await inbox.markAllRead(of: "stf_everybody", until: world.test.clock.clock.now)
        world.test.clock.advance(.hours(12))
        try await ReminderTurn(pipeline: world.pipeline, channels: []).turn()
        try await StaffInbox.forget(after: .days(90), in: world.test.database)
        _ = try await world.test.database.write { try $0.execute(SQLRecords().forgetOutcomes(storedBefore: $0.now)) }
    }

    private static func importCustomers(_ world: World) async throws {
        let csv = NSTemporaryDirectory() + "plans-\(SecureRandom.bytes(6).hex).csv"
        let lines = (1...3).map { "p\($0),Planned \($0),planned-\($0),o\($0)@c.example,m\($0)@c.example" }
        try (["external_id,name,slug,owner_email,member_emails"] + lines).joined(separator: "\n")
            .write(toFile: csv, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: csv) }
        let run = ImportRun(csv, through: world.pipeline)
        for _ in 0..<2 { try await run.apply(try await run.validate { _ in }) { _ in } }
    }

    private static func log(_ world: World) async throws {
        let folder = NSTemporaryDirectory() + "plans-\(SecureRandom.bytes(8).hex)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let test = world.test
        let key = try LogKey.generate(name: "postern.test/log")
        let sequencer = Sequencer(
            database: test.database, store: SQLLogStore(),
            leadership: test.kind == .sqlite
                ? SQLiteLeadership(path: test.location) : PostgresLeadership(url: test.url),
            key: key, file: CheckpointFile(path: folder + "/checkpoints.log"), clock: test.clock.clock)
        try await sequencer.turn()
        await sequencer.stepDown()
        try await sequencer.turn()
        let published = PublishedLog(database: test.database, store: SQLLogStore(), key: key.verifier)
        let note = try #require(try await published.checkpoint())
        let size = try Checkpoint(note: note, key: key.verifier).size
        _ = try await published.tile(level: 0, index: 0, width: Int(min(255, size)))
        _ = try await published.entries(index: 0, width: Int(min(255, size)))
        let event = try await test.database.read { reader in
            try reader.first(Statement("SELECT id FROM events ORDER BY id LIMIT 1"))
        }
        _ = try await published.receipt(event: try event?.string("id") ?? "", wait: .seconds(1))
        var ofTenant = EventFilter()
        ofTenant.tenant = "ten_1"
        for filter in [EventFilter(), ofTenant] { try await published.export(filter, as: .jsonl) { _, _ in } }
        await sequencer.stop()
    }

    /// Every read and page, bare, with each of its parameters, and from the second page on.
    private static func reads(_ world: World) async throws {
        for read in world.catalog.reads {
            let path = try await path(read.path, world)
            for query in queries(read.parameters.map(\.name)) {
                var query = query
                for _ in 0..<2 {
                    let call = ReadCall(path: path, query: query, caller: world.everybody, cursors: cursors)
                    let next = try? await world.pipeline.read(read.permission, by: world.everybody) { reader in
                        let answer = try read.run(call, reader)
                        return (answer.nextCursor, answer.disclosure)
                    }
                    guard let cursor = next ?? nil else { break }
                    query["cursor"] = [cursor]
                }
            }
        }
        for source in world.catalog.evidence {
            let call = ReadCall(
                path: try await path(source.path, world), query: [:], caller: world.everybody, cursors: cursors)
            _ = try await world.pipeline.read(source.permission, by: world.everybody) { try source.gather(call, $0) }
        }
        try await AccessReviewTurn(pipeline: world.pipeline, clock: world.test.clock.clock).turn()
        for page in Consoles.all.flatMap(\.pages) {
            let path = try await path(page.path, world)
            for query in queries(Array(samples.keys)) {
                let call = PageCall(
                    path: path, query: query, caller: world.everybody, cursors: cursors, catalog: world.catalog,
                    csrf: "csrf")
                _ = try? await world.pipeline.read(page.permission, by: world.everybody) { reader in
                    let answer = try page.render(call, reader)
                    return (answer.title, answer.disclosure)
                }
            }
        }
        for item in Consoles.all.flatMap(\.menu) {
            _ = try await world.pipeline.read(nil, by: world.everybody) { reader in
                (try item.due?(world.everybody, reader) ?? 0, nil)
            }
        }
    }

    private static let samples: [String: [String]] = [
        // The last but one with a slip: the index of words.
        "q": ["o1@c.example", "planned", "planned-1", "o1@", "Planned 1", "plnaned", "ten_1"],
        "status": ["active", "suspended"], "plan": ["free"], "tier": ["standard"], "region": ["default"],
        "sort": ["name", "created", "last_activity"], "tenant": ["planned-1", "ten_1"], "actor": ["stf_everybody"],
        "action": ["tenant.create"], "class": ["mutation"], "outcome": ["applied"], "target": ["ten_1"],
        "from": ["2026-01-01T00:00:00Z"], "until": ["2027-01-01T00:00:00Z"],
        "state": ["pending", "dead", "open", "kept", "ended"],
        "webhook": ["whk_1"], "requester": ["stf_everybody"], "reviewer": ["stf_everybody"],
        "show": ["dormant", "expiring"], "view": ["closed"],
    ]

    private static func queries(_ names: [String]) -> [[String: [String]]] {
        var queries: [[String: [String]]] = [[:]]
        if names.contains("limit") { queries.append(["limit": ["1"]]) }
        for name in names.sorted() {
            for value in samples[name] ?? [] { queries.append([name: [value]]) }
        }
        // Both ways the two widest lists are filtered.
        queries.append(["status": ["active"], "plan": ["free"], "sort": ["name"]].filter { names.contains($0.key) })
        queries.append(["tenant": ["ten_1"], "class": ["mutation"]].filter { names.contains($0.key) })
        return queries
    }

    private static func path(_ template: String, _ world: World) async throws -> [String: String] {
        guard template.contains("{id}") else { return [:] }
        let segment = template.split(separator: "/").first.map { $0.replacing("-", with: "_") } ?? ""
        let table = ["audit_events": "events", "audit": "events"][segment] ?? segment
        let filter = ["tenants": "WHERE slug = 'planned-1'"][table] ?? ""
        let id = try await world.test.asOwner { writer in
            try writer.query(Statement("SELECT id FROM \(table) \(filter) ORDER BY id LIMIT 1")).first?.string("id")
        }
        return ["id": id ?? "none"]
    }

    private static func signIn(_ kind: TestDatabase.Kind, _ recorder: StatementRecorder) async throws {
        let test = try await TestDatabase.make(kind, recorder: recorder)
        let provider = ProviderDouble()
        var settings = StaffSignIn.Settings()
        settings.provider = StaffProvider(client: provider, consoleURL: "http://localhost:8080")
        let fixture = try await StaffFixture.make(test, settings: settings)
        let person = try await fixture.bootstrap()
        let session = try await fixture.signIn(person)
        let caller = try await fixture.caller(session)
        try await elsewhere(fixture, provider, session, caller)
        _ = try? await fixture.signIn.begin(
            email: person.email, password: "wrong", from: StaffFixture.source)
        _ = try await fixture.invite("second@example.com", roles: ["support_l1"], by: caller)
        await test.drop()
    }

    /// Through an identity provider, and by a command line.
    private static func elsewhere(
        _ fixture: StaffFixture, _ provider: ProviderDouble, _ session: NewSession, _ caller: Caller
    ) async throws {
        provider.says("u-1", mfa: true, at: fixture.test.clock.clock.now, sid: "s-1")
        func back(_ address: String) async throws {
            _ = try await fixture.signIn.finishAtProvider(
                ProviderAnswer(state: String(address.split(separator: "=").last ?? ""), code: "c"), visitor: "b",
                session: session.info, from: StaffFixture.source)
        }
        try await back(try await fixture.signIn.startLinking(session.info, by: caller, visitor: "b"))
        try await back(
            try await fixture.signIn.startAtProvider(visitor: "b", next: nil, from: StaffFixture.source))
        for subject in ["u-1", nil] {
            provider.ends(
                .success(
                    ProviderLogout(
                        issuer: provider.issuer, subject: subject, session: subject == nil ? "s-1" : nil,
                        id: subject ?? "sid", expiresAt: fixture.test.clock.clock.now)))
            try await fixture.signIn.endByProvider("token", from: StaffFixture.source)
        }
        let device = try await fixture.signIn.beginDevice(machine: "laptop", from: StaffFixture.source)
        try await fixture.signIn.approveDevice(code: device.code, for: session.info, by: caller)
        _ = try await fixture.signIn.redeem(device: device.device, from: StaffFixture.source)
        try await fixture.signIn.sweep()
    }

    // MARK: Large tables

    /// Rows of no meaning, written past every guard, and the statistics of them.
    private static func fill(_ test: TestDatabase) async throws {
        let numbers = """
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(rows))
            """
        func insert(_ table: String, _ columns: String, _ values: String) -> Statement {
            Statement("INSERT INTO \(table) (\(columns)) \(numbers) SELECT \(values) FROM n")
        }
        let bytes = test.kind == .postgres ? "decode(md5(i || 'x') || md5(i || 'y'), 'hex')" : "randomblob(32)"
        let word = "'w' || (i % 5)"
        try await test.tamper([
            insert(
                "events",
                "id, at, class, action, outcome, actor_type, actor_id, tenant_id, target_type, target_id, retention_class, leaf",
                """
                'evt_x' || i, i, \(word), \(word), \(word), 'staff', 'stf_' || (i % 20), 'ten_x' || (i % 900), 'tenant', \
                'ten_x' || (i % 900), 'access_3y', \(bytes)
                """),
            insert("event_entity", "event_id, type, id", "'evt_x' || i, 'tenant', 'ten_x' || i"),
            insert("entity_head", "type, id, event_id", "'tenant', 'ten_x' || i, 'evt_x' || i"),
            insert("sealed", "event_id, members", "'evt_x' || i, '{}'"),
            insert("sealed_subject", "subject, event_id, member", "'ten_x' || (i % 900), 'evt_x' || i, 'details'"),
            insert("log_leaf", "idx, event_id, hash", "1000000 + i, 'evt_x' || i, \(bytes)"),
            insert(
                "idempotency", "person, key, operation, fingerprint, event_id, body, created_at",
                "'stf_' || (i % 20), 'key' || i, 'tenant.update', \(bytes), 'evt_x' || i, '{}', 3000000000000000 + i"),
            insert(
                "outbox", "id, event_id, operation_id, kind, name, payload, state, created_at",
                "'out_x' || i, 'evt_x' || i, 'op_' || i, 'webhook', 'tenant.updated', '{}', 'done', i"),
            insert(
                "tenants",
                """
                id, version, external_id, slug, name, name_key, status, plan, tier, region, metadata, created_at, updated_at, \
                status_since, last_activity_at
                """,
                """
                'ten_x' || i, 1, 'ext-x' || i, 'slug-x' || i, 'Name ' || i, 'name ' || i, \(word), \(word), \(word), \(word), \
                '{}', i, i, i, i
                """),
            insert(
                "tenant_status_history", "tenant_id, event_id, to_status, actor_type, actor_id, at",
                "'ten_x' || (i % 900), 'evt_x' || i, 'active', 'staff', 'stf_1', i"),
            insert(
                "users", "id, version, external_id, email, email_local, name, status, created_at",
                "'usr_x' || i, 1, 'uext' || i, 'u' || i || '@x.test', 'u' || i, 'User', 'active', i"),
            insert(
                "memberships", "id, version, tenant_id, user_id, role, status",
                "'mem_x' || i, 1, 'ten_x' || (i % 900), 'usr_x' || i, 'member', 'joined'"),
            insert(
                "deliveries", "id, version, outbox_id, webhook_id, event_id, name, state, urgency, created_at",
                "'dlv_x' || i, 1, 'out_x' || i, 'whk_' || (i % 5), 'evt_x' || i, 'tenant.updated', 'delivered', 2, i"),
            insert(
                "notifications", "id, staff_id, kind, event_id, about_type, about_id, created_at, read_at, is_moot",
                """
                'ntc_x' || i, 'stf_' || (i % 20), 'request_asked', 'evt_x' || i, 'approval', 'apr_x' || (i % 900), i, \
                CASE WHEN i % 9 = 0 THEN NULL ELSE i END, 0
                """),
            insert("delivery_attempts", "delivery_id, number, at", "'dlv_x' || i, 1, i"),
            insert(
                "delivery_lanes", "id, webhook_id, due_at",
                "'lane_x' || i, 'whk_' || (i % 5), CASE WHEN i % 9 = 0 THEN i ELSE NULL END"),
            insert(
                "delivery_queue", "delivery_id, lane, position, failures",
                "'dlv_x' || i, 'lane_x' || (i % 9000), i, 0"),
            insert(
                "drifts", "id, version, tenant_id, field, ours, theirs, state, source, opened_at",
                "'drf_x' || i, 1, 'ten_x' || i, \(word), 'ours', 'theirs', \(word), 'sync', i"),
            insert(
                "import_rows", "run_id, seq, line, external_id, slug, content",
                "'imp_x' || (i % 20), i, i, 'ext-x' || i, 'slug-x' || i, '{}'"),
            insert("tenant_words", "word, tenant_id", "'word' || i, 'ten_x' || (i % 900)"),
            insert("word_grams", "gram, length, word", "'g' || (i % 500), 4 + i % 9, 'word' || i"),
            insert(
                "sessions",
                """
                id, token_hash, realm, staff_id, client, factors, mfa_at, user_agent_hash, user_agent, ip, created_at, \
                last_seen_at, expires_at, ended_at
                """,
                """
                'ses_x' || i, \(bytes), 'staff', 'stf_' || (i % 20), 'console', '[]', i, \(bytes), 'x', '192.0.2.1', i, i, i, i
                """),
        ])
        _ = try await test.asOwner { try $0.execute(Statement("ANALYZE")) }
    }
}
