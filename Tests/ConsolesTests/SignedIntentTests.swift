import Consoles
import Store
import TestSupport
import Testing

@testable import Kernel

/// What passkeys sign, through the pipeline (spec: access §3, "Signed intent").
@Suite struct SignedIntentTests {
    /// People with and without passkeys, at a site where these can be used.
    private struct Stage {
        let world: World
        let asker: Caller
        let signer: Caller
        let codes: Caller
        let passkey = SoftPasskey()

        init(_ kind: TestDatabase.Kind) async throws {
            world = try await World.make(
                kind, populated: false, site: PasskeySite(id: "localhost", origin: "http://localhost:8080"))
            asker = try await world.staff("asked", roles: ["super_admin"])
            signer = try await world.staff("signer", roles: ["super_admin"])
            codes = try await world.staff("codes", roles: ["security"])
            try await world.put([
                .create(
                    Factor(
                        id: "fct_key", staffID: signer.person, kind: .webauthn, label: "Key",
                        secret: "{}", credential: Base64.encodeURL(passkey.credential),
                        createdAt: world.test.clock.clock.now))
            ])
        }

        func invite(notBefore: Instant? = nil) async throws -> String {
            try await world.ask(
                "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]], by: asker,
                notBefore: notBefore
            ).approvalID
        }

        func inConsole(_ caller: Caller) -> Caller { Self.caller(caller, through: .console) }

        static func caller(
            _ caller: Caller, through client: Client, with authentication: Authentication? = nil
        ) -> Caller {
            Caller(
                actor: caller.actor, person: caller.person, displayName: caller.displayName, roles: caller.roles,
                permissions: caller.permissions, authentication: authentication ?? caller.authentication,
                client: client,
                ip: caller.ip, userAgent: caller.userAgent, requestID: caller.requestID)
        }

        func decision(_ verb: String, _ id: String) -> OperationRequest {
            OperationRequest(
                operation: "approval.\(verb)", target: id, justification: "looked at it, and this is right",
                idempotencyKey: world.key())
        }

        /// The request with its action signed by the passkey.
        func signed(
            _ request: OperationRequest, by caller: Caller, seed: IntentSeed? = nil,
            _ change: (JSON) -> JSON = { $0 }
        ) async throws -> OperationRequest {
            try await Self.signed(request, by: caller, with: passkey, in: world, seed: seed, change)
        }

        static func signed(
            _ request: OperationRequest, by caller: Caller, with passkey: SoftPasskey, in world: World,
            seed: IntentSeed? = nil, _ change: (JSON) -> JSON = { $0 }
        ) async throws -> OperationRequest {
            let nonce = SecureRandom.bytes(57)
            let seed = seed ?? IntentSeed(at: world.test.clock.clock.now, secret: nonce)
            let action = change(try await world.pipeline.question(of: request, by: caller, seed: seed))
            var request = request
            request.intent = SignedIntent(
                person: caller.person, action: action, nonce: nonce,
                seed: action["decision"] == "request" ? seed : nil, factor: "fct_key",
                key: try PasskeyKey(cose: passkey.cose),
                assertion: try PasskeyAssertion(
                    passkey.use(challenge: SignedIntent.challenge(action, nonce: nonce))))
            return request
        }
    }

