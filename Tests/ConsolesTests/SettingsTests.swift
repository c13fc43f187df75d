import Foundation
import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

@Suite struct SettingsTests {
    private func outcome(
        _ world: World, _ key: PolicySetting.Key, _ value: Int64, by caller: Caller? = nil
    ) async throws -> Applied {
        try await world.run("setting.change", on: key.id, ["value": .int(value)], by: caller)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a new deployment has every setting as shipped`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let found = try await world.test.database.read { reader in
            try reader.query(PolicySetting.selectAll(after: "", limit: 50)).map(PolicySetting.init)
        }
        #expect(Set(found.map(\.key)) == Set(PolicySetting.Key.allCases))
        for setting in found {
            #expect(setting.value == setting.key.shipped && setting.key.range.contains(setting.value))
        }
        // Applied once more, nothing is missing and nothing is set back.
        _ = try await outcome(world, .undoHours, 48)
        #expect(try await world.test.database.read { try !SeedPolicy.isNeeded($0) })
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a start with other settings of the provider is recorded once, by their names, and told to security`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false, sendsMail: true)
        let guardian = try await world.staff("guardian", roles: ["security"])
        func start(_ digests: [String: String]) async throws -> [String] {
            world.test.clock.advance(.seconds(1))
            return try await ProviderSettings.announce(
                digests, in: world.test.database, world.pipeline.records, sendsMail: true)
        }
        let before = try await world.snapshot()
        #expect(try await start([:]) == [])
        var set = ["oidc_issuer": "aa", "oidc_client_secret": "bb"]
        #expect(try await start(set) == ["oidc_client_secret", "oidc_issuer"])
        #expect(try await start(set) == [])
        set["oidc_amr"] = "cc"
        #expect(try await start(set) == ["oidc_amr"])
        #expect(try await start([:]) == ["oidc_amr", "oidc_client_secret", "oidc_issuer"])

