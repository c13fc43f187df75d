import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Accounts that are no person: what they may do, whose they are, and when they end.
@Suite struct ServiceAccountTests {
    /// A world with two super_admins, somebody on call, and doors.
    struct Stage {
        let world: World
        let ann: Caller
        let bob: Caller
        let eve: Caller
        let door: ServiceAccountDoor

        func account(
            _ kind: String = "service", scopes: [String], of owner: Caller? = nil
        ) async throws -> (id: String, token: String) {
            let owner = try await world.caller((owner ?? eve).person)
            let asked = try await world.ask(
                "service_account.create",
                ["kind": .string(kind), "name": "Nightly job", "scopes": .array(scopes.map(JSON.string))], by: owner)
            try await world.run("approval.approve", on: asked.approvalID, by: world.caller(ann.person))
            let token = try #require(
                try await world.pipeline.takeReveal(of: asked.approvalID, by: world.caller(owner.person))?["token"])
            return (try await enter(token).actor.id, token)
        }

        func enter(_ token: String) async throws -> Caller {
            try await door.authenticate(token: token, from: Self.source).caller
        }

        func isRefused(_ token: String) async -> Bool {
            if case .unauthenticated = await failure({ _ = try await enter(token) }) { return true }
            return false
        }

        static let source = Source(ip: "192.0.2.44", userAgent: "nightly/1", client: .api, requestID: "req_account")
    }

    static func with(_ kind: TestDatabase.Kind, _ body: (Stage) async throws -> Void) async throws {
        let world = try await World.make(kind, populated: false)
        do {
            let ann = try await world.staff("ann", roles: ["super_admin"])
            let bob = try await world.staff("bob", roles: ["super_admin"])
            let eve = try await world.staff("eve", roles: ["engineering_oncall"])
            try await body(
                Stage(
                    world: world, ann: ann, bob: bob, eve: eve,
                    door: ServiceAccountDoor(pipeline: world.pipeline, clock: world.test.clock.clock)))
        } catch {
            await world.close()
            throw error
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `it may do what its scopes name and its owner holds at that moment`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let (id, token) = try await stage.account(scopes: ["tenant.view", "flag.view", "user.view"])
            let caller = try await stage.enter(token)
            #expect(caller.person == "stf_eve" && caller.actor == Actor(.service, id) && caller.roles.isEmpty)
            // user.view is a scope that somebody on call does not hold.
            #expect(Set(caller.permissions.granted.keys) == ["tenant.view", "flag.view"])
            #expect(caller.authentication == nil && caller.isAccount)

            try await stage.world.revoke("engineering_oncall", of: "stf_eve")
            #expect(try await stage.enter(token).permissions.granted.isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whatever stands in its row, nothing of high risk and no signature comes of it`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let (id, token) = try await stage.account(scopes: ["tenant.view"], of: stage.bob)
            // Somebody widens the row past the operation.
            let stored = try await stage.world.test.database.read { try ServiceAccount.load(id, from: $0) }
            let before = try #require(stored)
            var after = before
            after.scopes = PermissionCatalog.entries.map(\.code)
            after.version += 1
            try await stage.world.put([.update(before, to: after)])
            let held = Set(try await stage.enter(token).permissions.granted.keys)
            #expect(!held.isEmpty)
            for code in held {
                let entry = try #require(PermissionCatalog[code])
                #expect(entry.risk <= .medium && code != "approval.decide" && !code.hasPrefix("service_account."))
            }
            // Nor can it be asked for.
            for scope in ["approval.decide", "tenant.suspend", "service_account.revoke", "nothing.at_all"] {
                let failure = await failure {
                    _ = try await stage.world.ask(
                        "service_account.create", ["kind": "service", "name": "x", "scopes": [.string(scope)]],
                        by: stage.world.caller("stf_bob"))
                }
                guard case .invalid(let errors) = failure else {
                    Issue.record("\(scope): \(String(describing: failure))")
                    continue
                }
                #expect(errors.map(\.pointer).allSatisfy { $0.hasPrefix("/input/scopes") })
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what a person and their accounts are refused counts together`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let tenant = try await stage.world.tenant("acme")
            let (_, first) = try await stage.account(scopes: ["tenant.view"], of: stage.bob)
            let (_, second) = try await stage.account(scopes: ["tenant.view"], of: stage.bob)
            let callers = [
                try await stage.enter(first), try await stage.enter(second), stage.world.person("bob", permissions: []),
            ]
            let since = try await stage.world.snapshot()
            for number in 0..<5 {
                let before = try await stage.world.events(after: since).map(\.action)
                #expect(!before.contains("authz.denial_burst"))
                let failure = await failure {
                    _ = try await stage.world.run(
                        "tenant.suspend", on: tenant, reason: "abuse", by: callers[number % 3])
                }
                guard case .forbidden = failure else {
                    Issue.record("\(String(describing: failure))")
                    return
                }
            }
            let actions = try await stage.world.events(after: since).map(\.action)
            #expect(actions.count { $0 == "authz.denied" } == 5 && actions.last == "authz.denial_burst")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what takes a second factor is refused in words, and recorded with both identities`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let tenant = try await stage.world.tenant("acme")
            let (id, token) = try await stage.account(scopes: ["tenant.view", "tenant.update"], of: stage.bob)
            let caller = try await stage.enter(token)
            let since = try await stage.world.snapshot()
            for dryRun in [false, true] {
                let request = OperationRequest(
                    operation: "tenant.suspend", target: tenant, reasonCode: "abuse",
                    justification: "it says it must be done", idempotencyKey: stage.world.key())
                let failure = await failure {
                    if dryRun {
                        _ = try await stage.world.pipeline.preview(request, by: caller)
                    } else {
                        _ = try await stage.world.pipeline.run(request, by: caller)
                    }
                }
                guard case .forbidden("tenant.suspend", let detail) = failure else {
                    Issue.record("\(String(describing: failure))")
                    return
                }
                #expect(detail.contains("second factor"))
            }
            let denials = try await stage.world.events(after: since)
            #expect(denials.map(\.action) == ["authz.denied", "authz.denied"])
            #expect(denials.allSatisfy { $0.leaf["actor"] == ["type": "service", "id": .string(id)] })
            #expect(denials.allSatisfy { $0.leaf["acting_as"] == "stf_bob" })

            // What it may it does, under keys of its own.
            let version = try await stage.world.test.database.read { reader in
                try #require(try stage.world.catalog.entity("tenant")?.load(tenant, false, reader)).version
            }
            let outcome = try await stage.world.pipeline.run(
                OperationRequest(
                    operation: "tenant.update", target: tenant, input: ["name": "Acme renamed"], ifMatch: version,
                    idempotencyKey: "same"), by: caller)
            guard case .applied(let applied) = outcome.result else {
                Issue.record("it waits")
                return
            }
            let event = try await stage.world.events(after: since).first { $0.id == applied.eventID }
            #expect(event?.leaf["acting_as"] == "stf_bob" && event?.leaf["auth"] == nil)
            // The owner's key of the same name is another one.
            await #expect(throws: OperationError.self) {
                _ = try await stage.world.pipeline.outcome(ofKey: "same", by: stage.world.caller("stf_bob"))
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what an assistant submits waits for somebody else than its owner, whatever rules say`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let tenant = try await world.tenant("acme")
            let (id, token) = try await stage.account(
                "assistant", scopes: ["tenant.view", "tenant.set_note"], of: stage.bob)
            let caller = try await stage.enter(token)
            #expect(caller.actor.kind == .assistant)
            // No rule covers it.
            let rules = try await world.test.database.read { reader in
                try reader.query(ApprovalRuleRow.selectAll(after: "", limit: 1000)).map { try ApprovalRuleRow($0).rule }
            }
            #expect(!rules.contains { $0.covers("tenant.set_note") })
            func propose() async throws -> PendingApproval {
                try await world.ask("tenant.set_note", on: tenant, ["note": "Ask before calling."], by: caller)
            }
            let preview = try await world.pipeline.preview(
                OperationRequest(operation: "tenant.set_note", target: tenant, input: ["note": "Ask before calling."]),
                by: caller)
            #expect(preview.approvals.map(\.rule) == ["assistant"])
            let asked = try await propose()
            #expect(asked.needs.map(\.demand) == [.permission("tenant.set_note")])
            #expect(try await world.approval(asked.approvalID).requester == "stf_bob")

            // Neither the assistant nor its owner signs.
            func approve(_ approval: String, by caller: Caller) async -> OperationError? {
                await failure { _ = try await world.run("approval.approve", on: approval, by: caller) }
            }
            guard case .forbidden("approval.decide", _) = await approve(asked.approvalID, by: caller) else {
                Issue.record("the assistant signed")
                return
            }
            let forged = Caller(
                actor: caller.actor, person: caller.person, displayName: "x",
                permissions: Permissions(["approval.decide": nil]), client: .api, requestID: "req_x")
            #expect(await approve(asked.approvalID, by: forged) != nil)
            guard case .conflict(let detail, _) = await approve(asked.approvalID, by: try await world.caller("stf_bob"))
            else {
                Issue.record("its owner signed")
                return
            }
            #expect(detail.contains("You asked for this yourself"))

            let since = try await world.snapshot()
            try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_ann"))
            #expect(try await world.approval(asked.approvalID).state == .executed)
            let done = try await world.events(after: since).first { $0.action == "tenant.set_note" }
            #expect(done?.leaf["actor"] == ["type": "assistant", "id": .string(id)])
            #expect(done?.leaf["acting_as"] == "stf_bob")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `it looks at what it asked for itself, and at nothing of its owner's that a stranger might not see`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let tenant = try await world.tenant("acme")
            let scopes = ["tenant.view", "tenant.set_note"]
            let (id, token) = try await stage.account("assistant", scopes: scopes, of: stage.bob)
            let (_, otherToken) = try await stage.account("assistant", scopes: scopes, of: stage.bob)
            let (caller, other) = (try await stage.enter(token), try await stage.enter(otherToken))
            let own = try await world.ask("tenant.set_note", on: tenant, ["note": "Ask before calling."], by: caller)
            let owners = try await world.ask(
                "staff.grant_role", on: "stf_eve", ["role": "legal"], by: world.caller("stf_bob"))
            // What its owner decided on is not its own either.
            let eves = try await world.ask(
                "staff.grant_role", on: "stf_ann", ["role": "legal"], by: world.caller("stf_bob"))
            try await world.run("approval.reject", on: eves.approvalID, by: world.caller("stf_ann"))

            let cursors = CursorCodec(key: [UInt8](repeating: 9, count: 32))
            func read(
                _ name: String, path: [String: String] = [:], view: String? = nil, as caller: Caller
            ) async throws -> JSON {
                let read = try #require(world.catalog.reads.first { $0.name == name })
                let call = ReadCall(
                    path: path, query: view.map { ["view": [$0]] } ?? [:], caller: caller, cursors: cursors)
                return try await world.test.database.read { try read.run(call, $0).body }
            }
            func list(_ view: String, as caller: Caller) async throws -> [String] {
                try await read("approval.list", view: view, as: caller)["items"]?.array?.compactMap {
                    $0["id"]?.string
                } ?? []
            }
            func isShown(_ id: String, to caller: Caller) async -> Bool {
                (try? await read("approval.view", path: ["id": id], as: caller)) != nil
            }
            #expect(try await read("approval.view", path: ["id": own.approvalID], as: caller)["account"]?.string == id)
            #expect(try await list("mine", as: caller) == [own.approvalID])
            #expect(try await list("mine", as: other).isEmpty)
            #expect(try await list("decided", as: caller).isEmpty)
            #expect(await !isShown(owners.approvalID, to: caller))
            #expect(await !isShown(eves.approvalID, to: caller))
            // A stranger who holds what a leaf asks for may look, and so may the other one; without it, not.
            #expect(await isShown(own.approvalID, to: other))
            let plain = try await stage.enter(try await stage.account(scopes: ["tenant.view"], of: stage.bob).token)
            #expect(await !isShown(own.approvalID, to: plain))
            // The person sees both.
            let bob = try await world.caller("stf_bob")
            #expect(try await Set(list("mine", as: bob)).isSuperset(of: [own.approvalID, owners.approvalID]))
            #expect(await isShown(own.approvalID, to: bob))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a proposal fails when the account was revoked or lost the scope meanwhile`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let tenant = try await world.tenant("acme")
            let (id, token) = try await stage.account("assistant", scopes: ["tenant.set_note"], of: stage.bob)
            let asked = try await world.ask(
                "tenant.set_note", on: tenant, ["note": "Ask before calling."], by: stage.enter(token))
            try await world.run("service_account.revoke", on: id, reason: "misused", by: world.caller("stf_ann"))
            #expect(await stage.isRefused(token))
            try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_ann"))
            #expect(try await world.approval(asked.approvalID).state == .failed)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever leaves takes their accounts with them, in the same event`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let (id, token) = try await stage.account(scopes: ["tenant.view"])
            let applied = try await stage.world.run(
                "staff.deactivate", on: "stf_eve", reason: "left", by: stage.world.caller("stf_ann"))
            #expect(try await stage.world.entities(named: applied.eventID).contains("service_account \(id)"))
            #expect(applied.consequence.contains("1 service account"))
            #expect(await stage.isRefused(token))
            // Coming back does not bring them back.
            try await stage.world.run(
                "staff.reactivate", on: "stf_eve", reason: "returned", by: stage.world.caller("stf_ann"))
            #expect(await stage.isRefused(token))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an owner who is not active ends it, whatever its row says`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let (_, token) = try await stage.account(scopes: ["tenant.view"])
            let stored = try await stage.world.test.database.read { try Staff.load("stf_eve", from: $0) }
            let before = try #require(stored)
            var after = before
            after.status = .deactivated
            after.version += 1
            try await stage.world.put([.update(before, to: after)])
            #expect(await stage.isRefused(token))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a token is replaced with an overlap, and ends with its account`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let (id, first) = try await stage.account(scopes: ["tenant.view"])
            func rotate(_ hours: Int64) async throws -> String {
                let applied = try await world.run(
                    "service_account.rotate_token", on: id, ["overlap_hours": .int(hours)],
                    by: world.caller("stf_eve"))
                let token = applied.reveal["token"]
                return try #require(token)
            }
            let second = try await rotate(2)
            #expect(try await stage.enter(first).actor.id == id)
            #expect(try await stage.enter(second).actor.id == id)
            world.test.clock.advance(.hours(3))
            #expect(await stage.isRefused(first))
            let third = try await rotate(0)
            #expect(await stage.isRefused(second))
            #expect(try await stage.enter(third).actor.id == id)
            world.test.clock.advance(.days(91))
            #expect(await stage.isRefused(third))
            // No token is stored in clear.
            let document = try await world.test.database.read { try ServiceAccount.load(id, from: $0)?.document }
            for token in [first, second, third] {
                #expect(document?.canonicalText.contains(token) == false)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `only its owner changes it, and more power waits for a second person`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let (id, token) = try await stage.account(scopes: ["tenant.view", "flag.view"])
            for operation in ["service_account.rotate_token", "service_account.change"] {
                let failure = await failure {
                    _ = try await world.run(
                        operation, on: id, operation.hasSuffix("change") ? ["name": "Mine"] : [:],
                        by: world.caller("stf_ann"))
                }
                guard case .conflict(let detail, _) = failure else {
                    Issue.record("\(operation): \(String(describing: failure))")
                    continue
                }
                #expect(detail.contains("Only its owner"))
            }
            try await world.run(
                "service_account.change", on: id, ["scopes": ["tenant.view"]], by: world.caller("stf_eve"))
            #expect(Set(try await stage.enter(token).permissions.granted.keys) == ["tenant.view"])
            _ = try await world.ask(
                "service_account.change", on: id, ["scopes": ["tenant.view", "flag.view"]], by: world.caller("stf_eve"))
            #expect(Set(try await stage.enter(token).permissions.granted.keys) == ["tenant.view"])
            // Its end is at once.
            try await world.run("service_account.revoke", on: id, reason: "unused", by: world.caller("stf_ann"))
            #expect(await stage.isRefused(token))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a source that shows many tokens of nobody waits, and each counted one is an event`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let since = try await stage.world.snapshot()
            var refused = 0
            for number in 0..<60 {
                let token = "psa_" + Base64.encodeURL(sha256([UInt8(number)]))
                switch await failure({ _ = try await stage.enter(token) }) {
                case .unauthenticated: refused += 1
                case .tooManyRequests: break
                case let other: Issue.record("\(String(describing: other))")
                }
            }
            #expect(refused == 31)
            let events = try await stage.world.events(after: since)
            #expect(events.count == refused && events.allSatisfy { $0.action == "service_account.refused" })
            // A token that is somebody's is not held back by a neighbour's.
            let (_, token) = try await stage.account(scopes: ["tenant.view"])
            #expect(await !stage.isRefused(token))
        }
    }

    /// An owner and their accounts are one person: no policy finds anybody more able with accounts than without.
    @Test func `accounts give nobody more than they have, under any policy`() {
        var random = Seeded(7)
        let acts = Consoles.all.flatMap(\.operations).filter { !$0.spec.systemOnly }.map {
            PolicyLint.Act($0.spec.name, permission: $0.spec.permission, risk: $0.spec.risk)
        }
        let lint = PolicyLint(acts)
        let codes = PermissionCatalog.entries.map(\.code)
        let roles = Seeds.roles.map(\.id)
        var found = 0
        for _ in 0..<30 {
            let cells = Seeds.permissions.filter { _ in Int.random(in: 0..<10, using: &random) > 1 }
            let rules = Seeds.rules.filter { _ in Int.random(in: 0..<10, using: &random) > 2 }
            let people = (0..<4).map { number -> Standing in
                let held = Set(
                    (0..<Int.random(in: 1...3, using: &random)).map { _ in roles.randomElement(using: &random)! })
                let granted = cells.filter { held.contains($0.role) }.map { ($0.permission, [Limit]?.none) }
                return Standing(
                    person: "p\(number)", name: "P\(number)", isActive: true, roles: held,
                    permissions: Permissions(Dictionary(granted) { first, _ in first }))
            }
            let accounts = (0..<6).map { number in
                PolicyState.Account(
                    id: "sva_\(number)", name: "Account \(number)", owner: people.randomElement(using: &random)!.person,
                    scopes: codes.filter { _ in Bool.random(using: &random) })
            }
            let bare = PolicyState(roles: roles, cells: cells, rules: rules, people: people)
            let with = PolicyState(roles: roles, cells: cells, rules: rules, people: people, accounts: accounts)
            func keys(_ state: PolicyState) -> Set<String> {
                Set(lint.findings(state).map { "\($0.kind) \($0.operation ?? "") \($0.rule ?? "") \($0.person ?? "")" })
            }
            let expected = keys(bare)
            #expect(keys(with) == expected)
            found += expected.count
        }
        // The policies are not all without holes.
        #expect(found > 30)
    }

    /// Numbers that are the same in every run.
    struct Seeded: RandomNumberGenerator {
        var state: UInt64
        init(_ seed: UInt64) { state = seed }
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }
}
