import Foundation
import Kernel
import TestSupport
import Testing

@testable import Web

@Suite struct StaffAPITests {
    static let suspend: JSON = [
        "input": [:], "reason_code": "non_payment", "justification": "Three invoices are unpaid.",
    ]

    @Test func `a body that is not JSON is answered with the byte where reading stopped`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let answer = try await loopback.send(
                "POST", "/api/v1/tenants/ten_1/suspend",
                headers: [
                    ("Authorization", "Bearer \(token)"), ("Content-Type", "application/json"),
                    ("Idempotency-Key", "k"),
                ],
                body: Array("{\"input\": {,}}".utf8))
            #expect(answer.status == 400)
            #expect(answer["Content-Type"] == "application/problem+json")
            #expect(answer.problem == "malformed-json")
            #expect(answer.json["detail"]?.string?.contains("byte 11") == true)
            #expect(answer.json["instance"]?.string == "/api/v1/tenants/ten_1/suspend")
            #expect(answer.json["status"]?.int == 400)
            let page = try await loopback.send("GET", answer.json["type"]?.string ?? "")
            #expect(page.status == 200)
            #expect(page.text.contains("RFC 8259"))
        }
    }

    @Test func `every field error comes at once, by pointer`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let answer = try await loopback.api(
                "POST", "/tenants", token: token, key: "k",
                [
                    "input": [
                        "name": 7, "slug": "Not A Slug", "external_id": "a\u{0}b", "color/ed": "red", "plan": "pro",
                        "region": "e\u{202E}u",
                    ], "justifikation": "typo", "ticket": 12,
                ])
            #expect(answer.status == 422)
            #expect(answer.problem == "invalid-fields")
            #expect(
                answer.pointers == [
                    "/input/color~1ed", "/input/external_id", "/input/name", "/input/region", "/input/slug",
                    "/justifikation",
                    "/ticket",
                ])
            let long = try await loopback.api(
                "POST", "/tenants", token: token, key: "k",
                ["input": ["name": .string(String(repeating: "n", count: 121)), "slug": "s", "external_id": "e"]])
            #expect(long.status == 422)
            #expect(long.pointers == ["/input/name", "/input/plan", "/input/region"])
            let list = try await loopback.api("POST", "/tenants", token: token, key: "k", ["input": [1]])
            #expect(list.pointers.contains("/input"))
        }
    }

    @Test func `sizes, media types and methods are checked`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let authorization = ("Authorization", "Bearer \(token)")
            let large = try await loopback.send(
                "POST", "/api/v1/tenants", headers: [authorization, ("Content-Type", "application/json")],
                body: [UInt8](repeating: 0x20, count: (1 << 20) + 1))
            #expect(large.status == 413)
            #expect(large.problem == "body-too-large")
            let form = try await loopback.send(
                "POST", "/api/v1/tenants", headers: [authorization, ("Content-Type", "text/plain")],
                body: Array("{}".utf8))
            #expect(form.status == 415)
            let method = try await loopback.api("DELETE", "/tenants/ten_1/suspend", token: token)
            #expect(method.status == 405)
            #expect(method["Allow"] == "POST")
            let nothing = try await loopback.api("GET", "/nothing/here", token: token)
            #expect(nothing.status == 404)
            #expect(nothing.problem == "not-found")
            let escape = try await loopback.send("GET", "/api/v1/probes/a%00b", headers: [authorization])
            #expect(escape.status == 400)
        }
    }

    @Test func `without a session nothing is answered, and a cookie is none`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let missing = try await loopback.api("GET", "/me")
            #expect(missing.status == 401)
            #expect(missing["WWW-Authenticate"] == "Bearer")
            let forged = try await loopback.api("GET", "/me", token: token + "x")
            #expect(forged.status == 401)
            #expect(forged["WWW-Authenticate"] == "Bearer error=\"invalid_token\"")
            let basic = try await loopback.api("GET", "/me", headers: [("Authorization", "Basic YTpi")])
            #expect(basic.status == 401)
            let cookie = ("Cookie", "__Host-postern_staff=\(token)")
            let unsafe = try await loopback.api("POST", "/tenants", key: "k", [:], headers: [cookie])
            #expect(unsafe.status == 401)
            #expect(unsafe.json["detail"]?.string?.contains("takes no cookie") == true)
            #expect(try await loopback.api("GET", "/me", headers: [cookie]).status == 401)

            // Downloads are the one thing a page's link may fetch with its cookie.
            _ = try await loopback.tenant("acme")
            let list = try await loopback.api("GET", "/audit-events?limit=1", token: token)
            let event = try #require(list.json["items"]?.array?.first?["id"]?.string)
            let receipt = "/audit-events/\(event)/receipt"
            let own = try await loopback.api("GET", receipt, headers: [cookie, ("Sec-Fetch-Site", "same-origin")])
            #expect(own.status == 200)
            #expect(own["Content-Disposition"]?.contains("\(event).receipt.json") == true)
            let foreign = try await loopback.api("GET", receipt, headers: [cookie, ("Sec-Fetch-Site", "cross-site")])
            #expect(foreign.status == 403)
            loopback.door.endAll()
            #expect(try await loopback.api("GET", "/me", token: token).status == 401)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a suspension is done once, whatever is repeated`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let path = "/tenants/\(tenant.id)/suspend"

            let keyless = try await loopback.api("POST", path, token: token, Self.suspend)
            #expect(keyless.status == 400)
            #expect(keyless.problem == "idempotency-key-missing")
            let malformed = try await loopback.api("POST", path, token: token, key: "\"open", Self.suspend)
            #expect(malformed.problem == "idempotency-key-malformed")

            let dry = try await loopback.api("POST", path + "?dry_run=true", token: token, Self.suspend)
            #expect(dry.status == 200)
            #expect(dry.json["preview"] == true)
            #expect(dry.json["allowed"] == true)
            #expect(dry["ETag"] == "\"\(tenant.version)\"")
            #expect(try await loopback.document(tenant.id)?["status"] == "active")

            let done = try await loopback.api("POST", path, token: token, key: "\"k1\"", Self.suspend)
            #expect(done.status == 200, "\(done.text)")
            #expect(done["ETag"] == "\"\(tenant.version + 1)\"")
            #expect(done["Idempotency-Replayed"] == nil)
            #expect(done.json["after"]?["status"] == "suspended")
            #expect(done.json["undo"]?["operation"] == "tenant.restore")

            let again = try await loopback.api("POST", path, token: token, key: "k1", Self.suspend)
            #expect(again.status == 200)
            #expect(again["Idempotency-Replayed"] == "true")
            #expect(again.json == done.json)

            var other = Self.suspend.object ?? [:]
            other["justification"] = "Another reason altogether."
            let reused = try await loopback.api("POST", path, token: token, key: "k1", .object(other))
            #expect(reused.status == 422)
            #expect(reused.problem == "idempotency-key-reused")

            let illegal = try await loopback.api("POST", path, token: token, key: "k2", Self.suspend)
            #expect(illegal.status == 409)
            #expect(illegal.json["legal_transitions"]?.array?.isEmpty == false)

            // Undo, and the same undo again.
            let event = try #require(done.json["event_id"]?.string)
            let body: JSON = ["justification": "It was the wrong customer."]
            let preview = try await loopback.api("POST", "/audit-events/\(event)/undo?dry_run=true", token: token, body)
            #expect(preview.status == 200, "\(preview.text)")
            #expect(preview.json["operation"] == "tenant.restore")
            // Only what is of high risk is signed.
            var intended = body.object ?? [:]
            intended["intent"] = ["nonce": "n", "passkey": [:]]
            let unsigned = try await loopback.api(
                "POST", "/audit-events/\(event)/undo", token: token, key: "u0", .object(intended))
            #expect(unsigned.status == 422 && unsigned.pointers == ["/intent"], "\(unsigned.text)")
            let undone = try await loopback.api("POST", "/audit-events/\(event)/undo", token: token, key: "u1", body)
            #expect(undone.status == 200, "\(undone.text)")
            #expect(undone.json["after"]?["status"] == "active")
            let repeated = try await loopback.api("POST", "/audit-events/\(event)/undo", token: token, key: "u1", body)
            #expect(repeated["Idempotency-Replayed"] == "true")
            #expect(repeated.json["event_id"] == undone.json["event_id"])
            let late = try await loopback.api("POST", "/audit-events/\(event)/undo", token: token, key: "u2", body)
            #expect(late.status == 409)
        }
    }

    @Test func `creating answers 201 with the place of what was made`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let body: JSON = [
                "input": ["name": "Acme", "slug": "acme", "external_id": "a-1", "plan": "pro", "region": "eu"]
            ]
            let answer = try await loopback.api("POST", "/tenants", token: token, key: "k", body)
            #expect(answer.status == 201, "\(answer.text)")
            let id = try #require(answer.json["after"]?["id"]?.string)
            #expect(answer["Location"] == "/api/v1/tenants/\(id)")
            #expect(answer["ETag"] == "\"1\"")
            let twin = try await loopback.api("POST", "/tenants", token: token, key: "k2", body)
            #expect(twin.status == 422, "\(twin.text)")
            #expect(twin.pointers.contains("/input/slug"))
        }
    }

    @Test func `a stale or missing version is told apart`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let path = "/tenants/\(tenant.id)/update"
            func update(_ name: JSON, key: String, _ ifMatch: String?) async throws -> Loopback.Answer {
                try await loopback.api(
                    "POST", path, token: token, key: key, ["input": ["name": name]],
                    headers: ifMatch.map { [("If-Match", $0)] } ?? [])
            }
            let missing = try await update("One", key: "1", nil)
            #expect(missing.status == 428)
            let weak = try await update("One", key: "2", "W/\"1\"")
            #expect(weak.status == 412)
            #expect(weak["ETag"] == "\"1\"")
            #expect(try await update("One", key: "3", "nonsense").status == 400)
            #expect(try await update("One", key: "4", "\"1\"").status == 200)
            let stale = try await update("Two", key: "5", "\"1\"")
            #expect(stale.status == 412)
            #expect(stale.problem == "version-changed")
            #expect(stale["ETag"] == "\"2\"")

            // An undo names its version by the event it takes back.
            let done = try await update("Two", key: "6", "\"2\"")
            let event = try #require(done.json["event_id"]?.string)
            let undone = try await loopback.api("POST", "/audit-events/\(event)/undo", token: token, key: "7", [:])
            #expect(undone.status == 200, "\(undone.text)")
            #expect(undone.json["after"]?["name"] == "One")
        }
    }

    @Test func `any version will do with * where none is required, and nowhere else`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let star = [("If-Match", "*")]
            let refused = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/update", token: token, key: "1", ["input": ["name": "One"]],
                headers: star)
            #expect(refused.status == 428)
            #expect(refused.json["detail"]?.string?.contains("If-Match: *") == true)
            let seen = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/update?dry_run=true", token: token, ["input": ["name": "One"]],
                headers: star)
            #expect(seen.status == 200)
            let done = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/suspend", token: token, key: "2", Self.suspend, headers: star)
            #expect(done.status == 200, "\(done.text)")
        }
    }

    @Test func `text is counted in characters, whatever the script`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            func suspend(_ count: Int, ticket: Int, key: String) async throws -> Loopback.Answer {
                try await loopback.api(
                    "POST", "/tenants/\(tenant.id)/suspend", token: token, key: key,
                    [
                        "reason_code": "abuse", "justification": .string(String(repeating: "請", count: count)),
                        "ticket": .string(String(repeating: "券", count: ticket)),
                    ])
            }
            let long = try await suspend(4001, ticket: 101, key: "1")
            #expect(long.pointers == ["/justification", "/ticket"])
            #expect(long.text.contains("at most 4000 characters") && long.text.contains("at most 100 characters"))
            let done = try await suspend(4000, ticket: 100, key: "2")
            #expect(done.status == 200, "\(done.text)")
            let event = try #require(done.json["event_id"]?.string)
            let undone = try await loopback.api(
                "POST", "/audit-events/\(event)/undo", token: token, key: "3",
                ["justification": .string(String(repeating: "戻", count: 2000))])
            #expect(undone.status == 200, "\(undone.text)")
        }
    }

    @Test func `a missing permission is named, and a missing justification too`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let weak = loopback.door.token("bob", permissions: ["tenant.view"])
            let refused = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/suspend", token: weak, key: "k", Self.suspend)
            #expect(refused.status == 403)
            #expect(refused.json["required_permission"] == "tenant.suspend")
            let read = try await loopback.api("GET", "/probes", token: weak)
            #expect(read.status == 403)
            #expect(read.json["required_permission"] == "probe.view")
            let strong = loopback.door.token("ann", permissions: loopback.allPermissions)
            let silent = try await loopback.api("POST", "/tenants/\(tenant.id)/suspend", token: strong, key: "k", [:])
            #expect(silent.status == 422)
            #expect(silent.pointers == ["/justification", "/reason_code"])
            let unknown = try await loopback.api(
                "POST", "/tenants/ten_unknown/suspend", token: strong, key: "k", Self.suspend)
            #expect(unknown.status == 404)

            let list = try await loopback.api("GET", "/operations", token: weak)
            let items = try #require(list.json["items"]?.array)
            #expect(items.count == loopback.pipeline.catalog.operations.filter { !$0.spec.systemOnly }.count)
            let suspend = try #require(items.first { $0["name"] == "tenant.suspend" })
            #expect(suspend["allowed"] == false)
            #expect(suspend["why_not"]?.string?.contains("tenant.suspend") == true)
            #expect(suspend["schema"]?["required"] == ["justification", "reason_code"])
        }
    }

    @Test func `a request that waits is read by who asked, who could sign and who may see all`() async throws {
        try await Loopback.run { loopback in
            func run(_ operation: String, _ target: String? = nil, _ reason: String? = nil) async throws {
                _ = try await loopback.pipeline.run(
                    OperationRequest(
                        operation: operation, target: target, reasonCode: reason, idempotencyKey: operation),
                    by: loopback.system)
            }
            try await run("policy.seed")
            let tenant = try await loopback.tenant("acme")
            try await run("tenant.archive", tenant.id, "customer_departed")
            loopback.test.clock.advance(.days(91))
            let token = loopback.door.token("ann", permissions: ["tenant.hard_delete"])
            let asked = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/hard-delete", token: token, key: "k",
                [
                    "reason_code": "retention_policy", "justification": "The contract ended long ago.",
                    "ticket": "OPS-1",
                ])
            #expect(asked.status == 202, "\(asked.text)")
            let place = String(try #require(asked["Location"]).dropFirst("/api/v1".count))
            let own = try await loopback.api("GET", place, token: token)
            #expect(own.status == 200)
            #expect(own.json["requester"] == "stf_ann")
            #expect(own.json["justification"] == "The contract ended long ago.")
            let auditor = loopback.door.token("cem", permissions: ["approval.view"])
            #expect(try await loopback.api("GET", place, token: auditor).status == 200)
            func denials() async throws -> Int64 {
                try await loopback.test.database.read { reader in
                    try reader.first(
                        Statement("SELECT COUNT(*) AS count FROM events WHERE action = 'authz.denied'"))?.int("count")
                        ?? 0
                }
            }
            #expect(try await denials() == 0)
            let stranger = loopback.door.token("bob", permissions: ["tenant.hard_delete"])
            let refused = try await loopback.api("GET", place, token: stranger)
            #expect(refused.status == 403)
            #expect(refused.json["required_permission"] == "approval.view")
            #expect(try await denials() == 1)
        }
    }

    @Test func `an old factor is asked for again and the same request then goes through`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions, factorAge: .minutes(6))
            let path = "/tenants/\(tenant.id)/suspend"
            let old = try await loopback.api("POST", path, token: token, key: "k", Self.suspend)
            #expect(old.status == 401)
            #expect(old.problem == "step-up-required")
            let challenge = try #require(old["WWW-Authenticate"])
            #expect(challenge.contains("error=\"insufficient_user_authentication\""))
            #expect(challenge.contains("max_age=300"))
            #expect(try await loopback.api("POST", "/sessions/step-up", token: token, ["code": "000000"]).status == 401)
            #expect(try await loopback.api("POST", "/sessions/step-up", token: token, ["code": "654321"]).status == 204)
            #expect(try await loopback.api("POST", path, token: token, key: "k", Self.suspend).status == 200)
        }
    }

    @Test func `signing in takes two steps and out one`() async throws {
        try await Loopback.run { loopback in
            _ = loopback.door.token("ann", permissions: ["tenant.view"])
            func begin(_ password: JSON) async throws -> Loopback.Answer {
                try await loopback.api("POST", "/sessions", ["email": "ann@example.test", "password": password])
            }
            let wrong = try await begin("wrong")
            let right = try await begin("right")
            #expect(wrong.status == 200 && right.status == 200)
            #expect(wrong.json["factors"] == right.json["factors"])
            let challenge = try #require(right.json["challenge"])
            let failed = try await loopback.api(
                "POST", "/sessions/totp", ["challenge": wrong.json["challenge"] ?? .null, "code": "123456"])
            #expect(failed.status == 401)
            let done = try await loopback.api("POST", "/sessions/totp", ["challenge": challenge, "code": "123456"])
            #expect(done.status == 201, "\(done.text)")
            #expect(done.json["staff"]?["email"] == "ann@example.test")
            #expect(done.json["expires_at"]?.string.flatMap(Instant.init(rfc3339:)) != nil)
            let twice = try await loopback.api("POST", "/sessions/totp", ["challenge": challenge, "code": "123456"])
            #expect(twice.status == 401)
            let token = try #require(done.json["token"]?.string)
            let me = try await loopback.api("GET", "/me", token: token)
            #expect(me.json["permissions"] == ["tenant.view"])
            #expect(try await loopback.api("DELETE", "/sessions/current", token: token).status == 204)
            #expect(try await loopback.api("GET", "/me", token: token).status == 401)
            let incomplete = try await loopback.api("POST", "/sessions", ["email": 1, "remember": true])
            #expect(incomplete.pointers == ["/email", "/password", "/remember"])
        }
    }

    @Test func `lists are walked by cursor and a bad one is refused`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            var seen: [Int64] = []
            var path: String? = "/probes?limit=2"
            while let current = path {
                let answer = try await loopback.api("GET", current, token: token)
                #expect(answer.status == 200)
                seen += (answer.json["items"]?.array ?? []).compactMap { $0["number"]?.int }
                path = answer["Link"].map { link in
                    #expect(link.hasSuffix("; rel=\"next\""))
                    return String(link.dropFirst().prefix { $0 != ">" }.dropFirst("/api/v1".count))
                }
                #expect((answer.json["next_cursor"]?.isNull == true) == (path == nil))
            }
            #expect(seen == [0, 1, 2, 3, 4])
            let bad = try await loopback.api("GET", "/probes?cursor=abc.def", token: token)
            #expect(bad.status == 422)
            #expect(bad.pointers == ["?cursor"])
            let limit = try await loopback.api("GET", "/probes?limit=0", token: token)
            #expect(limit.pointers == ["?limit"])
            let unknown = try await loopback.api("GET", "/probes?limmit=2", token: token)
            #expect(unknown.status == 422)
            #expect(unknown.pointers == ["?limmit"])
        }
    }

    @Test func `a resource carries its version, and HEAD all but the body`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let get = try await loopback.api("GET", "/probes/12", token: token)
            #expect(get["ETag"] == "\"12\"")
            let head = try await loopback.api("HEAD", "/probes/12", token: token)
            #expect(head.status == 200)
            #expect(head["ETag"] == "\"12\"")
            #expect(head["Content-Length"] == String(get.body.count))
            #expect(head.body.isEmpty)
            let id = try #require(get["X-Request-Id"])
            #expect(Identifier.isValid(id, prefix: "req"))
            #expect(get["X-Request-Id"] != head["X-Request-Id"])
            #expect(get["X-Content-Type-Options"] == "nosniff")
            #expect(get["Cache-Control"] == "no-store")
        }
    }

    @Test func `too many requests are told how long to wait`() async throws {
        let few = { @Sendable (configuration: inout WebConfiguration) in configuration.requestsPerMinute = 2 }
        try await Loopback.run(.sqlite, few) { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let first = try await loopback.api("GET", "/probes", token: token)
            #expect(first["RateLimit-Policy"] == "\"session\";q=2;w=60")
            #expect(first["RateLimit"] == "\"session\";r=1;t=30")
            _ = try await loopback.api("GET", "/probes", token: token)
            let refused = try await loopback.api("GET", "/probes", token: token)
            #expect(refused.status == 429)
            #expect(refused["Retry-After"] == "30")
            #expect(refused.json["retry_after"] == 30)
            #expect(refused["RateLimit-Policy"] == "\"session\";q=2;w=60")
            #expect(refused["RateLimit"] == "\"session\";r=0;t=60")
            let other = loopback.door.token("bob", permissions: loopback.allPermissions)
            #expect(try await loopback.api("GET", "/probes", token: other).status == 200)
            // A refusal of another kind says what is left as well.
            let missing = try await loopback.api("GET", "/probes/none", token: other)
            #expect(missing.status == 404)
            #expect(missing["RateLimit"] == "\"session\";r=0;t=60")
        }
    }

    @Test func `signing in says what is left, also when it is refused`() async throws {
        let few = { @Sendable (configuration: inout WebConfiguration) in configuration.signInsPerMinute = 2 }
        try await Loopback.run(.sqlite, few) { loopback in
            let wrong = try await loopback.api("POST", "/sessions", ["email": 1])
            #expect(wrong.status == 422)
            #expect(wrong["RateLimit"]?.contains(";r=1;") == true)
            _ = try await loopback.api("POST", "/sessions", ["email": 1])
            let refused = try await loopback.api("POST", "/sessions", ["email": 1])
            #expect(refused.status == 429)
            #expect(refused["RateLimit"]?.contains(";r=0;") == true && refused["RateLimit-Policy"] != nil)
            let token = loopback.door.token("ann", permissions: [])
            let step = try await loopback.api("POST", "/sessions/step-up", token: token, ["code": "654321"])
            #expect(step.status == 429)
        }
    }

    @Test func `a database that went away is 503 and nothing else`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            await loopback.test.database.close()
            let answer = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/suspend", token: token, key: "k", Self.suspend)
            #expect(answer.status == 503, "\(answer.text)")
            #expect(answer["Retry-After"] != nil)
            let ready = try await loopback.send("GET", "/readyz")
            #expect(ready.status == 503)
            #expect(try await loopback.send("GET", "/healthz").status == 200)
            let page = try await loopback.page("/probe/x", token: token)
            #expect(page.status == 503)
            #expect(page["Content-Type"]?.hasPrefix("text/html") == true)
        }
    }

    @Test func `what stands in an address never gets into the log`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let before = try await loopback.test.database.read { try TestQueries.count("events", $0) }
            let ids = [
                "jane@acme.example", "evt_" + String(repeating: "a", count: 60_000), "evt_01JCZZZZZZZZZZZZZZZZZZZZZZ",
            ]
            for id in ids {
                let answer = try await loopback.api("GET", "/audit-events/\(id)/receipt", token: token)
                #expect(answer.status == 404)
            }
            #expect(try await loopback.test.database.read { try TestQueries.count("events", $0) } == before)
        }
    }

    @Test func `the export streams whole lines`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            let answer = try await loopback.api("GET", "/audit-events/export?class=mutation", token: token)
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "application/jsonl")
            let lines = answer.text.split(separator: "\n")
            #expect(lines.count == 2000)
            #expect(lines.last == "{\"index\":1999}")
            let unknown = try await loopback.api("GET", "/audit-events/export?class=x&page=2", token: token)
            #expect(unknown.pointers == ["?page"])
            let bad = try await loopback.api("GET", "/audit-events/export?class=x&from=yesterday", token: token)
            #expect(bad.pointers == ["?class", "?from"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the export takes the filters of the list, and its record does not count what isn't known`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Loopback.run(kind) { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            func export(_ query: String) async throws -> Loopback.Answer {
                try await loopback.api("GET", "/audit-events/export?\(query)", token: token)
            }
            for name in ["acme", tenant.id] {
                #expect(try await export("tenant=\(name)&from=2026-11-17&until=2026-11-17").status == 200)
                let filter = try #require(loopback.log.filters.last)
                #expect(filter.tenant == tenant.id, "\(name)")
                #expect(filter.from == Instant(rfc3339: "2026-11-17T00:00:00Z"))
                #expect(filter.until == Instant(rfc3339: "2026-11-18T00:00:00Z"))
            }
            for query in ["tenant=acmee", "actor=nobody@example.test"] {
                let wrong = try await export(query)
                #expect(wrong.status == 422, "\(query)")
                let list = try await loopback.api("GET", "/audit-events?\(query)", token: token)
                #expect(list.pointers == wrong.pointers && wrong.pointers.count == 1)
            }
            let events = try await loopback.api("GET", "/audit-events?action=audit.export", token: token)
            let id = try #require(events.json["items"]?.array?.first?["id"]?.string)
            let event = try await loopback.api("GET", "/audit-events/\(id)", token: token)
            #expect(event.json["leaf"]?["facts"] == ["format": "jsonl"])
            #expect(event.json["leaf"]?["tenant"]?.string == tenant.id)
            #expect(event.json["sealed"]?["details"]?["value"]?["query"]?["tenant"] != nil)
            #expect(event.json["sealed"]?["details"]?["value"]?.object?.keys.sorted() == ["query"])
        }
    }
}
