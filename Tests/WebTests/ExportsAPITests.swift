import Foundation
import Kernel
import TestSupport
import Testing

@testable import Web

@Suite struct ExportsAPITests {
    private static let ugly = "=cmd|' /C calc'!A0, \"Zoë\" & Söhne שלום 😀"

    /// A tenant whose name a spreadsheet would run.
    private static func uglyTenant(_ loopback: Loopback) async throws {
        _ = try await loopback.pipeline.run(
            OperationRequest(
                operation: "tenant.create",
                input: [
                    "external_id": "ext-ugly", "name": .string(ugly), "slug": "ugly", "plan": "pro", "region": "eu",
                    "status": "active",
                ], idempotencyKey: "ugly"), by: loopback.system)
    }

    private static func events(_ loopback: Loopback, _ action: String, _ token: String) async throws -> [JSON] {
        let list = try await loopback.api("GET", "/audit-events?action=\(action)", token: token)
        var found: [JSON] = []
        for item in list.json["items"]?.array ?? [] {
            found.append(
                try await loopback.api("GET", "/audit-events/\(item["id"]?.string ?? "")", token: token).json)
        }
        return found
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a list leaves as a table with all that match, and its end is recorded`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Loopback.run(kind) { loopback in
            for number in 0..<230 { _ = try await loopback.tenant("t-\(number)") }
            try await Self.uglyTenant(loopback)
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            let answer = try await loopback.api("GET", "/tenants/export?sort=name&plan=pro", token: token)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer["Content-Type"] == "text/csv; charset=utf-8; header=present")
            #expect(answer["Content-Disposition"] == "attachment; filename=\"tenants.csv\"")
            #expect(answer["Cache-Control"] == "no-store")
            let lines = answer.text.components(separatedBy: "\r\n")
            #expect(lines[0] == "id,external_id,slug,name,status,plan,tier,region,created_at,last_activity_at,version")
            #expect(lines.count == 1 + 231 + 1 && lines.last == "")
            let ugly = lines.first { $0.contains(",ext-ugly,ugly,") }
            #expect(ugly?.hasPrefix("ten_") == true)
            #expect(answer.text.contains("\"'=cmd|' /C calc'!A0, \"\"Zoë\"\" & Söhne שלום 😀\""))
            #expect(Set(lines.dropFirst().map { $0.prefix(30) }).count == 232)

            // Asked for as another form of the list, the same.
            let accepted = try await loopback.api(
                "GET", "/tenants?sort=name&plan=pro", token: token, headers: [("Accept", "text/csv, */*;q=0.1")])
            #expect(accepted.body == answer.body)

            let began = try await Self.events(loopback, "tenant.export", token)
            #expect(began.count == 2)
            let details = began[0]["sealed"]?["details"]?["value"]
            #expect(details?["query"] == ["plan": ["pro"], "sort": "name"])
            #expect(details?["columns"]?.array?.count == 11)
            let ended = try await Self.events(loopback, "export.end", token)
            #expect(ended.count == 2)
            #expect(Set(ended.map { $0["leaf"]?["linked"]?.string }) == Set(began.map { $0["id"]?.string }))
            #expect(ended[0]["leaf"]?["outcome"]?.string == "applied")
            #expect(
                ended[0]["leaf"]?["facts"] == ["bytes": .int(Int64(answer.body.count)), "count": 231])
            #expect(
                ended[0]["sealed"]?["details"]?["value"]?["sha256"]?.string == sha256(answer.body).hex)
        }
    }

    @Test func `what can't be exported is said before the file begins`() async throws {
        try await Loopback.run { loopback in
            _ = try await loopback.tenant("acme")
            let all = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            let page = try await loopback.api("GET", "/tenants/export?limit=5", token: all)
            #expect(page.status == 422 && page.pointers == ["?limit"])
            let filter = try await loopback.api("GET", "/tenants/export?status=happy", token: all)
            #expect(filter.status == 422 && filter.pointers == ["?status"])
            let format = try await loopback.api("GET", "/audit-events/export?format=xls", token: all)
            #expect(format.status == 422 && format.pointers == ["?format"])
            // Who may see the list may not take it away; who may take it away must see it.
            for (permissions, missing) in [
                (["tenant.view"], "tenant.export"), (["tenant.export"], "tenant.view"),
            ] {
                let token = loopback.door.token("bob-\(missing)", permissions: permissions)
                let refused = try await loopback.api("GET", "/tenants/export", token: token)
                #expect(refused.status == 403 && refused.json["required_permission"]?.string == missing)
            }
            #expect(try await Self.events(loopback, "tenant.export", all).isEmpty)
        }
    }

