import Consoles
import Kernel
import TestSupport
import Testing

/// An identity provider makes nobody two people: whoever holds its token, and whom it sends away and brings back.
@Suite struct ScimDutiesTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever was shown the token counts as who made, regranted and let back in`(
        kind: TestDatabase.Kind
    ) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            let source = Source(ip: "192.0.2.7", userAgent: "entra", client: .api, requestID: "req_scim")
            func touches(_ id: String) async throws -> [String] {
                let directory = StaffDirectory()
                let standing = try await world.test.database.read { reader in
                    try directory.standings(of: [id]).read(from: reader)[id]
                }
                let now = world.test.clock.clock.now
                return ["stf_ann", "stf_bob"].filter { standing?.quarantine(from: $0, at: now) != nil }
            }
            // Ann was shown the token; bob replaces it, and hers works on for an hour.
            #expect(stage.provider.mandate == Mandate(token: stage.provider.displayName, holder: "stf_ann"))
            let asked = try await world.ask(
                "scim_token.rotate", on: stage.provider.displayName, ["overlap_hours": 1], by: world.caller("stf_bob"))
            try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_ann"))
            let second = try #require(
                try await world.pipeline.takeReveal(of: asked.approvalID, by: world.caller("stf_bob"))?["token"])
            let new = ScimTests.Stage(
                world: world, door: stage.door, provider: try await stage.door.authenticate(token: second, from: source)
            )
            let first = try #require(stage.token)
            let old = ScimTests.Stage(
                world: world, door: stage.door, provider: try await stage.door.authenticate(token: first, from: source))
            #expect(new.provider.mandate?.holder == "stf_bob" && old.provider.mandate?.holder == "stf_ann")

            // Made.
            let dora = try #require(try await old.person("dora")["id"]?.string)
            let finn = try #require(try await new.person("finn")["id"]?.string)
            #expect(try await touches(dora) == ["stf_ann"])
            #expect(try await touches(finn) == ["stf_bob"])
            // Let back in.
            try await world.staff("eve", roles: ["support_l1"])
            #expect(try await touches("stf_eve").isEmpty)
            let (off, on) = (ScimTests.patch(["active": false]), ScimTests.patch(["active": true]))
            _ = try await old.resource(.change, "Users/stf_eve", off)
            _ = try await old.resource(.change, "Users/stf_eve", on)
            #expect(try await touches("stf_eve") == ["stf_ann"])
            // Regranted, at once or through a colleague who accepts it: then it is of both.
            try await world.staff("gus", roles: [])
            try await new.add("stf_gus", to: "support_l1")
            #expect(try await touches("stf_gus") == ["stf_bob"])
            try await world.staff("hal", roles: [])
            try await new.add("stf_hal", to: "security")
            #expect(try await touches("stf_hal").isEmpty)
            let accepted = try await world.ask(
                "staff.accept_grant", on: "stf_hal", ["role": "security"], by: world.caller("stf_ann"))
            try await world.run("approval.approve", on: accepted.approvalID, by: world.caller("stf_bob"))
            #expect(try await stage.roles("stf_hal") == ["security"])
            #expect(try await touches("stf_hal") == ["stf_ann", "stf_bob"])
            world.test.clock.advance(.hours(73))
            #expect(try await touches("stf_hal").isEmpty)
            #expect(try await touches(dora).isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a reset hides neither who was shown the token nor who reset before`(kind: TestDatabase.Kind) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            let id = try #require(try await stage.person("dora")["id"]?.string)
            func touches() async throws -> [String] {
                let directory = StaffDirectory()
                let standing = try await world.test.database.read { reader in
                    try directory.standings(of: [id]).read(from: reader)[id]
                }
                let now = world.test.clock.clock.now
                return ["stf_ann", "stf_bob"].filter { standing?.quarantine(from: $0, at: now) != nil }
            }
            func reset(by asker: String, with signer: String) async throws {
                world.test.clock.advance(.hours(1))
                let asked = try await world.ask(
                    "staff.reset_factors", on: id, reason: "lost", by: world.caller(asker))
                try await world.run("approval.approve", on: asked.approvalID, by: world.caller(signer))
            }
            let invited = try #require(try await world.test.database.read { try Staff.load(id, from: $0) })
            var enrolled = invited
            enrolled.status = .active
            enrolled.version += 1
            try await world.put([.update(invited, to: enrolled)])
            // Ann was shown the token by which they were told of.
            try await reset(by: "stf_bob", with: "stf_ann")
            #expect(try await touches() == ["stf_ann", "stf_bob"])
            world.test.clock.advance(.hours(71))
            #expect(try await touches() == ["stf_bob"])
            world.test.clock.advance(.hours(1))
            #expect(try await touches().isEmpty)
            // Of two resets both count, and each for its own time.
            try await reset(by: "stf_ann", with: "stf_bob")
            try await reset(by: "stf_bob", with: "stf_ann")
            #expect(try await touches() == ["stf_ann", "stf_bob"])
            world.test.clock.advance(.hours(71))
            #expect(try await touches() == ["stf_bob"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what a colleague accepted for a claim goes with it, and what they gave themselves stays`(
        kind: TestDatabase.Kind
    ) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            let claims = ClaimedRoles(
                pipeline: world.pipeline, meanings: ["money": ["billing_ops"], "law": ["legal", "compliance"]])
            #expect(claims.roles(of: ["law", "money", "else"]) == ["billing_ops", "legal", "compliance"])
            let source = Source(ip: "192.0.2.8", userAgent: "browser", client: .console, requestID: "req_sso")
            try await world.staff("gus", roles: ["legal"])
            func says(_ roles: Set<String>) async throws -> Set<String> {
                try await claims.settle("stf_gus", roles, from: source)
                return try await stage.roles("stf_gus")
            }
            #expect(try await says(["billing_ops", "legal"]) == ["legal"])
            #expect(try await stage.pending("stf_gus").map(\.source) == ["oidc"])
            let asked = try await world.ask(
                "staff.accept_grant", on: "stf_gus", ["role": "billing_ops"], by: world.caller("stf_ann"))
            try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_bob"))
            #expect(try await says(["billing_ops"]) == ["billing_ops", "legal"])
            // The claim is gone, and with it what it gave; legal was never its own.
            #expect(try await says([]) == ["legal"])
            #expect(try await stage.pending("stf_gus").map(\.state) == [.accepted])
            // A no stays a no for as long as the claim is there.
            _ = try await says(["compliance"])
            try await world.run(
                "staff.dismiss_grant", on: "stf_gus", ["role": "compliance"], reason: "not_needed",
                by: world.caller("stf_ann"))
            _ = try await says(["compliance"])
            func compliance() async throws -> [String] {
                try await stage.pending("stf_gus").filter { $0.role == "compliance" }.map(\.state.rawValue).sorted()
            }
            #expect(try await compliance() == ["dismissed"])
            _ = try await says([])
            #expect(try await compliance() == ["withdrawn"])
            // Who has left gets nothing by a claim, and signing in is not stopped by that.
            _ = try await stage.resource(.change, "Users/stf_gus", ScimTests.patch(["active": false]))
            #expect(try await says(["legal", "billing_ops"]).isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `ending the other super_admin and bringing them back leaves nobody free to go alone`(
        kind: TestDatabase.Kind
    ) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            try await world.put([
                .create(
                    Factor(
                        id: "fct_bob", staffID: "stf_bob", kind: .totp, label: "App", secret: "s",
                        createdAt: world.test.clock.clock.now))
            ])
            for active in [false, true] {
                world.test.clock.advance(.seconds(1))
                _ = try await stage.resource(
                    .change, "Users/stf_bob", ["Operations": [["op": "replace", "value": ["active": .bool(active)]]]])
            }
            let bob = try await world.test.database.read { try Staff.load("stf_bob", from: $0) }
            #expect(bob?.status == .invited)
            #expect(try await stage.roles("stf_bob").isEmpty)
            _ = try await world.ask(
                "staff.invite", ["email": "puppet@x.example", "name": "Puppet", "roles": ["super_admin"]],
                by: world.caller("stf_ann"))

            // Somebody could review what is opened alone, and nobody else is there to agree.
            try await world.staff("sam", roles: ["security"])
            try await world.tenant("acme")
            let request = OperationRequest(
                operation: "breakglass.open",
                input: ["tenant": "acme", "solo": true, "tried": .string(BreakGlassStage.tried)],
                reasonCode: "outage", justification: "because the test needs it", ticket: "INC-1",
                idempotencyKey: world.key())
            let ann = try await world.caller("stf_ann")
            guard case .conflict(let detail, _) = await failure({ _ = try await world.pipeline.run(request, by: ann) })
            else {
                Issue.record("it was opened alone")
                return
            }
            #expect(detail.contains("Others were super admins lately"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whom a colleague sent away the provider does not bring back`(kind: TestDatabase.Kind) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            func status(_ id: String) async throws -> Staff.Status? {
                try await world.test.database.read { try Staff.load(id, from: $0)?.status }
            }
            let back: JSON = ["Operations": [["op": "replace", "path": "active", "value": true]]]
            let id = try #require(try await stage.person("dora")["id"]?.string)
            try await world.run("staff.deactivate", on: id, reason: "compromised", by: world.caller("stf_ann"))
            let refused = await stage.refusal(.change, "Users/\(id)", back)
            #expect(refused?.reason == .conflict && refused?.detail.contains("a colleague reactivates") == true)
            let renamed: JSON = [
                "Operations": [["op": "replace", "value": ["active": true, "displayName": "Dora R."]]]
            ]
            #expect(await stage.refusal(.change, "Users/\(id)", renamed)?.reason == .conflict)
            #expect(try await stage.resource(.read, "Users/\(id)")["displayName"] == "dora")
            // Not by a detour either: whoever is gone already is not ended by being deleted, and looking at what reactivating
            // would do brings nobody back.
            world.test.clock.advance(.seconds(1))
            _ = try await world.pipeline.preview(
                OperationRequest(operation: "staff.reactivate", target: id, reasonCode: "returned"),
                by: world.caller("stf_ann"))
            world.test.clock.advance(.seconds(1))
            _ = try await stage.send(.remove, "Users/\(id)")
            #expect(await stage.refusal(.create, "Users", ScimTests.Stage.person("dora"))?.reason == .conflict)
            #expect(try await status(id) == .deactivated)
            world.test.clock.advance(.seconds(1))
            try await world.run("staff.reactivate", on: id, reason: "returned", by: world.caller("stf_ann"))
            world.test.clock.advance(.seconds(1))
            _ = try await stage.person("dora")

            // Whom the provider ended it brings back, without what they signed in with.
            try await world.staff("eve", roles: ["support_l1"])
            try await world.put([
                .create(
                    Factor(
                        id: "fct_eve", staffID: "stf_eve", kind: .password, label: "Password", secret: "s",
                        createdAt: world.test.clock.clock.now))
            ])
            _ = try await stage.send(.remove, "Users/stf_eve")
            let again = try await stage.resource(
                .create, "Users", ["userName": "eve@staff.test", "displayName": "eve", "active": true])
            #expect(again["id"] == "stf_eve" && again["active"] == true)
            #expect(try await status("stf_eve") == .invited)
            let factor = try await world.test.database.read { try Factor.load("fct_eve", from: $0) }
            #expect(factor?.status == .revoked)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the last super_admin stays, whatever the provider says`(kind: TestDatabase.Kind) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            _ = try await stage.send(.remove, "Users/stf_bob")
            for (verb, path, body) in [
                (.remove, "Users/stf_ann", nil),
                (.change, "Users/stf_ann", ["Operations": [["op": "replace", "value": ["active": false]]]]),
                (.change, "Groups/super_admin", ["Operations": [["op": "remove", "path": "members"]]]),
                (.replace, "Groups/super_admin", ["displayName": "Super admin", "members": []]),
            ] as [(ProvisioningCall.Verb, String, JSON?)] {
                let refusal = await stage.refusal(verb, path, body)
                #expect(refusal?.reason == .conflict && refusal?.detail.contains("last super admin") == true, "\(path)")
            }
            #expect(try await stage.roles("stf_ann") == ["super_admin"])
            // Who can't be taken out keeps nobody else in, and nobody out.
            try await world.staff("zoe", roles: ["super_admin"])
            let finn = try #require(try await stage.person("finn")["id"]?.string)
            let swapped: JSON = ["displayName": "Super admin", "members": [["value": .string(finn)]]]
            let refusal = await stage.refusal(.replace, "Groups/super_admin", swapped)
            #expect(refusal?.reason == .conflict && refusal?.detail.contains("last super admin") == true)
            #expect(try await stage.roles("stf_ann").isEmpty)
            #expect(try await stage.roles("stf_zoe") == ["super_admin"])
            #expect(try await stage.pending(finn).map(\.state) == [.pending])
        }
    }
}
