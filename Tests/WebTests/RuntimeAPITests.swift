import Consoles
import Kernel
import TestSupport
import Testing

@testable import Web

@Suite struct RuntimeAPITests {
    /// A token with these scopes.
    private static func token(
        _ loopback: Loopback, _ scopes: [String] = ["registry"], until day: String? = nil
    ) async throws -> (id: String, text: String) {
        let outcome = try await loopback.pipeline.run(
            OperationRequest(
                operation: "runtime_token.create",
                input: JSON.members([
                    ("name", "test"), ("scopes", .array(scopes.map(JSON.string))), ("expires_on", day.map(JSON.string)),
                ]), idempotencyKey: Identifier.mint("key", at: loopback.test.clock.clock.now)), by: loopback.system)
        guard case .applied(let applied) = outcome.result else { throw StoreError.other("no token") }
        return (applied.target ?? "", applied.reveal["token"] ?? "")
    }

    private static func send(
        _ loopback: Loopback, _ method: String, _ path: String, _ token: String?, _ body: JSON? = nil,
        headers: [(String, String)] = []
    ) async throws -> Loopback.Answer {
        var all = headers
        if let token { all.append(("Authorization", "Bearer \(token)")) }
        if body != nil { all.append(("Content-Type", "application/json")) }
        return try await loopback.send(
            method, "/runtime/v1" + path, on: .runtime, headers: all, body: body?.canonical)
    }

    private static func events(_ loopback: Loopback) async throws -> Int64 {
        try await loopback.test.database.read { try TestQueries.count("events", $0) }
    }

    private static let acme: JSON = ["name": "Acme", "slug": "acme", "plan": "pro", "region": "eu"]

