import Consoles
import Kernel
import TestSupport
import Testing

/// What identity providers tell of staff, and what becomes of it.
@Suite struct ScimTests {
    struct Stage {
        let world: World
        let door: ScimDoor
        let provider: Caller
        /// As it was shown once.
        var token: String?

        func send(
            _ verb: ProvisioningCall.Verb, _ path: String, _ body: JSON? = nil, query: [String: [String]] = [:],
            expected: String? = nil, known: String? = nil
        ) async throws(ProvisioningError) -> ProvisioningAnswer {
            try await door.answer(
                ProvisioningCall(
                    verb: verb, path: path.split(separator: "/").map(String.init), query: query, body: body,
                    expected: expected, known: known, address: "https://x.example/scim/v2", caller: provider))
        }

        func resource(
            _ verb: ProvisioningCall.Verb, _ path: String, _ body: JSON? = nil, expected: String? = nil
        ) async throws -> JSON {
            guard case .resource(let resource, _, _) = try await send(verb, path, body, expected: expected) else {
                throw StoreError.other("no resource")
            }
            return resource
        }

        func list(_ path: String, filter: String) async throws -> [JSON] {
            guard case .list(let list) = try await send(.read, path, query: ["filter": [filter]]) else { return [] }
            return list["Resources"]?.array ?? []
        }

        func refusal(
            _ verb: ProvisioningCall.Verb, _ path: String, _ body: JSON? = nil, expected: String? = nil
        ) async -> ProvisioningError? {
            do throws(ProvisioningError) {
                _ = try await send(verb, path, body, expected: expected)
                return nil
            } catch {
                return error
            }
        }

        func person(_ name: String) async throws -> JSON {
            try await resource(.create, "Users", Self.person(name))
        }

        static func person(_ name: String) -> JSON {
            [
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": .string("\(name)@x.example"),
                "externalId": .string("ext-\(name)"), "displayName": .string(name), "active": true,
                "name": ["givenName": .string(name), "familyName": "Ray"],
                "emails": [["value": .string("\(name)@x.example"), "type": "work", "primary": true]],
                "title": "Agent",
            ]
        }

        func add(_ id: String, to role: String) async throws {
            _ = try await resource(
                .change, "Groups/\(role)",
                [
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [["op": "Add", "path": "members", "value": [["value": .string(id)]]]],
                ])
        }

        func roles(_ id: String) async throws -> Set<String> {
            try await world.test.database.read { reader in
                Set(
                    try reader.query(Grant.selectAll(after: "", limit: 500)).map(Grant.init)
                        .filter { $0.staffID == id && $0.isLive(at: reader.now) }.map(\.role))
            }
        }

        func pending(_ id: String) async throws -> [PendingGrant] {
            try await world.test.database.read { reader in
                try reader.query(PendingGrant.selectAll(after: "", limit: 500)).map(PendingGrant.init)
                    .filter { $0.staffID == id }
            }
        }
    }

