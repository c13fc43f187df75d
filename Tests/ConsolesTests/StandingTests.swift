import Consoles
import Kernel
import TestSupport
import Testing

/// What a standing rests on, and what of it is asked for only when there is something.
@Suite struct StandingTests {
    /// How many statements are still to be asked, and what somebody's standing is with their answers.
    private static func ask(of id: String, _ world: World) async throws -> (further: Int, standing: Standing?) {
        try await world.test.database.read { reader in
            let question = StaffDirectory().standings(of: [id])
            let rows = try reader.query(question.statements)
            let further = try question.further(rows)
            if !further.isEmpty {
                #expect(throws: StoreError.self) { try question.read(rows, [], at: reader.now) }
            }
            return (further.count, try question.read(rows, from: reader)[id])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `roles are read when the policy is another one, and former resets where there are any`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        // Its policy has another mark, so that whoever asked there knows nothing of this one.
        let elsewhere = try await World.make(kind, populated: false)
        let stranger = try await elsewhere.staff("stranger", roles: ["super_admin"])
        try await elsewhere.test.tamper([StandingTestQueries.markAnew])
        let asker = stage.asker.person
        _ = try await Self.ask(of: asker, stage.world)
        let known = try await Self.ask(of: asker, stage.world)
        #expect(known.further == 0)
        #expect(try await Self.ask(of: stranger.person, elsewhere).further == 1)
        let anew = try await Self.ask(of: asker, stage.world)
        #expect(anew.further == 1)
        let (before, after) = (try #require(known.standing), try #require(anew.standing))
        #expect(before.isActive && !before.permissions.granted.isEmpty)
        #expect(before.permissions.granted.keys == after.permissions.granted.keys && before.roles == after.roles)

        let id = stage.colleague.person
        // Given new factors twice within what counts: by one person, and by another.
        _ = try await stage.apply("deactivate", on: stage.colleague, reason: "compromised", by: stage.asker)
        _ = try await stage.apply("reactivate", on: stage.colleague, reason: "returned", by: stage.asker)
        let invited = try #require(try await stage.world.test.database.read { try Staff.load(id, from: $0) })
        var enrolled = invited
        enrolled.status = .active
        enrolled.version += 1
        try await stage.world.put([.update(invited, to: enrolled)])
        _ = try await Self.ask(of: id, stage.world)
        let once = try await Self.ask(of: id, stage.world)
        #expect(once.further == 0 && once.standing?.touches.count { $0.kind == .refactored } == 1)
        stage.world.test.clock.advance(.hours(1))
        let asked = try await stage.ask("reset_factors", on: stage.colleague, reason: "lost", by: stage.signer)
        try await stage.approve(asked.approvalID, by: stage.guardian)
        _ = try await Self.ask(of: id, stage.world)
        let twice = try await Self.ask(of: id, stage.world)
        let touched = Set((twice.standing?.touches ?? []).filter { $0.kind == .refactored }.map(\.by))
        #expect(twice.further == 1 && touched == [stage.asker.person, stage.signer.person])
        _ = try await Self.ask(of: stranger.person, elsewhere)
        let both = try await Self.ask(of: id, stage.world)
        #expect(both.further == 2 && Set(both.standing?.touches ?? []) == Set(twice.standing?.touches ?? []))
        await stage.world.close()
        await elsewhere.close()
    }
}