    @Test func `taking away what is of high risk asks for a fresh factor`() async throws {
        try await Loopback.run { loopback in
            _ = try await loopback.tenant("acme")
            let token = loopback.door.token(
                "ann", permissions: loopback.allPermissions + ["audit.export"], factorAge: .minutes(6))
            for path in ["/users/export", "/audit-events/export", "/audit-events/export?format=csv"] {
                let old = try await loopback.api("GET", path, token: token)
                #expect(old.status == 401 && old.problem == "step-up-required", "\(path)")
            }
            for action in ["user.export", "audit.export"] {
                #expect(try await Self.events(loopback, action, token).isEmpty)
            }
            #expect(try await loopback.api("GET", "/tenants/export", token: token).status == 200)
            let blind = loopback.door.token("bob", permissions: ["user.view"], factorAge: .minutes(6))
            #expect(try await loopback.api("GET", "/users/export", token: blind).status == 403)

            // A page's link leads to where the factor is used, and from there to the file.
            let link = try await loopback.page("/api/v1/users/export?status=active", token: token)
            let there = "/step-up?next=%2Fapi%2Fv1%2Fusers%2Fexport%3Fstatus%3Dactive"
            #expect(link.status == 303 && link["Location"] == there)
            let page = try await loopback.page(there, token: token)
            #expect(page.field("next") == "/api/v1/users/export?status=active")
            #expect(page.text.contains("The file comes then"))
            let used = try await loopback.api("POST", "/sessions/step-up", token: token, ["code": "654321"])
            #expect(used.status == 204)
            #expect(try await loopback.api("GET", "/users/export", token: token).status == 200)
            #expect(try await loopback.page("/api/v1/users/export?status=active", token: token).status == 200)
        }
    }

