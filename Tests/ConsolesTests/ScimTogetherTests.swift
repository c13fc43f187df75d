import Consoles
import Kernel
import TestSupport
import Testing

/// What one request of an identity provider changes, as one.
@Suite struct ScimTogetherTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `what one request asks for is done whole or not at all`(kind: TestDatabase.Kind) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            try await world.staff("eve", roles: ["engineering_oncall", "support_l1"])
            try await world.session("ses_eve", of: "stf_eve")
            _ = try await stage.person("dora")
            // The person would go, and the second step is refused: nobody has gone.
            let before = try await world.snapshot()
            let both: JSON = ScimTests.patch(["active": false, "userName": "dora@x.example"])
            #expect(await stage.refusal(.change, "Users/stf_eve", both)?.reason == .uniqueness)
            let whole: JSON = ["userName": "dora@x.example", "active": false, "displayName": "Eve"]
            #expect(await stage.refusal(.replace, "Users/stf_eve", whole)?.reason == .uniqueness)
            let odd: JSON = ScimTests.patch(["active": false, "userName": .string(String(repeating: "x", count: 300))])
            #expect(await stage.refusal(.change, "Users/stf_eve", odd)?.reason == .invalidValue)
            #expect(try await world.snapshot().state == before.state)
            #expect(try await ScimTests.isOpen("ses_eve", world))
            // It is recorded as a refusal of what was refused, and of nothing else; what could never be is no decision.
            let refused = try await world.events(after: before).filter { $0.eventClass == "mutation" }
            #expect(refused.map(\.action) == ["staff.sync_profile", "staff.sync_profile"])
            #expect(refused.allSatisfy { $0.outcome == "denied" && $0.leaf["facts"]?["token"] != nil })

            // Together they are one transaction: the sessions end in it.
            let since = try await world.snapshot()
            let tag = try await stage.resource(.read, "Users/stf_eve")["meta"]?["version"]?.string
            let gone = try await stage.resource(
                .change, "Users/stf_eve", ScimTests.patch(["active": false, "displayName": "Eve L."]), expected: tag)
            #expect(gone["active"] == false && gone["displayName"] == "Eve L.")
            #expect(try await !ScimTests.isOpen("ses_eve", world))
            #expect(try await stage.roles("stf_eve").isEmpty)
            let events = try await world.events(after: since).filter { $0.eventClass == "mutation" }
            #expect(events.map(\.action) == ["staff.deprovision", "staff.sync_profile"])
            #expect(events.allSatisfy { $0.leaf["facts"]?["token"]?.string == stage.provider.displayName })
            // Coming back with another name, and then deleted and made again with a third one.
            let back = try await stage.resource(
                .change, "Users/stf_eve", ScimTests.patch(["active": true, "displayName": "Eve M."]))
            #expect(back["active"] == true && back["displayName"] == "Eve M.")
            _ = try await stage.send(.remove, "Users/stf_eve")
            let taken: JSON = [
                "userName": .string(try #require(back["userName"]?.string)), "active": true, "displayName": "Eve N.",
                "emails": [["value": "dora@x.example"]],
            ]
            let left = try await world.snapshot()
            #expect(await stage.refusal(.create, "Users", taken)?.reason == .uniqueness)
            #expect(try await world.snapshot().state == left.state)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `members come all together or not at all, and who goes does not wait for them`(
        kind: TestDatabase.Kind
    ) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            try await world.staff("eve", roles: ["support_l1"])
            try await world.staff("fay", roles: ["billing_ops"])
            let dora = try #require(try await stage.person("dora")["id"]?.string)
            // One of them holds what this is not held with.
            let before = try await world.snapshot()
            func members(_ ids: String...) -> JSON {
                ["displayName": "Support L1", "members": .array(ids.map { ["value": .string($0)] })]
            }
            let refusal = await stage.refusal(.replace, "Groups/support_l1", members("stf_eve", dora, "stf_fay"))
            #expect(
                refusal?.detail.contains("stf_fay: Support L1 and Billing operations") == true,
                "\(refusal?.detail ?? "")")
            #expect(try await world.snapshot().state == before.state)
            #expect(try await stage.roles("stf_eve") == ["support_l1"])
            // More than a hundred at once are not even begun.
            let many: JSON = .array((0..<101).map { ["value": .string("stf_m\($0)")] })
            let crowd = await stage.refusal(.replace, "Groups/support_l1", ["members": many])
            #expect(crowd?.reason == .tooMany && crowd?.detail.contains("At most 100 members") == true)
            #expect(try await stage.roles("stf_eve") == ["support_l1"])
            // Whom the provider takes out is out, whatever becomes of those who come with the same request.
            for (newcomer, words) in [("stf_fay", "stf_fay: Support L1"), ("stf_nobody", "nobody with the id")] {
                try await stage.add(dora, to: "support_l1")
                let tag = try await stage.resource(.read, "Groups/support_l1")["meta"]?["version"]?.string
                let swap: JSON = [
                    "Operations": [
                        ["op": "remove", "path": .string("members[value eq \"\(dora)\"]")],
                        ["op": "add", "path": "members", "value": [["value": .string(newcomer)]]],
                    ]
                ]
                let said = await stage.refusal(.change, "Groups/support_l1", swap, expected: tag)
                #expect(said?.detail.contains(words) == true, "\(said?.detail ?? "")")
                #expect(try await stage.roles(dora).isEmpty)
                #expect(try await stage.roles("stf_eve") == ["support_l1"])
                // Sent again it is refused again, and there is nothing left to take.
                let since = try await world.snapshot()
                #expect(await stage.refusal(.change, "Groups/support_l1", swap) != nil)
                #expect(try await world.snapshot().state == since.state)
            }
            let done = try await stage.resource(.replace, "Groups/support_l1", members(dora))
            #expect(done["members"]?.array?.compactMap { $0["value"]?.string } == [dora])
            #expect(try await stage.roles("stf_eve").isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `several operations together are for parts of Postern, and each looks at what those before it did`(
        kind: TestDatabase.Kind
    ) async throws {
        try await ScimTests.with(kind) { stage in
            let world = stage.world
            try await world.staff("eve", roles: ["support_l1"])
            func give(_ role: String) -> OperationRequest {
                OperationRequest(operation: "staff.provision_role", target: "stf_eve", input: ["role": .string(role)])
            }
            func stopped(_ steps: [OperationRequest], by caller: Caller) async -> StoppedTogether? {
                do throws(StoppedTogether) {
                    _ = try await world.pipeline.run(together: steps, by: caller)
                    return nil
                } catch {
                    return error
                }
            }
            guard case .keyMissing = await stopped([give("compliance")], by: try await world.caller("stf_ann"))?.error
            else {
                Issue.record("a person ran several at once")
                return
            }
            let before = try await world.snapshot()
            let twice = await stopped([give("compliance"), give("compliance")], by: stage.provider)
            #expect(twice?.step == 1)
            #expect(try await world.snapshot().state == before.state)
            let applied = try await world.pipeline.run(
                together: [give("compliance"), give("security")], by: stage.provider)
            #expect(applied.map(\.version) == [2, 3])
            #expect(try await stage.pending("stf_eve").map(\.role).sorted() == ["compliance", "security"])
            #expect(try await world.pipeline.run(together: [], by: stage.provider).isEmpty)
        }
    }
}