    @Test(arguments: TestDatabase.Kind.allCases)
    func `putting a tenant creates it, and again changes and writes nothing`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback).text
            let made = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme)
            #expect(
                made.status == 201 && made["ETag"] == "\"1\"" && made.json["outcome"]?.string == "created",
                "\(made.text)")
            let before = try await Self.events(loopback)
            let again = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme)
            #expect(
                again.status == 200 && again.json["outcome"]?.string == "unchanged"
                    && again.json["event_id"]?.isNull == true)
            #expect(try await Self.events(loopback) == before)

            var renamed = Self.acme.object ?? [:]
            renamed["name"] = "Acme Ltd"
            renamed["plan"] = "business"
            let changed = try await Self.send(
                loopback, "PUT", "/tenants/a-1", token, .object(renamed), headers: [("If-Match", "\"1\"")])
            #expect(changed.status == 200 && changed["ETag"] == "\"2\"", "\(changed.text)")
            #expect(changed.json["drift"] == ["plan"] && changed.json["tenant"]?["plan"]?.string == "pro")
            let stale = try await Self.send(
                loopback, "PUT", "/tenants/a-1", token, Self.acme, headers: [("If-Match", "\"1\"")])
            #expect(stale.status == 412 && stale["ETag"] == "\"2\"")
            let absent = try await Self.send(
                loopback, "PUT", "/tenants/a-2", token, Self.acme, headers: [("If-Match", "\"1\"")])
            #expect(absent.status == 412 || absent.status == 422)
            let shown = try await Self.send(loopback, "GET", "/tenants/a-1", token)
            #expect(shown.status == 200 && shown["ETag"] == "\"2\"" && shown.json["name"]?.string == "Acme Ltd")
            #expect(try await Self.send(loopback, "GET", "/tenants/none", token).status == 404)
        }
    }

    @Test func `every field that is wrong is named at once`() async throws {
        try await Loopback.run { loopback in
            let token = try await Self.token(loopback).text
            let answer = try await Self.send(
                loopback, "PUT", "/tenants/a-1", token,
                ["name": "", "slug": "Not A Slug", "colour": 1, "plan": 7, "status": "deleted", "external_id": "a-1"])
            #expect(answer.status == 422 && answer["Content-Type"] == "application/problem+json")
            #expect(answer.pointers == ["/colour", "/name", "/plan", "/slug", "/status"], "\(answer.text)")
            let other = try await Self.send(
                loopback, "PUT", "/tenants/a-1", token, ["external_id": "a-2", "name": "A", "slug": "a"])
            #expect(other.pointers == ["/external_id"])
            _ = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme)
            let taken = try await Self.send(loopback, "PUT", "/tenants/a-2", token, Self.acme)
            #expect(taken.status == 422 && taken.pointers == ["/slug"])
            let text = try await loopback.send(
                "PUT", "/runtime/v1/tenants/a-1", on: .runtime,
                headers: [("Authorization", "Bearer \(token)"), ("Content-Type", "text/plain")], body: [0x7B, 0x7D])
            #expect(text.status == 415)
            let query = try await Self.send(loopback, "PUT", "/tenants/a-1?x=1", token, Self.acme)
            #expect(query.status == 422 && query.pointers == ["?x"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `users and memberships come and go`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback).text
            _ = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme)
            let made = try await Self.send(
                loopback, "PUT", "/users/u-1", token,
                ["email": "Ada@acme.test", "name": "Ada", "last_login_at": "2026-01-02T03:04:05Z"])
            #expect(made.status == 201 && made.json["user"]?["email"]?.string == "ada@acme.test", "\(made.text)")
            let earlier = try await Self.send(
                loopback, "PUT", "/users/u-1", token, ["last_login_at": "2025-01-02T03:04:05Z"])
            #expect(earlier.json["outcome"]?.string == "unchanged", "the last login never moves back")
            let taken = try await Self.send(loopback, "PUT", "/users/u-2", token, ["email": "ada@acme.test"])
            #expect(taken.status == 422 && taken.pointers == ["/email"])
            let nameless = try await Self.send(loopback, "PUT", "/users/u-2", token, ["name": "Nobody"])
            #expect(nameless.pointers == ["/email"])

            let path = "/tenants/a-1/members/u-1"
            let joined = try await Self.send(loopback, "PUT", path, token, ["role": "admin"])
            #expect(joined.status == 201, "\(joined.text)")
            #expect(try await Self.send(loopback, "PUT", path, token, ["role": "admin"]).status == 200)
            #expect(try await Self.send(loopback, "PUT", path, token, ["role": "owner"]).pointers == ["/role"])
            let before = try await Self.events(loopback)
            #expect(try await Self.send(loopback, "DELETE", path, token).status == 204)
            #expect(try await Self.send(loopback, "DELETE", path, token).status == 204)
            #expect(try await Self.events(loopback) == before + 1, "removed once")
            let missing = try await Self.send(loopback, "PUT", "/tenants/a-1/members/u-9", token, [:])
            #expect(missing.status == 404 && missing.json["detail"]?.string?.contains("u-9") == true)

            // An owner is not removed by the product.
            _ = try await Self.send(
                loopback, "PUT", "/tenants/a-3", token,
                [
                    "name": "B", "slug": "b", "owner_email": "o@b.test",
                    "members": [["email": "o@b.test", "external_id": "u-o"]],
                ])
            let owner = try await Self.send(loopback, "DELETE", "/tenants/a-3/members/u-o", token)
            #expect(owner.status == 422 && owner.json["detail"]?.string?.contains("owns") == true, "\(owner.text)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a batch takes what is sound and says what is not, line by line`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback).text
            let lines = """
                {"type":"tenant","external_id":"b-1","name":"One","slug":"one"}
                {"type":"user","external_id":"u-1","email":"one@b.test"}\r
                {"type":"member","tenant":"b-1","user":"u-1","role":"admin"}

                broken
                {"type":"tenant","external_id":"b-2","name":"Two","slug":"one"}
                {"type":"member","tenant":"b-2","user":"u-1"}
                {"type":"planet","external_id":"x"}
                """
            func batch(_ text: String, type: String = "application/x-ndjson", key: String? = nil) async throws
                -> Loopback.Answer
            {
                try await loopback.send(
                    "POST", "/runtime/v1/batches", on: .runtime,
                    headers: [("Authorization", "Bearer \(token)"), ("Content-Type", type)]
                        + (key.map { [("Idempotency-Key", $0)] } ?? []), body: Array(text.utf8))
            }
            let before = try await Self.events(loopback)
            let answer = try await batch(lines, key: "k-1")
            let rows = try answer.text.split(separator: "\n").map { try JSON(parsing: String($0)) }
            #expect(answer.status == 200 && answer["Content-Type"] == "application/x-ndjson")
            #expect(rows.map { $0["row"]?.int } == [1, 2, 3, 4, 5, 6, 7])
            #expect(
                rows.map { $0["outcome"]?.string }
                    == ["created", "created", "created", "rejected", "rejected", "rejected", "rejected"],
                "\(answer.text)")
            #expect(
                rows[0]["id"]?.string?.hasPrefix("ten_") == true && rows[2]["id"]?.string?.hasPrefix("mem_") == true)
            #expect(rows[4]["errors"]?.array?.first?["pointer"]?.string == "/slug")
            #expect(try await Self.events(loopback) == before + 1, "one event")
            let notices = try await loopback.test.database.read { reader in
                try reader.query(
                    Statement(
                        """
                        SELECT o.name, o.tenant_id, o.tenant_version
                        FROM outbox_pending p JOIN outbox o ON o.id = p.outbox_id ORDER BY p.seq
                        """)
                ).map { row in
                    let tenant = try row.optionalString("tenant_id") ?? "-"
                    let version = try row.optionalInt("tenant_version").map { "\($0)" } ?? "-"
                    return "\(try row.string("name")) \(tenant) \(version)"
                }
            }
            let first = rows[0]["id"]?.string ?? ""
            #expect(notices == ["tenant.created \(first) 1", "user.created - -", "user.joined \(first) 1"])
            // What kept lines from being taken is mended; the key still stands for what was answered.
            let moved = try await Self.send(
                loopback, "PUT", "/tenants/b-1", token, ["name": "One", "slug": "first"])
            #expect(moved.status == 200, "\(moved.text)")
            let after = try await Self.events(loopback)
            let again = try await batch(lines, key: "k-1")
            #expect(again["Idempotency-Replayed"] == "true" && again.status == 200, "\(again.text)")
            let told = try again.text.split(separator: "\n").map { try JSON(parsing: String($0)) }
            #expect(told.map { $0["outcome"] } == rows.map { $0["outcome"] })
            #expect(told.map { $0["id"] } == rows.map { $0["id"] })
            #expect(told[4]["errors"]?.array?.first?["pointer"]?.string == "/slug")
            #expect(try await Self.events(loopback) == after)
            let unchanged = try await batch("{\"type\":\"user\",\"external_id\":\"u-1\"}", key: "k-2")
            #expect(unchanged.status == 200 && unchanged["Idempotency-Replayed"] == nil)
            #expect(
                try await batch("{\"type\":\"user\",\"external_id\":\"u-2\"}", key: "k-2").status == 422,
                "a key stands for what changed nothing too")
            let reused = try await batch(
                "{\"type\":\"tenant\",\"external_id\":\"b-3\",\"name\":\"Three\",\"slug\":\"three\"}", key: "k-1")
            #expect(reused.status == 422 && reused.problem == "idempotency-key-reused", "\(reused.text)")
            #expect(try await batch("", key: nil).status == 422)
            #expect(try await batch(lines, type: "application/json").status == 415)
            let many = String(repeating: "{\"type\":\"user\"}\n", count: 1_001)
            let tooMany = try await batch(many)
            #expect(tooMany.status == 422 && tooMany.json["detail"]?.string?.contains("1001") == true)
        }
    }

    @Test func `a key is optional, replays its answer, and is not taken for something else`() async throws {
        try await Loopback.run { loopback in
            let token = try await Self.token(loopback).text
            let key = [("Idempotency-Key", "put-1")]
            #expect(try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme, headers: key).status == 201)
            let again = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme, headers: key)
            #expect(again["Idempotency-Replayed"] == "true" && again.status == 201, "\(again.status) \(again.text)")
            #expect(again.json["outcome"]?.string == "created" && again["ETag"] == "\"1\"")
            var renamed = Self.acme.object ?? [:]
            renamed["name"] = "Acme Ltd"
            let same = [("Idempotency-Key", "put-2")]
            #expect(try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme, headers: same).status == 200)
            _ = try await Self.send(loopback, "PUT", "/tenants/a-1", token, .object(renamed))
            let late = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme, headers: same)
            #expect(late["Idempotency-Replayed"] == "true" && late.json["outcome"]?.string == "unchanged")
            #expect(late.json["tenant"]?["name"]?.string == "Acme Ltd", "it changed nothing then, and nothing now")
            var other = Self.acme.object ?? [:]
            other["name"] = "Other"
            let reused = try await Self.send(loopback, "PUT", "/tenants/a-1", token, .object(other), headers: key)
            #expect(reused.status == 422 && reused.problem == "idempotency-key-reused")
            let bad = try await Self.send(
                loopback, "PUT", "/tenants/a-1", token, Self.acme, headers: [("Idempotency-Key", "a b")])
            #expect(bad.status == 400)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a repeated word does not end what staff began anew since`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback).text
            var body = Self.acme.object ?? [:]
            body["onboarding"] = "failed"
            let key = [("Idempotency-Key", "failed-1")]
            let told = try await Self.send(loopback, "PUT", "/tenants/a-1", token, .object(body), headers: key)
            #expect(told.json["tenant"]?["status"]?.string == "failed", "\(told.text)")
            loopback.test.clock.advance(.minutes(1))
            _ = try await loopback.pipeline.run(
                OperationRequest(
                    operation: "tenant.retry_onboarding", target: told.json["tenant"]?["id"]?.string,
                    reasonCode: "retry", idempotencyKey: "retry"), by: loopback.system)
            let again = try await Self.send(loopback, "PUT", "/tenants/a-1", token, .object(body), headers: key)
            #expect(again["Idempotency-Replayed"] == "true")
            #expect(again.json["tenant"]?["status"]?.string == "pending", "\(again.text)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a repeated sign-in is answered with the state it led to`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback).text
            var body = Self.acme.object ?? [:]
            body["onboarding"] = "ready"
            _ = try await Self.send(loopback, "PUT", "/tenants/a-1", token, .object(body))
            loopback.test.clock.advance(.minutes(1))
            body["onboarding"] = nil
            body["last_activity_at"] = .string(loopback.test.clock.clock.now.rfc3339)
            let key = [("Idempotency-Key", "seen-1")]
            let told = try await Self.send(loopback, "PUT", "/tenants/a-1", token, .object(body), headers: key)
            #expect(told.json["tenant"]?["status"]?.string == "active", "\(told.text)")
            let again = try await Self.send(loopback, "PUT", "/tenants/a-1", token, .object(body), headers: key)
            #expect(again["Idempotency-Replayed"] == "true" && again["ETag"] == told["ETag"])
            #expect(again.json == told.json, "\(again.text)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what a word leads to names the token that told it`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback)
            var body = Self.acme.object ?? [:]
            body["onboarding"] = "ready"
            let made = try await Self.send(loopback, "PUT", "/tenants/a-1", token.text, .object(body))
            let id = made.json["tenant"]?["id"]?.string
            _ = try await loopback.pipeline.run(
                OperationRequest(
                    operation: "tenant.change_plan", target: id, input: ["plan": "business"], idempotencyKey: "ask"),
                by: loopback.system)
            let key = [("Idempotency-Key", "report-1")]
            let path = "/tenants/a-1/changes/plan"
            let done = try await Self.send(loopback, "POST", path, token.text, ["outcome": "confirmed"], headers: key)
            #expect(done.status == 200 && done.json["plan"]?.string == "business", "\(done.text)")
            let leaves = try await loopback.test.database.read { reader in
                try reader.query(
                    Statement(
                        "SELECT leaf FROM events WHERE action IN ('tenant.mark_ready', 'tenant.confirm_change', 'registry.put_tenant')"
                    )
                ).map { try JSON(parsing: try $0.bytes("leaf")) }
            }
            #expect(leaves.count == 3)
            for leaf in leaves {
                let isOwn = leaf["action"]?.string == "registry.put_tenant"
                #expect(leaf["actor"]?["type"]?.string == (isOwn ? "runtime" : "system"))
                #expect(leaf["facts"]?["token"]?.string == (isOwn ? nil : token.id), "once, where it is not the actor")
                #expect(leaf["sealed"]?["actor_ip"] != nil)
            }
            let again = try await Self.send(loopback, "POST", path, token.text, ["outcome": "confirmed"], headers: key)
            #expect(again.status == 200 && again["Idempotency-Replayed"] == "true")
            // A key is the token's own.
            let other = try await Self.token(loopback).text
            let refused = try await Self.send(loopback, "POST", path, other, ["outcome": "confirmed"], headers: key)
            #expect(refused.status == 409, "\(refused.text)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the end of a trial and what becomes of a subscription is reported`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback).text
            _ = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme)
            func report(_ event: String, key: String? = nil) async throws -> Loopback.Answer {
                try await Self.send(
                    loopback, "POST", "/tenants/a-1/subscription", token, ["event": .string(event)],
                    headers: key.map { [("Idempotency-Key", $0)] } ?? [])
            }
            let ended = try await report("trial_ended", key: "end")
            #expect(ended.status == 200 && ended.json["status"]?.string == "expired" && ended["ETag"] == "\"2\"")
            let before = try await Self.events(loopback)
            #expect(try await report("trial_ended", key: "end")["Idempotency-Replayed"] == "true")
            let again = try await report("trial_ended")
            #expect(again.status == 200 && again.json["status"]?.string == "expired")
            #expect(try await Self.events(loopback) == before, "what is known already is not recorded")
            #expect(try await report("subscribed").json["status"]?.string == "active")
            #expect(try await report("cancelled").json["status"]?.string == "cancelled")
            let late = try await report("subscribed")
            #expect(late.status == 409 && late.json["detail"]?.string?.contains("cancelled") == true, "\(late.text)")
            #expect(try await report("forgotten").pointers == ["/event"])
            let told = try await Self.send(loopback, "PUT", "/tenants/a-1/subscription", token, ["event": "cancelled"])
            #expect(told.status == 405 || told.status == 404)
            let unknown = try await Self.send(
                loopback, "POST", "/tenants/none/subscription", token, ["event": "cancelled"])
            #expect(unknown.status == 404)
        }
    }

    @Test func `many at once about the same tenant make one`() async throws {
        try await Loopback.run(.postgres) { loopback in
            let token = try await Self.token(loopback).text
            let answers = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        try await Self.send(
                            loopback, "PUT", "/tenants/race", token,
                            [
                                "name": "Race", "slug": "race",
                                "members": [["email": .string("m\(number)@race.test")], ["email": "all@race.test"]],
                            ]
                        ).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0 == 200 || $0 == 201 }, "\(answers)")
            #expect(answers.count { $0 == 201 } >= 1)
            let users = try await loopback.test.database.read { try TestQueries.count("users", $0) }
            let tenants = try await loopback.test.database.read { try TestQueries.count("tenants", $0) }
            #expect(users == 9 && tenants == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a token opens what its scopes say, until it is over`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let none = try await Self.send(loopback, "PUT", "/tenants/a-1", nil, Self.acme)
            #expect(none.status == 401 && none.problem == "token-required" && none["WWW-Authenticate"] == "Bearer")
            let wrong = try await Self.send(loopback, "PUT", "/tenants/a-1", "prt_wrong", Self.acme)
            #expect(wrong.status == 401 && wrong["WWW-Authenticate"]?.contains("invalid_token") == true)

            let flags = try await Self.token(loopback, ["flags"])
            let scoped = try await Self.send(loopback, "PUT", "/tenants/a-1", flags.text, Self.acme)
            #expect(scoped.status == 403 && scoped.problem == "scope-missing")
            #expect(scoped.json["detail"]?.string?.contains("scope registry") == true)

            let token = try await Self.token(loopback, ["flags", "registry"])
            #expect(try await Self.send(loopback, "PUT", "/tenants/a-1", token.text, Self.acme).status == 201)
            let used = try await loopback.test.database.read { try TestQueries.count("runtime_token_use", $0) }
            #expect(used == 2, "the first use is noted")
            _ = try await loopback.pipeline.run(
                OperationRequest(
                    operation: "runtime_token.revoke", target: token.id, reasonCode: "rotated",
                    idempotencyKey: "revoke"), by: loopback.system)
            let revoked = try await Self.send(loopback, "GET", "/tenants/a-1", token.text)
            #expect(revoked.status == 401)

            let day = (loopback.test.clock.clock.now + .days(1)).day.text
            let short = try await Self.token(loopback, until: day)
            #expect(try await Self.send(loopback, "GET", "/tenants/a-1", short.text).status == 200)
            loopback.test.clock.advance(.days(3))
            #expect(try await Self.send(loopback, "GET", "/tenants/a-1", short.text).status == 401)

            // The staff's door and the product's are two.
            let staff = loopback.door.token("ann", permissions: loopback.allPermissions)
            #expect(try await Self.send(loopback, "GET", "/tenants/a-1", staff).status == 401)
            #expect(try await loopback.api("GET", "/tenants", token: flags.text).status == 401)
            let refused = try await loopback.test.database.read { reader in
                try reader.query(Statement("SELECT leaf FROM events WHERE action = 'runtime_token.refused'")).count
            }
            #expect(refused == 4, "each token that is nobody's is recorded")
        }
    }

    @Test func `a token has a limit of its own, which says so`() async throws {
        let few = { @Sendable (configuration: inout WebConfiguration) in configuration.requestsPerMinute = 2 }
        try await Loopback.run(.sqlite, few) { loopback in
            let token = try await Self.token(loopback)
            let first = try await Self.send(loopback, "GET", "/tenants/a-1", token.text)
            #expect(first["RateLimit-Policy"] == "\"token\";q=2;w=60")
            #expect(first["RateLimit"] == "\"token\";r=1;t=30")
            _ = try await Self.send(loopback, "GET", "/tenants/a-1", token.text)
            #expect(try await Self.send(loopback, "GET", "/tenants/a-1", token.text).status == 429)
        }
    }

    @Test func `a source that shows many unknown tokens is held back, others are not`() async throws {
        try await Loopback.run { loopback in
            let token = try await Self.token(loopback).text
            _ = try await Self.send(loopback, "PUT", "/tenants/a-1", token, Self.acme)
            var statuses: [Int] = []
            for number in 0..<34 {
                statuses.append(try await Self.send(loopback, "GET", "/tenants/a-1", "prt_\(number)").status)
            }
            #expect(statuses.prefix(30).allSatisfy { $0 == 401 } && statuses.last == 429, "\(statuses)")
            #expect(try await Self.send(loopback, "GET", "/tenants/a-1", token).status == 200, "a real one still opens")
        }
    }

    @Test func `a token is shown once and kept by its digest alone`() async throws {
        try await Loopback.run { loopback in
            let made = try await Self.token(loopback)
            #expect(made.text.hasPrefix("prt_") && made.text.count == 47)
            let ann = loopback.door.token("ann", permissions: loopback.allPermissions)
            let shown = try await loopback.api("GET", "/runtime-tokens/\(made.id)", token: ann)
            #expect(shown.status == 200 && shown.json["prefix"]?.string == String(made.text.prefix(10)))
            let page = try await loopback.page("/runtime-tokens/\(made.id)", token: ann)
            let list = try await loopback.page("/runtime-tokens", token: ann)
            for text in [shown.text, page.text, list.text] { #expect(!text.contains(made.text)) }
            let stored = try await loopback.test.database.read { reader in
                try reader.query(Statement("SELECT * FROM runtime_tokens")).map { "\($0.values)" }.joined()
                    + reader.query(Statement("SELECT members FROM sealed")).map { "\($0.values)" }.joined()
                    + reader.query(Statement("SELECT body FROM idempotency")).map { "\($0.values)" }.joined()
            }
            #expect(!stored.contains(made.text))
        }
    }
}