    private func conflict(_ body: () async throws -> Void) async -> String? {
        if case .conflict(let detail, _) = await failure(body) { return detail }
        return nil
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever has a passkey signs what they agree to with it, and nobody else has to`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.invite()
        let request = stage.decision("approve", id)
        // Looking at it asks for no signature.
        #expect(try await stage.world.pipeline.preview(request, by: stage.signer).allowed)
        let said = await conflict { _ = try await stage.world.pipeline.run(request, by: stage.signer) }
        #expect(said?.contains("You have a passkey") == true, "\(said ?? "it was carried out")")
        #expect(try await stage.world.approval(id).state == .pending)
        // On the command line no passkey can be used, which its preview says, and where one can.
        let typed = try await stage.world.pipeline.preview(request, by: Stage.caller(stage.signer, through: .cli))
        #expect(!typed.allowed && typed.reasons == [said ?? ""], "\(typed.reasons)")
        #expect(said?.contains("/approvals/\(id)") == true)
        #expect(
            try await stage.world.pipeline.preview(request, by: Stage.caller(stage.codes, through: .cli)).allowed)

        _ = try await stage.world.pipeline.run(stage.signed(request, by: stage.signer), by: stage.signer)
        #expect(try await stage.world.approval(id).state == .executed)
        let methods = try await stage.world.test.database.read { reader in
            try reader.query(SQLRecords().signatures(approval: id)).map { try $0.string("method") }
        }
        #expect(methods == ["webauthn"])

        let other = try await stage.world.ask(
            "staff.invite", ["email": "other@staff.test", "name": "Other", "roles": ["support_l1"]], by: stage.asker
        ).approvalID
        _ = try await stage.world.pipeline.run(stage.decision("approve", other), by: stage.codes)
        #expect(try await stage.world.approval(other).state == .executed)
        // Saying no takes no signature.
        let third = try await stage.world.ask(
            "staff.invite", ["email": "third@staff.test", "name": "Third", "roles": ["support_l1"]], by: stage.asker
        ).approvalID
        _ = try await stage.world.pipeline.run(stage.decision("reject", third), by: stage.signer)
        #expect(try await stage.world.approval(third).state == .rejected)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever has a passkey asks in the console for what is of high risk with it, and elsewhere need not`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let tenant = try await world.tenant("asked-for")
        func suspend() -> OperationRequest {
            OperationRequest(
                operation: "tenant.suspend", target: tenant, reasonCode: "abuse",
                justification: "because the test world needs it", ticket: "TEST-1", idempotencyKey: world.key())
        }
        func restore() async throws {
            try await world.run("tenant.restore", on: tenant, reason: "investigation_closed")
        }
        let signer = stage.inConsole(stage.signer)
        // The form is offered all the same: it asks for the passkey.
        #expect(try await world.pipeline.preview(suspend(), by: signer).allowed)
        let before = try await world.snapshot()
        let said = await conflict { _ = try await world.pipeline.run(suspend(), by: signer) }
        #expect(said?.contains("You have a passkey") == true, "\(said ?? "it was carried out")")
        #expect(try await world.snapshot().state == before.state)
        _ = try await world.pipeline.run(stage.signed(suspend(), by: signer), by: signer)
        try await restore()

        // One touch can't sign many actions; the factor that was used last is the passkey all the same.
        func oneOfSeveral() -> OperationRequest {
            var one = suspend()
            one.isOneOfSeveral = true
            return one
        }
        let weak = await conflict { _ = try await world.pipeline.run(oneOfSeveral(), by: signer) }
        #expect(weak?.contains("You have a passkey") == true, "\(weak ?? "it was carried out")")
        let authentication = try #require(signer.authentication)
        let touched = Stage.caller(
            stage.signer, through: .console,
            with: Authentication(
                session: authentication.session, factors: [.webauthn], mfaAt: authentication.mfaAt,
                readAt: authentication.readAt))
        _ = try await world.pipeline.run(oneOfSeveral(), by: touched)
        try await restore()
        // Over the API a fresh factor does, and in the console for whoever has nothing better.
        _ = try await world.pipeline.run(suspend(), by: stage.signer)
        try await restore()
        _ = try await world.pipeline.run(suspend(), by: stage.inConsole(stage.asker))
        await world.close()
    }

