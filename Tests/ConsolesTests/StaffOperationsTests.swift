import Consoles
import Foundation
import HTML
import Kernel
import TestSupport
import Testing

@Suite struct StaffOperationsTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the first person is created once, with a link for an hour`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let token = try await fixture.bootstrapToken()
            #expect(token.hasPrefix("enr_"))
            let error = await failure { _ = try await fixture.bootstrapToken(email: "b@example.com") }
            guard case .conflict = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM staff") == 1)

            let event = try #require(try await fixture.events("staff.bootstrap").first)
            #expect(event["actor"] == ["type": "system", "id": "bootstrap"])
            #expect(event["changes"]?.array?.compactMap { $0["type"]?.string } == ["staff", "grant"])
            // The token is nowhere in the database.
            #expect(
                try await fixture.count(
                    "SELECT COUNT(*) AS count FROM sealed WHERE members LIKE $1", [.text("%\(token)%")]) == 0)

            test.clock.advance(.minutes(61))
            #expect(await failure { _ = try await fixture.signIn.enrolmentOffer(token: token) } != nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the first link is renewed until somebody has enrolled, and the earlier one dies`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let old = try await fixture.bootstrapToken()
            test.clock.advance(.minutes(61))
            let new = try await fixture.bootstrapToken()
            #expect(await failure { _ = try await fixture.signIn.enrolmentOffer(token: old) } != nil)
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM staff") == 1)
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM grants") == 1)
            let event = try #require(try await fixture.events("staff.bootstrap").last)
            #expect(event["facts"]?["renewed"] == true)
            #expect(event["changes"]?.array?.compactMap { $0["type"]?.string } == ["staff"])

            // Another address is refused, unless it is said whose place it takes.
            let error = await failure { _ = try await fixture.bootstrapToken(email: "rot@example.com") }
            guard case .conflict(let detail, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(detail.contains("--instead-of root@example.com"))
            _ = try await fixture.signIn.enrolmentOffer(token: new)
            let corrected = try await fixture.bootstrapToken(
                email: "robin@example.com", insteadOf: "root@example.com")
            #expect(await failure { _ = try await fixture.signIn.enrolmentOffer(token: new) } != nil)
            let robin = try await fixture.enrol(corrected)
            #expect(robin.email == "robin@example.com")
            #expect(try await fixture.caller(robin.first).roles == ["super_admin"])
            #expect(await failure { _ = try await fixture.bootstrapToken(email: "robin@example.com") } != nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `inviting somebody again who has not enrolled replaces link and roles`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            func invite(_ roles: [String], creates: Bool) async throws -> String {
                let caller = try await fixture.caller(try await fixture.signIn(root))
                let outcome = try await fixture.pipeline.run(
                    StaffFixture.invitation("ann@example.com", roles: roles), by: caller)
                if case .applied(let applied) = outcome.result { #expect(applied.created == creates) }
                return try StaffFixture.token(outcome)
            }
            let old = try await invite(["support_l1", "legal"], creates: true)
            test.clock.advance(.hours(25))
            _ = try await invite(["support_l1", "security"], creates: false)
            #expect(await failure { _ = try await fixture.signIn.enrolmentOffer(token: old) } != nil)
            let event = try #require(try await fixture.events("staff.invite").last)
            #expect(event["facts"]?["renewed"] == true)
            #expect(event["changes"]?.array?.compactMap { $0["type"]?.string } == ["staff", "grant", "grant"])

            // Without roles it is the link alone that is new.
            test.clock.advance(.hours(1))
            let third = try await invite([], creates: false)
            let ann = try await fixture.enrol(third)
            #expect(try await fixture.caller(ann.first).roles == ["security", "support_l1"])
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM staff") == 2)
            let caller = try await fixture.caller(try await fixture.signIn(root))
            let refused = try await refusedFields {
                _ = try await fixture.pipeline.run(
                    StaffFixture.invitation("ann@example.com", roles: ["support_l1"]), by: caller)
            }
            #expect(refused == ["/input/email"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `renewing an invitation waits for a signature like the invitation itself`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let caller = try await fixture.caller(root.first)
            let token = try StaffFixture.token(
                try await fixture.pipeline.run(
                    StaffFixture.invitation("ann@example.com", roles: ["support_l1"]), by: caller))
            _ = try await fixture.invite("second@example.com", roles: ["super_admin"], by: caller)
            let again = try await fixture.pipeline.run(
                StaffFixture.invitation("ann@example.com", roles: ["support_l1"]), by: caller)
            guard case .pending(let pending) = again.result else {
                Issue.record("should wait")
                return
            }
            #expect(pending.needs.map(\.rule) == ["staff_invite"])
            // Nothing changed meanwhile.
            _ = try await fixture.signIn.enrolmentOffer(token: token)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of twenty first people at once one is created`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let created = await withTaskGroup(of: Int.self) { group in
                for index in 0..<20 {
                    group.addTask { (try? await fixture.bootstrapToken(email: "p\(index)@example.com")) == nil ? 0 : 1 }
                }
                return await group.reduce(0, +)
            }
            #expect(created == 1)
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM staff") == 1)
        }
    }

    @Test func `without roles in the tables nobody can be first`() async throws {
        try await TestDatabase.with(.sqlite) { test in
            let fixture = try await StaffFixture.make(test, seeded: false)
            let error = await failure { _ = try await fixture.bootstrapToken() }
            guard case .conflict(let detail, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(detail.contains("postern migrate"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a person's page says where they come from and what proves most first, and the list what it is narrowed to`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.caller(try await fixture.bootstrap().first)
            let ann = try await fixture.caller(
                try await fixture.invite("ann@example.com", roles: ["support_l1"], by: root).first)
            func text(_ path: String, of id: String = "", _ query: [String: [String]] = [:]) async throws -> String {
                let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == path })
                let call = PageCallFixture.make(root, path: ["id": id], query: query)
                return try await test.database.read { try page.render(call, $0).body.text }
            }
            let first = try await text("/staff/{id}", of: root.person)
            #expect(first.contains("on the server, as the first account") && !first.contains("Invited by"))
            let second = try await text("/staff/{id}", of: ann.person)
            #expect(second.contains("<dt>Invited by</dt><dd>Robin Root</dd>"))
            #expect(second.contains(">the person</a>"))
            let factors = try ["Authenticator app", "Recovery codes", "Password"].map {
                try #require(second.range(of: "<dt>\($0)</dt>")).lowerBound
            }
            #expect(factors == factors.sorted())
            let all = try await text("/staff")
            #expect(all.contains("href=\"#filters\"") && !all.contains("Remove filter"))
            let narrowed = try await text("/staff", ["role": ["support_l1"], "show": ["flagged"]])
            #expect(narrowed.contains("Remove filter Role: Support L1"))
            #expect(
                narrowed.contains("Only: Roles held together, to review")
                    && narrowed.contains("href=\"/staff?show=flagged\""))
            #expect(try await text("/staff-report").contains("href=\"#filters\""))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `somebody joins without a role, signs in and may do nothing`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let ann = try await fixture.invite("ann@example.com", roles: [], by: try await fixture.caller(root.first))
            let caller = try await fixture.caller(ann.first)
            #expect(caller.roles.isEmpty && caller.permissions.granted.isEmpty)
            let home = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/" })
            func text(_ caller: Caller) async throws -> String {
                try await test.database.read { try home.render(PageCallFixture.make(caller, path: [:]), $0).body.text }
            }
            #expect(try await text(caller).contains("You hold no role."))
            #expect(try await !text(try await fixture.caller(root.first)).contains("You hold no role."))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an invited person holds their roles after enrolling and not before`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let rootCaller = try await fixture.caller(root.first)
            #expect(rootCaller.roles == ["super_admin"])
            #expect(rootCaller.permissions.granted.count == PermissionCatalog.entries.count)

            let outcome = try await fixture.pipeline.run(
                StaffFixture.invitation("Ann@Example.com", roles: ["support_l2"]), by: rootCaller)
            let token = try StaffFixture.token(outcome)
            let ann = try await fixture.enrol(token)
            #expect(ann.email == "ann@example.com")
            let caller = try await fixture.caller(ann.first)
            #expect(caller.roles == ["support_l2"])
            #expect(caller.permissions.contains("tenant.suspend"))
            #expect(!caller.permissions.contains("payment.refund"))
            #expect(
                caller.permissions.limits(on: "tenant.credit") == [Limit(currency: "USD", amount: 5000, daily: 5000)])
            #expect(caller.displayName == "Some Body")

            // The link worked once.
            #expect(await failure { _ = try await fixture.enrol(token) } != nil)
            let event = try #require(try await fixture.events("staff.invite").first)
            #expect(event["actor"]?["id"] == .string(root.id))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an invitation is refused for a known address, a wrong role, or roles that check each other`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let caller = try await fixture.caller(try await fixture.bootstrap().first)
            func pointers(_ email: String, _ roles: [String]) async throws -> [String] {
                try await refusedFields {
                    _ = try await fixture.pipeline.run(StaffFixture.invitation(email, roles: roles), by: caller)
                }
            }
            #expect(try await pointers("ROOT@example.com", ["support_l1"]) == ["/input/email"])
            #expect(try await pointers("a@example.com", ["wizard"]) == ["/input/roles"])
            #expect(try await pointers("a@example.com", ["billing_ops", "security"]) == ["/input/roles"])
            #expect(try await pointers("no address", ["support_l1"]) == ["/input/email"])
            #expect(try await pointers("a@example.com", ["support_l1"]) == [])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases, ["super_admin", "security"])
    func `whoever could sign makes invitations wait once they have enrolled`(
        kind: TestDatabase.Kind, role: String
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let caller = try await fixture.caller(try await fixture.bootstrap().first)
            // Alone: at once. An invited one who has not enrolled can't sign yet, so it is still waived.
            let token = try StaffFixture.token(
                try await fixture.pipeline.run(
                    StaffFixture.invitation("second@example.com", roles: [role]), by: caller))
            let third = try await fixture.pipeline.run(
                StaffFixture.invitation("third@example.com", roles: ["support_l1"]), by: caller)
            guard case .applied = third.result else {
                Issue.record("should be applied")
                return
            }
            _ = try await fixture.enrol(token)

            let fourth = try await fixture.pipeline.run(
                StaffFixture.invitation("fourth@example.com", roles: ["support_l1"]), by: caller)
            guard case .pending(let pending) = fourth.result else {
                Issue.record("should wait")
                return
            }
            #expect(pending.needs.map(\.rule) == ["staff_invite"])
            #expect(
                try await fixture.count("SELECT COUNT(*) AS count FROM staff WHERE email = 'fourth@example.com'") == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `somebody without the permission can't invite`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.caller(try await fixture.bootstrap().first)
            let ann = try await fixture.invite("ann@example.com", roles: ["support_l2"], by: root)
            let caller = try await fixture.caller(ann.first)
            let error = await failure {
                _ = try await fixture.pipeline.run(
                    StaffFixture.invitation("b@example.com", roles: ["support_l1"]), by: caller)
            }
            guard case .forbidden("staff.invite", _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await fixture.events("authz.denied").count == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `reads and pages show what the tables hold`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let caller = try await fixture.caller(root.first)
            let ann = try await fixture.invite("ann@example.com", roles: ["support_l1", "security"], by: caller)
            let reads = Dictionary(uniqueKeysWithValues: StaffConsole.console.reads.map { ($0.name, $0) })
            func read(_ name: String, path: [String: String] = [:], query: [String: [String]] = [:]) async throws
                -> ReadAnswer
            {
                let read = try #require(reads[name])
                let call = ReadCall(
                    path: path, query: query, caller: caller,
                    cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
                return try await test.database.read { try read.run(call, $0) }
            }
            let first = try await read("staff.list", query: ["limit": ["1"]])
            #expect(first.body["items"]?.array?.count == 1)
            let second = try await read(
                "staff.list", query: ["limit": ["1"], "cursor": [try #require(first.nextCursor)]])
            let people = [first, second].flatMap { $0.body["items"]?.array ?? [] }
            #expect(people.compactMap { $0["email"]?.string }.sorted() == ["ann@example.com", "root@example.com"])
            #expect(people.first { $0["email"] == "ann@example.com" }?["roles"] == ["security", "support_l1"])
            #expect(second.nextCursor == nil)

            let view = try await read("staff.view", path: ["id": ann.id])
            #expect(view.version == 2)
            #expect(
                view.body["factors"]?.array?.compactMap { $0["kind"]?.string }.sorted() == [
                    "password", "recovery", "totp",
                ])
            #expect(view.disclosure?.target?.id == ann.id)
            #expect(!view.body.canonicalText.contains("secret"))

            let matrix = try await read("access.matrix")
            #expect(matrix.body["roles"]?.array?.count == Seeds.roles.count)
            #expect(matrix.body["permissions"]?.array?.count == PermissionCatalog.entries.count)

            let sessions = try await read("session.list")
            #expect(sessions.body["items"]?.array?.count == 1)
            #expect(sessions.body["items"]?.array?[0]["current"] == true)

            for page in StaffConsole.console.pages {
                let call = PageCallFixture.make(caller, path: ["id": ann.id])
                let answer = try await test.database.read { try page.render(call, $0) }
                #expect(!answer.body.isEmpty, "\(page.path)")
            }
        }
    }
}