        let events = try await world.events(after: before)
        #expect(events.map(\.action) == [String](repeating: "oidc.settings_changed", count: 3))
        #expect(events.allSatisfy { $0.eventClass == "incident" })
        #expect(events[1].leaf["facts"]?["changed"] == ["oidc_amr"])
        #expect(try await world.snapshot().counts["outbox"] == 3)
        let writer = InboxWriter(pipeline: world.pipeline, slack: nil)
        while try await writer.turn().isMore {}
        let call = ReadCall(
            path: [:], query: [:], caller: guardian, cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
        let catalog = world.catalog
        let told = try await world.test.database.read { try InboxListing.load(call, catalog: catalog, from: $0) }
        #expect(told.entries.count { $0.notice.kind == .providerChanged } == 3)
        #expect(told.entries.first?.path?.hasPrefix("/audit/") == true)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `each setting refuses what lies outside of its bounds, and says them`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        for key in PolicySetting.Key.allCases {
            for value in [key.range.lowerBound - 1, key.range.upperBound + 1] {
                do {
                    _ = try await outcome(world, key, value)
                    Issue.record("\(key.id) took \(value)")
                } catch OperationError.invalid(let errors) {
                    #expect(errors.map(\.pointer) == ["/input/value"], "\(key.id) \(value)")
                }
            }
            for value in [key.range.lowerBound, key.range.upperBound] where value != key.shipped {
                let applied = try await outcome(world, key, value)
                #expect(applied.after?["value"] == .int(value) && applied.before?["value"] == .int(key.shipped))
                #expect(applied.consequence.contains(key.title))
                _ = try await outcome(world, key, key.shipped)
            }
            await #expect(throws: OperationError.self, "\(key.id) took what it is already") {
                _ = try await outcome(world, key, key.shipped)
            }
        }
        await world.close()
    }

    private func applied(_ outcome: Outcome) throws -> Applied {
        guard case .applied(let applied) = outcome.result else { throw StoreError.other("it waits for approval") }
        return applied
    }

    private func window(_ applied: Applied, _ now: Instant) -> Span? {
        guard let undo = applied.undo else { return nil }
        return undo.until - now
    }

    /// The sentence that refuses to undo; `nil` when it can be undone.
    private func refusal(_ world: World, _ event: String) async -> String? {
        do {
            _ = try await world.pipeline.undoOffer(for: event, by: world.everybody)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the undo window rules what was done before it, too`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let operation = try #require(world.catalog["tenant.set_note"])
        let note = try #require(try await world.trial(of: operation))
        let done = try applied(try await world.run(note))
        let at = world.test.clock.clock.now
        #expect(window(done, at) == .hours(24))

        world.test.clock.advance(.hours(30))
        #expect(await refusal(world, done.eventID) != nil)
        _ = try await outcome(world, .undoHours, 48)
        #expect(await refusal(world, done.eventID) == nil)
        _ = try await outcome(world, .undoHours, 2)
        let sentence = await refusal(world, done.eventID)
        #expect(sentence?.contains("could be undone until") == true)

        // What is done now says so from the start.
        var again = note.request
        again.idempotencyKey = world.key()
        again.input = ["note": "Handle with care, twice."]
        again.ifMatch = nil
        let preview = try await world.pipeline.preview(again, by: world.everybody)
        #expect(preview.reversibility.contains("2 hours"))
        let second = try applied(try await world.pipeline.run(again, by: world.everybody))
        #expect(window(second, world.test.clock.clock.now) == .hours(2))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a change counts as policy: later events carry another version of it`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        func version(_ event: String) async throws -> Int64? {
            let row = try await world.test.database.read { try $0.first(SQLRecords().event(event)) }
            return try JSON(parsing: try #require(row).bytes("leaf"))["policy_version"]?.int
        }
        let first = try await version(try await outcome(world, .undoHours, 48).eventID)
        let second = try await version(try await outcome(world, .undoHours, 24).eventID)
        let (before, after) = (try #require(first), try #require(second))
        #expect(after == before + 1)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `step-up follows the age that was read with the session`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let now = world.test.clock.clock.now
        func caller(_ age: Span, limit: Span) -> Caller {
            Caller(
                actor: Actor(.staff, "stf_1"), person: "stf_1", displayName: "A",
                permissions: Permissions(["setting.change": [Limit]?.none]),
                authentication: Authentication(
                    session: "ses_1", factors: [.totp], mfaAt: now - age, readAt: now, stepUpAge: limit),
                client: .api, requestID: "req_1")
        }
        do {
            _ = try await outcome(world, .undoHours, 47, by: caller(.minutes(2), limit: .minutes(1)))
            Issue.record("a factor of two minutes ago passed where one minute is the limit")
        } catch OperationError.stepUpRequired(let maxAge) {
            #expect(maxAge == .minutes(1))
        }
        _ = try await outcome(world, .undoHours, 47, by: caller(.minutes(2), limit: .minutes(3)))
        await world.close()
    }

    // MARK: Pages

    private func page(_ path: String, _ facts: InstallationFacts, _ world: World, _ caller: Caller, id: String? = nil)
        async throws -> String
    {
        let page = try #require(SettingsConsole.console(facts).pages.first { $0.path == path })
        let call = PageCall(
            path: id.map { ["id": $0] } ?? [:], query: [:], caller: caller,
            cursors: CursorCodec(key: Array(repeating: 1, count: 32)),
            catalog: world.catalog)
        return try await world.test.database.read { try page.render(call, $0).body.text }
    }

    private var facts: InstallationFacts {
        var facts = InstallationFacts()
        facts.version = "9.9"
        facts.environment = "production"
        facts.database = "PostgreSQL app@db:5432/postern"
        facts.consoleURL = "https://console.example.com"
        facts.keys = [.init("Master key", fingerprint: "abcd1234")]
        facts.retention = (try? RetentionPeriods("access_3y=5y")) ?? RetentionPeriods()
        facts.groups = [
            .init(
                "Listeners",
                [
                    .init(
                        key: "staff_port", variable: "POSTERN_STAFF_PORT", value: "8080", origin: "default",
                        summary: "Its port."),
                    .init(
                        key: "tls_key", variable: "POSTERN_TLS_KEY", value: nil, origin: "", summary: "Its private key."
                    ),
                ])
        ]
        facts.warnings = { _ in [.init(.warning, about: "auditor_url", "Shares the host name.")] }
        return facts
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the pages say what the installation is, and offer a change to who may`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let reader = world.person("reader", permissions: ["setting.view"])
        let changer = world.person("changer", permissions: ["setting.view", "setting.change"])
        let list = try await page("/settings", facts, world, reader)
        #expect(list.contains("Undo window") && list.contains("24 hours") && !list.contains("/change"))
        #expect(try await page("/settings", facts, world, changer).contains("/settings/undo_hours/change"))
        #expect(
            try await page("/settings/{id}", facts, world, changer, id: "idle_minutes").contains("from 5 to 30 minutes")
        )

        let installation = try await page("/installation", facts, world, reader)
        let step = Migration.all.map(\.number).max() ?? 0
        for text in [
            "9.9", "Production", "Shares the host name.", "abcd1234", "step \(step)", "1,830 days", "at least 3 years",
        ] {
            #expect(installation.contains(text), "\(text)")
        }
        #expect(!installation.contains("href=\"/deliveries\""))
        let configuration = try await page("/installation/configuration", facts, world, reader)
        #expect(configuration.contains("8080") && configuration.contains("not set"))
        await world.close()
    }
}