    @Test func `everything of high risk can be signed, so that nobody with a passkey is without a way`() async throws {
        let world = try await World.make(
            .sqlite, drifted: true, site: PasskeySite(id: "localhost", origin: "http://localhost:8080"))
        let passkey = SoftPasskey()
        try await world.put([
            .create(
                Factor(
                    id: "fct_everybody", staffID: "stf_everybody", kind: .webauthn, label: "Key", secret: "{}",
                    credential: Base64.encodeURL(passkey.credential), createdAt: world.test.clock.clock.now))
        ])
        var tried = 0
        for operation in world.catalog.operations
        where operation.spec.risk >= .high && !operation.spec.systemOnly {
            guard let trial = try await world.trial(of: operation) else { continue }
            tried += 1
            let caller = Stage.caller(trial.caller, through: .console)
            let name = operation.spec.name
            let refused = await conflict {
                let request = try await Stage.signed(trial.request, by: caller, with: passkey, in: world)
                // What the clock says meanwhile is no part of what was signed.
                world.test.clock.advance(.seconds(20))
                _ = try await world.pipeline.run(request, by: caller)
            }
            #expect(refused != PasskeyRefusal.otherAction.sentence, "\(name) is signed and then refused")
            #expect(refused?.contains("You have a passkey") != true, "\(name) can’t be signed")
        }
        #expect(tried > 15)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a question is a look, and what is signed otherwise is refused; both are recorded`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.invite()
        let request = stage.decision("approve", id)
        var before = try await stage.world.snapshot()
        let forged = try await stage.signed(request, by: stage.signer) { action in
            var members = action.object ?? [:]
            members["plan_digest"] = .string(String(repeating: "0", count: 64))
            return .object(members)
        }
        let looks = try await stage.world.events(after: before)
        try #require(looks.map(\.action) == ["approval.approve"])
        #expect(looks[0].eventClass == "access" && looks[0].leaf["facts"]?["preview"] == true)

        before = try await stage.world.snapshot()
        let said = await conflict { _ = try await stage.world.pipeline.run(forged, by: stage.signer) }
        #expect(said == PasskeyRefusal.otherAction.sentence)
        let refused = try await stage.world.events(after: before)
        #expect(refused.map(\.outcome) == ["denied"])
        #expect(try await stage.world.snapshot().state == before.state)

        // Who may not is refused at the question, and that is a look as well.
        before = try await stage.world.snapshot()
        let own = await failure {
            _ = try await stage.signed(stage.decision("approve", id), by: stage.asker)
        }
        #expect(own != nil)
        #expect(try await stage.world.events(after: before).map(\.eventClass) == ["access"])
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an earliest start is part of what is signed, and of what is agreed to`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let start = stage.world.test.clock.clock.now + .hours(2)
        var request = OperationRequest(
            operation: "staff.invite", input: ["email": "late@staff.test", "name": "Late", "roles": ["support_l1"]],
            justification: "because the test world needs it", ticket: "TEST-1", idempotencyKey: stage.world.key(),
            notBefore: start)
        request = try await stage.signed(request, by: stage.signer)
        #expect(request.intent?.action["not_before"]?.string == start.rfc3339)
        var sooner = request
        sooner.notBefore = nil
        sooner.idempotencyKey = stage.world.key()
        #expect(
            await conflict { _ = try await stage.world.pipeline.run(sooner, by: stage.signer) }
                == PasskeyRefusal.otherAction.sentence)
        guard case .pending(let pending) = try await stage.world.pipeline.run(request, by: stage.signer).result else {
            Issue.record("it waits for nobody")
            return
        }
        let waiting = try await stage.world.approval(pending.approvalID)
        #expect(waiting.action["not_before"]?.string == start.rfc3339)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the plan behind a signature is kept where nobody else has to agree`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let tenant = try await stage.world.tenant("signed")
        let request = try await stage.signed(
            OperationRequest(
                operation: "tenant.suspend", target: tenant, reasonCode: "abuse",
                justification: "because the test world needs it", ticket: "TEST-1",
                idempotencyKey: stage.world.key()), by: stage.signer)
        guard case .applied(let applied) = try await stage.world.pipeline.run(request, by: stage.signer).result else {
            Issue.record("it waits for approval")
            return
        }
        let members = try await stage.world.sealed(applied.eventID)
        let plan = try #require(members["plan"]?["value"])
        #expect(plan["changes"]?.array?.first?["after"]?["status"] == "suspended")
        let salt = try #require(members["plan"]?["salt"]?.string.flatMap(Base64.decode))
        #expect(PlanDigest.hex(plan, salt: salt) == request.intent?.action["plan_digest"]?.string)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a signature that counts no more reopens the request for the time that is left of it`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.invite(notBefore: stage.world.test.clock.clock.now + .hours(2))
        let expires = try await stage.world.approval(id).expiresAt
        _ = try await stage.world.pipeline.run(stage.decision("approve", id), by: stage.codes)
        #expect(try await stage.world.approval(id).state == .scheduled)
        stage.world.test.clock.advance(.hours(3))
        try await stage.world.revoke("security", of: stage.codes.person)
        #expect(try await stage.world.pipeline.executeDue() == 1)
        let reopened = try await stage.world.approval(id)
        #expect(reopened.state == .pending && reopened.round == 2 && reopened.expiresAt == expires)
        await stage.world.close()
    }
}