    static func with(_ kind: TestDatabase.Kind, _ body: (Stage) async throws -> Void) async throws {
        let world = try await World.make(kind, populated: false, sendsMail: true)
        do {
            try await world.staff("ann", roles: ["super_admin"])
            try await world.staff("bob", roles: ["super_admin"])
            let door = ScimDoor(pipeline: world.pipeline, clock: world.test.clock.clock)
            let asked = try await world.ask("scim_token.create", ["name": "Entra ID"], by: world.caller("stf_ann"))
            try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_bob"))
            let token = try #require(
                try await world.pipeline.takeReveal(of: asked.approvalID, by: world.caller("stf_ann"))?["token"])
            let source = Source(ip: "192.0.2.7", userAgent: "entra", client: .api, requestID: "req_scim")
            let provider = try await door.authenticate(token: token, from: source)
            try await body(Stage(world: world, door: door, provider: provider, token: token))
        } catch {
            await world.close()
            throw error
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `somebody joins without roles, and a retry changes nothing`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let since = try await stage.world.snapshot()
            let made = try await stage.person("dora")
            let id = try #require(made["id"]?.string)
            #expect(made["userName"] == "dora@x.example" && made["active"] == true && made["groups"] == nil)
            #expect(made["meta"]?["location"]?.string == "https://x.example/scim/v2/Users/\(id)")
            let staff = try await stage.world.test.database.read { try Staff.load(id, from: $0) }
            #expect(staff?.status == .invited && staff?.name == "dora" && staff?.invitedBy == "scim")
            // Whoever was shown the token may have made them up.
            #expect(staff?.resetBy == "stf_ann" && staff?.resetAt == staff?.createdAt)
            let events = try await stage.world.events(after: since).filter { $0.eventClass == "mutation" }
            #expect(events.map(\.action) == ["staff.provision"])
            #expect(events.first?.leaf["actor"] == ["type": "system", "id": "scim"])
            #expect(events.first?.leaf["facts"]?["token"]?.string?.hasPrefix("sct_") == true)
            // They are told by mail, without a secret.
            #expect(try await stage.world.snapshot().counts["outbox_pending"] == since.counts["outbox_pending"]! + 1)

            let again = await stage.refusal(.create, "Users", Stage.person("dora"))
            #expect(again?.reason == .uniqueness)
            // The same once more, as a whole or in part, is no event.
            let before = try await stage.world.snapshot()
            _ = try await stage.resource(.replace, "Users/\(id)", Stage.person("dora"))
            _ = try await stage.resource(
                .change, "Users/\(id)", ["Operations": [["op": "Replace", "path": "active", "value": "True"]]])
            #expect(try await stage.world.snapshot().state == before.state)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `people are found by name and external id, also those who were here before`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let id = try #require(try await stage.person("dora")["id"]?.string)
            for filter in [
                "userName eq \"DORA@x.example\"", "externalId eq \"ext-dora\"", "name.familyName eq \"ray\"",
            ] {
                #expect(try await stage.list("Users", filter: filter).map { $0["id"]?.string } == [id], "\(filter)")
            }
            #expect(try await stage.list("Users", filter: "userName eq \"ann@staff.test\"").first?["id"] == "stf_ann")
            // Linked by the first that is told of them.
            let linked = try await stage.resource(
                .change, "Users/stf_ann", ["Operations": [["op": "add", "path": "externalId", "value": "e-1"]]])
            #expect(linked["externalId"] == "e-1" && linked["userName"] == "ann@staff.test")
            #expect(try await stage.list("Users", filter: "externalId eq \"e-1\"").count == 1)
            #expect(await stage.refusal(.read, "Users/stf_nobody")?.reason == .notFound)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role without power is given at once, one with power waits and takes the signature of a grant`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let id = try #require(try await stage.person("dora")["id"]?.string)
            try await stage.add(id, to: "support_l1")
            #expect(try await stage.roles(id) == ["support_l1"])
            try await stage.add(id, to: "billing_ops")
            #expect(try await stage.roles(id) == ["support_l1"])
            #expect(try await stage.pending(id).map(\.state) == [.pending])
            // To the provider both are members; said again nothing happens.
            let groups = try await stage.resource(.read, "Users/\(id)")["groups"]?.array ?? []
            #expect(groups.compactMap { $0["type"]?.string }.sorted() == ["direct", "pending"])
            let before = try await world.snapshot()
            try await stage.add(id, to: "billing_ops")
            try await stage.add(id, to: "support_l1")
            #expect(try await world.snapshot().state == before.state)

            // These two are not held together, which whoever accepts has to say.
            let alone = await failure {
                _ = try await world.ask(
                    "staff.accept_grant", on: id, ["role": "billing_ops"], by: world.caller("stf_ann"))
            }
            guard case .invalid = alone else {
                Issue.record("\(String(describing: alone))")
                return
            }
            _ = try await stage.resource(
                .change, "Groups/support_l1",
                ["Operations": [["op": "remove", "path": .string("members[value eq \"\(id)\"]")]]])
            #expect(try await stage.roles(id).isEmpty)
            let asked = try await world.ask(
                "staff.accept_grant", on: id, ["role": "billing_ops"], by: world.caller("stf_ann"))
            #expect(asked.needs.map(\.rule) == ["staff_accept_grant"])
            try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_bob"))
            #expect(try await stage.roles(id) == ["billing_ops"])
            #expect(try await stage.pending(id).map(\.state) == [.accepted])
            // Whoever accepted made the account what it is: the 72 hours count from then.
            let directory = StaffDirectory()
            let standing = try await world.test.database.read { reader in
                try directory.standings(of: [id]).read(from: reader)[id]
            }
            #expect(standing?.quarantine(from: "stf_ann", at: world.test.clock.clock.now)?.kind == .granted)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role that is given another way waits no longer`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            func agreed(_ request: PendingApproval) async throws {
                try await world.run("approval.approve", on: request.approvalID, by: world.caller("stf_bob"))
            }
            // Until a time it is no answer, for good it is.
            try await world.staff("gus", roles: [])
            try await stage.add("stf_gus", to: "security")
            let end = (world.test.clock.clock.now + .hours(2)).rfc3339
            try await agreed(
                world.ask(
                    "staff.grant_role", on: "stf_gus", ["role": "security", "expires_at": .string(end)],
                    by: world.caller("stf_ann")))
            #expect(try await stage.pending("stf_gus").map(\.state) == [.pending])
            let asked = try await world.ask(
                "staff.grant_role", on: "stf_gus", ["role": "security"], by: world.caller("stf_ann"))
            let since = try await world.snapshot()
            try await agreed(asked)
            let answered = try await stage.pending("stf_gus")
            #expect(answered.map(\.state) == [.accepted] && answered.first?.decidedBy == "stf_ann")
            let event = try #require(try await world.events(after: since).first { $0.action == "staff.grant_role" })
            #expect(event.leaf["facts"]?["answered"] == ["security"])
            #expect(try await world.entities(named: event.id).contains("pending_grant \(answered[0].id)"))
            // Whoever was shown the token counts as one who gave it, as if it had been accepted.
            func holders(_ staff: String) async throws -> [String?] {
                let held = "SELECT token_holder FROM grants WHERE staff_id = $1 AND revoked_at IS NULL"
                return try await world.test.database.read { reader in
                    try reader.query(Statement(held, [.text(staff)])).map { try $0.optionalString("token_holder") }
                }
            }
            #expect(try await holders("stf_gus") == ["stf_ann"])
            // Taken back as a mistake it was no answer.
            try await world.run(
                "staff.revoke_role", on: "stf_gus", ["role": "security"], reason: "mistake",
                by: world.caller("stf_bob"))
            let reopened = try await stage.pending("stf_gus")
            #expect(reopened.map(\.state) == [.pending] && reopened.first?.decidedBy == nil)
            // With an invitation.
            let dora = try #require(try await stage.person("dora")["id"]?.string)
            try await stage.add(dora, to: "security")
            try await agreed(
                world.ask(
                    "staff.invite", ["email": "dora@x.example", "name": "Dora", "roles": ["security"]],
                    by: world.caller("stf_ann")))
            #expect(try await stage.pending(dora).map(\.state) == [.accepted])
            #expect(try await holders(dora) == ["stf_ann"])
            // One that was left behind is accepted without giving anything, so nobody signs.
            try await world.staff("hal", roles: ["security"])
            try await world.put([
                .create(
                    PendingGrant(
                        id: "pgr_hal", staffID: "stf_hal", role: "security", source: "oidc",
                        requestedAt: world.test.clock.clock.now))
            ])
            let outcome = try await world.pipeline.run(
                OperationRequest(
                    operation: "staff.accept_grant", target: "stf_hal", input: ["role": "security"],
                    justification: "because the test world needs it", ticket: "TEST-1", idempotencyKey: world.key()),
                by: world.caller("stf_ann"))
            guard case .applied(let applied) = outcome.result else {
                Issue.record("it waits for approval")
                return
            }
            #expect(applied.consequence.contains("holds Security already"))
            #expect(try await stage.roles("stf_hal") == ["security"])
            #expect(try await stage.pending("stf_hal").map(\.state) == [.accepted])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a no stays a no until the provider takes the role back`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let id = try #require(try await stage.person("dora")["id"]?.string)
            try await stage.add(id, to: "security")
            try await world.run(
                "staff.dismiss_grant", on: id, ["role": "security"], reason: "not_needed", by: world.caller("stf_ann"))
            try await stage.add(id, to: "security")
            #expect(try await stage.pending(id).map(\.state) == [.dismissed])
            let refused = await failure {
                _ = try await world.ask("staff.accept_grant", on: id, ["role": "security"], by: world.caller("stf_ann"))
            }
            #expect(refused != nil)
            // The group as a whole, without them.
            _ = try await stage.resource(.replace, "Groups/security", ["displayName": "Security", "members": []])
            #expect(try await stage.pending(id).map(\.state) == [.withdrawn])
            try await stage.add(id, to: "security")
            #expect(try await stage.pending(id).map(\.state.rawValue).sorted() == ["pending", "withdrawn"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `active false ends everything at once, and true brings back without roles`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            try await world.staff("eve", roles: ["engineering_oncall", "support_l1"])
            try await world.session("ses_eve", of: "stf_eve")
            try await world.put([
                .create(
                    ServiceAccount(
                        id: "sva_eve", ownerID: "stf_eve", kind: .service, name: "job", scopes: ["tenant.view"],
                        token: AccountToken(prefix: "psa_eve", digest: "d"), createdAt: world.test.clock.clock.now,
                        expiresAt: world.test.clock.clock.now + .days(9)))
            ])
            try await stage.add("stf_eve", to: "security")
            let since = try await world.snapshot()
            let gone = try await stage.resource(
                .change, "Users/stf_eve", ["Operations": [["op": "replace", "value": ["active": false]]]])
            #expect(gone["active"] == false && gone["groups"] == nil)
            #expect(try await stage.roles("stf_eve").isEmpty)
            #expect(try await stage.pending("stf_eve").map(\.state) == [.withdrawn])
            let events = try await world.events(after: since).filter { $0.eventClass == "mutation" }
            #expect(events.map(\.action) == ["staff.deprovision"])
            let facts = events.first?.leaf["facts"]
            #expect(facts?["sessions"] == 1 && facts?["accounts"] == 1)
            // Roles are not given to whoever is not here.
            #expect(
                await stage.refusal(
                    .change, "Groups/support_l1",
                    ["Operations": [["op": "add", "path": "members", "value": [["value": "stf_eve"]]]]])?.reason
                    == .conflict)
            let back = try await stage.resource(
                .change, "Users/stf_eve", ["Operations": [["op": "Replace", "path": "active", "value": "True"]]])
            #expect(back["active"] == true)
            #expect(try await stage.roles("stf_eve").isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who leaves waits for no rule, and may be brought back by the provider that ended them`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            try await world.put([
                .create(
                    ApprovalRuleRow(
                        ApprovalRule(
                            id: "leavers", operation: "staff.deactivate", condition: .always,
                            demand: .role(["super_admin"]), window: .hours(1), cooldown: nil, version: 1,
                            summary: "Leavers")))
            ])
            for (name, isWhole) in [("eve", false), ("fay", true)] {
                let id = "stf_\(name)"
                try await world.staff(name, roles: ["engineering_oncall", "support_l1"])
                try await world.session("ses_\(name)", of: id)
                let whole: JSON = [
                    "userName": .string("\(name)@staff.test"), "displayName": .string(name), "active": false,
                ]
                let gone = try await stage.resource(
                    isWhole ? .replace : .change, "Users/\(id)", isWhole ? whole : Self.patch(["active": false]))
                #expect(gone["active"] == false && gone["groups"] == nil)
                #expect(try await stage.roles(id).isEmpty)
                #expect(try await !Self.isOpen("ses_\(name)", world))
                // It is the provider that ended them, and it still knows them.
                world.test.clock.advance(.seconds(1))
                let back = try await stage.resource(.change, "Users/\(id)", Self.patch(["active": true]))
                #expect(back["active"] == true)
                world.test.clock.advance(.seconds(1))
            }
            // A colleague waits, as the rule has it.
            let asked = try await world.ask(
                "staff.deactivate", on: "stf_eve", reason: "left", by: world.caller("stf_ann"))
            #expect(asked.needs.map(\.rule) == ["leavers"])
        }
    }

    static func patch(_ members: JSON) -> JSON { ["Operations": [["op": "replace", "value": members]]] }

    /// Whether a session goes on.
    static func isOpen(_ session: String, _ world: World) async throws -> Bool {
        try await world.test.database.read { reader in
            try reader.first(Statement("SELECT ended_at FROM sessions WHERE id = $1", [.text(session)]))?
                .optionalInstant("ended_at") == nil
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `deleting deactivates, and the same person comes back without roles`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let id = try #require(try await stage.person("dora")["id"]?.string)
            try await stage.add(id, to: "support_l1")
            guard case .nothing = try await stage.send(.remove, "Users/\(id)") else {
                Issue.record("something was answered")
                return
            }
            #expect(await stage.refusal(.read, "Users/\(id)")?.reason == .notFound)
            #expect(await stage.refusal(.remove, "Users/\(id)")?.reason == .notFound)
            #expect(try await stage.list("Users", filter: "userName eq \"dora@x.example\"").isEmpty)
            let staff = try await stage.world.test.database.read { try Staff.load(id, from: $0) }
            #expect(staff?.status == .deactivated)
            #expect(try await stage.roles(id).isEmpty)
            let again = try await stage.person("dora")
            #expect(again["id"]?.string == id && again["active"] == true && again["groups"] == nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `versions are compared, and names of others are refused`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let dora = try await stage.person("dora")
            let finn = try await stage.person("finn")
            let (id, tag) = (try #require(dora["id"]?.string), try #require(dora["meta"]?["version"]?.string))
            let rename: JSON = ["Operations": [["op": "replace", "path": "displayName", "value": "Dora R."]]]
            let changed = try await stage.resource(.change, "Users/\(id)", rename, expected: tag)
            #expect(changed["displayName"] == "Dora R." && changed["meta"]?["version"]?.string != tag)
            #expect(await stage.refusal(.change, "Users/\(id)", rename, expected: tag)?.reason == .versionMismatch)
            guard
                case .unchanged = try await stage.send(.read, "Users/\(id)", known: changed["meta"]?["version"]?.string)
            else {
                Issue.record("it was answered again")
                return
            }
            let other = try #require(finn["id"]?.string)
            for (path, value) in [("userName", "DORA@x.example"), ("emails[type eq \"work\"].value", "dora@x.example")]
            {
                let taken: JSON = ["Operations": [["op": "replace", "path": .string(path), "value": .string(value)]]]
                #expect(await stage.refusal(.change, "Users/\(other)", taken)?.reason == .uniqueness, "\(path)")
            }
            // Nothing is done by halves.
            for (name, reason) in [
                ("dora@x.example", .uniqueness), (String(repeating: "x", count: 300), .invalidValue),
            ]
                as [(String, ProvisioningError.Reason)]
            {
                let leaving: JSON = [
                    "Operations": [["op": "replace", "value": ["active": false, "userName": .string(name)]]]
                ]
                #expect(await stage.refusal(.change, "Users/\(other)", leaving)?.reason == reason)
                #expect(try await stage.resource(.read, "Users/\(other)")["active"] == true)
            }
            for (body, reason) in [
                ([:], .invalidValue), (["userName": "no address"], .invalidValue),
                (["userName": "x", "emails": [["value": "not an address"]]], .invalidValue),
                (["userName": "x@y.example", "active": "perhaps"], .invalidValue), ("text", .invalidSyntax),
            ] as [(JSON, ProvisioningError.Reason)] {
                #expect(await stage.refusal(.create, "Users", body)?.reason == reason, "\(body.canonicalText)")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `groups are the roles, found by title and code, and neither made nor named here`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            for name in ["Support L1", "support_l1", "SUPPORT l1"] {
                let found = try await stage.list("Groups", filter: "displayName eq \"\(name)\"")
                #expect(found.map { $0["id"]?.string } == ["support_l1"], "\(name)")
            }
            #expect(await stage.refusal(.create, "Groups", ["displayName": "support l1"])?.reason == .uniqueness)
            #expect(await stage.refusal(.create, "Groups", ["displayName": "Chefs"])?.reason == .forbidden)
            #expect(await stage.refusal(.remove, "Groups/support_l1")?.reason == .forbidden)
            #expect(
                await stage.refusal(
                    .change, "Groups/support_l1",
                    ["Operations": [["op": "replace", "path": "displayName", "value": "X"]]])?
                    .reason == .mutability)
            #expect(
                await stage.refusal(
                    .change, "Groups/support_l1",
                    ["Operations": [["op": "add", "path": "members", "value": [["value": "stf_nobody"]]]]])?.reason
                    == .invalidValue)
            guard
                case .list(let list) = try await stage.send(.read, "Groups", query: ["excludedAttributes": ["members"]])
            else { return }
            #expect(list["totalResults"] == .int(Int64(Seeds.roles.count)))
            #expect(list["Resources"]?.array?.allSatisfy { $0["members"] == nil } == true)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `pages, attributes and what describes the service`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            for name in ["dora", "finn", "gus"] { _ = try await stage.person(name) }
            func page(_ query: [String: [String]]) async throws -> JSON {
                guard case .list(let list) = try await stage.send(.read, "Users", query: query) else { return .null }
                return list
            }
            let first = try await page(["count": ["2"]])
            #expect(first["totalResults"] == 5 && first["itemsPerPage"] == 2 && first["startIndex"] == 1)
            let last = try await page(["count": ["2"], "startIndex": ["5"]])
            #expect(last["itemsPerPage"] == 1)
            let none = try await page(["count": ["0"]])
            #expect(none["totalResults"] == 5 && none["itemsPerPage"] == 0)
            let slim = try await page(["attributes": ["userName,emails.value"]])["Resources"]?.array?.first
            #expect(Set((slim?.object ?? [:]).keys) == ["schemas", "id", "userName", "emails"])
            #expect(slim?["emails"]?.array?.first?.object?.keys.map(\.self) == ["value"])
            for path in [
                "ServiceProviderConfig", "Schemas", "ResourceTypes",
                "Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
            ] {
                _ = try await stage.send(.read, path)
                #expect(await stage.refusal(.create, path, [:])?.reason == .notAllowed)
            }
            #expect(await stage.refusal(.read, "Schemas/urn:nothing")?.reason == .notFound)
            #expect(await stage.refusal(.create, "Bulk", [:])?.reason == .notOffered)
            #expect(await stage.refusal(.read, "Nothing")?.reason == .notFound)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `its token is replaced with an overlap and revoked at once`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let source = Source(ip: "192.0.2.7", userAgent: "entra", client: .api, requestID: "req_scim")
            let id = stage.provider.displayName
            func signed(_ pending: PendingApproval) async throws -> String {
                try await world.run("approval.approve", on: pending.approvalID, by: world.caller("stf_bob"))
                return try #require(
                    try await world.pipeline.takeReveal(of: pending.approvalID, by: world.caller("stf_ann"))?["token"])
            }
            let second = try await signed(
                try await world.ask("scim_token.rotate", on: id, ["overlap_hours": 1], by: world.caller("stf_ann")))
            let third = try await signed(
                try await world.ask("scim_token.rotate", on: id, ["overlap_hours": 1], by: world.caller("stf_ann")))
            _ = try await stage.door.authenticate(token: second, from: source)
            world.test.clock.advance(.hours(2))
            await #expect(throws: OperationError.self) {
                _ = try await stage.door.authenticate(token: second, from: source)
            }
            _ = try await stage.door.authenticate(token: third, from: source)
            try await world.run("scim_token.revoke", on: id, reason: "compromised", by: world.caller("stf_ann"))
            await #expect(throws: OperationError.self) {
                _ = try await stage.door.authenticate(token: third, from: source)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `no person runs what the provider runs`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            for operation in [
                "staff.provision", "staff.sync_profile", "staff.deprovision", "staff.provision_role",
                "staff.withdraw_role",
            ] {
                let failure = await failure {
                    _ = try await stage.world.run(operation, on: "stf_bob", by: stage.world.caller("stf_ann"))
                }
                guard case .unknownOperation = failure else {
                    Issue.record("\(operation): \(String(describing: failure))")
                    continue
                }
            }
        }
    }
}