    @Test func `the log leaves as lines or as a table`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            for (path, accept) in [
                ("/audit-events/export?format=csv", "*/*"), ("/audit-events/export", "text/csv"),
                ("/audit-events", "text/csv"),
            ] {
                let answer = try await loopback.api("GET", path, token: token, headers: [("Accept", accept)])
                #expect(answer.status == 200 && answer["Content-Type"]?.hasPrefix("text/csv") == true, "\(path)")
            }
            #expect(loopback.log.formats == [.csv, .csv, .csv])
            let lines = try await loopback.api("GET", "/audit-events/export?format=jsonl", token: token)
            #expect(lines["Content-Type"] == "application/jsonl" && loopback.log.formats.last == .jsonl)
            let blind = loopback.door.token("bob", permissions: ["audit.view"])
            let refused = try await loopback.api(
                "GET", "/audit-events", token: blind, headers: [("Accept", "text/csv")])
            #expect(refused.status == 403 && refused.json["required_permission"]?.string == "audit.export")
        }
    }

    @Test func `who goes away in the middle leaves a trace`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            loopback.log.isEndless.withLock { $0 = true }
            try await loopback.beginAndLeave("/api/v1/audit-events/export", token: token)
            var ended: [JSON] = []
            for _ in 0..<1200 where ended.isEmpty {
                ended = try await Self.events(loopback, "export.end", token)
                if ended.isEmpty { try await Task.sleep(for: .milliseconds(25)) }
            }
            #expect(ended.first?["leaf"]?["outcome"]?.string == "failed")
            #expect(ended.first?["leaf"]?["facts"]?["reason"]?.string == "connection_lost")
            #expect((ended.first?["leaf"]?["facts"]?["count"]?.int ?? 0) > 0)
            // Its place is free again: two more may run.
            loopback.log.isEndless.withLock { $0 = false }
            for _ in 0..<3 {
                #expect(try await loopback.api("GET", "/audit-events/export", token: token).status == 200)
            }
        }
    }

    @Test(arguments: ["session_over", "permission_lost"])
    func `nothing more leaves once the session is over or the right is gone`(reason: String) async throws {
        let often = { @Sendable (configuration: inout WebConfiguration) in
            configuration.exportLookTime = .milliseconds(50)
        }
        try await Loopback.run(.sqlite, often) { loopback in
            let all = loopback.allPermissions + ["audit.export"]
            let token = loopback.door.token("ann", permissions: all)
            loopback.log.isEndless.withLock { $0 = true }
            let isWhole = try await loopback.readOn("/api/v1/audit-events/export", token: token) {
                if reason == "session_over" {
                    loopback.door.endAll()
                } else {
                    loopback.door.permit("ann", all.filter { $0 != "audit.export" })
                }
            }
            #expect(!isWhole)
            let ended = try await Self.events(
                loopback, "export.end", loopback.door.token("eve", permissions: ["audit.view"]))
            #expect(ended.count == 1)
            #expect(ended.first?["leaf"]?["outcome"]?.string == "failed")
            #expect(ended.first?["leaf"]?["facts"]?["reason"]?.string == reason)
        }
    }

    @Test func `a session that ends cuts also the piece in hand, and what left of it is told`() async throws {
        let always = { @Sendable (configuration: inout WebConfiguration) in configuration.exportLookTime = .seconds(0) }
        try await Loopback.run(.sqlite, always) { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            let piece = 32 << 20
            loopback.log.pieceBytes.withLock { $0 = piece }
            loopback.log.isEndless.withLock { $0 = true }
            let isWhole = try await loopback.readOn("/api/v1/audit-events/export", token: token) {
                loopback.door.endAll()
            }
            #expect(!isWhole)
            let ended = try await Self.events(
                loopback, "export.end", loopback.door.token("eve", permissions: ["audit.view"]))
            let facts = ended.first?["leaf"]?["facts"]
            #expect(ended.count == 1 && facts?["reason"]?.string == "session_over")
            let bytes = facts?["bytes"]?.int ?? 0
            #expect(bytes > 0 && bytes < Int64(piece), "\(bytes)")
            #expect(facts?["count"]?.int == 0, "no row left whole")
        }
    }

    @Test func `HEAD begins no export, and is refused what the file would be`() async throws {
        try await Loopback.run { loopback in
            _ = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            for (path, type) in [
                ("/tenants/export", "text/csv; charset=utf-8; header=present"),
                ("/audit-events/export?format=jsonl", "application/jsonl"),
            ] {
                let head = try await loopback.api("HEAD", path, token: token)
                #expect(head.status == 200 && head.body.isEmpty && head["Content-Type"] == type, "\(path)")
                #expect(head["Content-Disposition"]?.hasPrefix("attachment; ") == true)
            }
            #expect(try await loopback.api("HEAD", "/tenants/export?status=happy", token: token).status == 422)
            let old = loopback.door.token(
                "old", permissions: loopback.allPermissions + ["audit.export"], factorAge: .minutes(6))
            #expect(try await loopback.api("HEAD", "/audit-events/export", token: old).status == 401)
            let blind = loopback.door.token("bob", permissions: ["tenant.view"])
            #expect(try await loopback.api("HEAD", "/tenants/export", token: blind).status == 403)
            for action in ["tenant.export", "audit.export", "export.end"] {
                #expect(try await Self.events(loopback, action, token).isEmpty, "\(action)")
            }
            #expect(loopback.log.formats.isEmpty)
        }
    }

    @Test func `an export that began has one end, also when it is dropped`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            func begin() async throws -> RunningExport {
                let (_, begun) = try await loopback.pipeline.beginExport(
                    "tenant.export", format: "csv", by: loopback.system
                ) { _ in (true, Disclosure("tenant.export", count: nil)) }
                return RunningExport(begun, loopback.pipeline) { .notRead }
            }
            func ended(_ count: Int) async throws -> [JSON] {
                var found: [JSON] = []
                for _ in 0..<1200 where found.count < count {
                    try await Task.sleep(for: .milliseconds(25))
                    found = try await Self.events(loopback, "export.end", token)
                }
                return found.compactMap { $0["leaf"] }
            }
            _ = try await begin()
            let dropped = try await ended(1)
            #expect(dropped.map { $0["outcome"]?.string } == ["failed"])
            #expect(dropped.first?["facts"]?["reason"]?.string == "not_read")

            // Recorded as whole before the client had the last of it: that stands.
            var whole = ExportTally()
            whole.rows = 3
            let running = try await begin()
            try await running.end(whole)
            await running.breakOff(whole, .connectionLost)
            let cut = try await begin()
            await cut.breakOff(whole, .connectionLost)
            await cut.breakOff(whole, .notRead)
            let all = try await ended(3)
            #expect(all.count == 3 && all.count { $0["outcome"]?.string == "applied" } == 1)
            #expect(
                Set(all.compactMap { $0["facts"]?["reason"]?.string }) == ["not_read", "connection_lost"])
        }
    }

    @Test func `looking whether an export may go on is no use of the session`() async throws {
        let always = { @Sendable (configuration: inout WebConfiguration) in configuration.exportLookTime = .seconds(0) }
        try await Loopback.run(.sqlite, always) { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            let isWhole = try await loopback.readOn("/api/v1/audit-events/export", token: token) {}
            #expect(isWhole && loopback.door.uses == 1)
            let ended = try await Self.events(loopback, "export.end", token)
            #expect(ended.first?["leaf"]?["outcome"]?.string == "applied")
            #expect(ended.first?["leaf"]?["facts"]?["reason"]?.string == nil)
        }
    }

    @Test func `a person runs two exports at a time`() throws {
        let slots = ExportSlots()
        let first = try slots.take("ann")
        let second = try slots.take("ann")
        #expect(throws: Problem.self) { try slots.take("ann") }
        let other = try [slots.take("bob"), slots.take("eve")]
        #expect(throws: Problem.self) { try slots.take("mia") }
        first.free()
        first.free()
        let third = try slots.take("ann")
        #expect(throws: Problem.self) { try slots.take("ann") }
        second.free()
        third.free()
        for slot in other { slot.free() }
        #expect(throws: Never.self) { try slots.take("mia") }
    }
}
