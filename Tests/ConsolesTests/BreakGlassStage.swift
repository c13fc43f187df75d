import Consoles
import Kernel
import Store
import TestSupport

/// Two super_admins, somebody from security, somebody from support, and two customers.
struct BreakGlassStage {
    let world: World
    let ann: Caller
    let bob: Caller
    let sam: Caller
    let lee: Caller
    let acme: String
    let other: String

    init(_ kind: TestDatabase.Kind, sendsMail: Bool = false) async throws {
        world = try await World.make(kind, populated: false, sendsMail: sendsMail)
        ann = try await world.staff("ann", roles: ["super_admin"])
        bob = try await world.staff("bob", roles: ["super_admin"])
        sam = try await world.staff("sam", roles: ["security"])
        lee = try await world.staff("lee", roles: ["support_l2"])
        // Whoever has a factor can be reached.
        let now = world.test.clock.clock.now
        try await world.put(
            ["ann", "bob"].map { name in
                .create(
                    Factor(
                        id: "fac_\(name)", staffID: "stf_\(name)", kind: .totp, label: "App", secret: "sealed",
                        createdAt: now))
            })
        acme = try await world.tenant("acme")
        other = try await world.tenant("other")
    }

    static func with(
        _ kind: TestDatabase.Kind, sendsMail: Bool = false, _ body: (BreakGlassStage) async throws -> Void
    ) async throws {
        let stage = try await BreakGlassStage(kind, sendsMail: sendsMail)
        do {
            try await body(stage)
            await stage.world.close()
        } catch {
            await stage.world.close()
            throw error
        }
    }

    var now: Instant { world.test.clock.clock.now }
    func advance(_ span: Span) { world.test.clock.advance(span) }
    /// As they stand now, with a factor as fresh as now.
    func fresh(_ caller: Caller) async throws -> Caller { try await world.caller(caller.person) }

    static let tried = "Called Bob twice and wrote to him; he is on a plane."

    func request(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
        ticket: String? = "INC-7"
    ) -> OperationRequest {
        OperationRequest(
            operation: operation, target: target, input: input, reasonCode: reason,
            justification: "because the test needs it done", ticket: ticket, idempotencyKey: world.key())
    }

    @discardableResult
    func run(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
        by caller: Caller
    ) async throws -> Outcome {
        try await world.pipeline.run(
            request(operation, on: target, input, reason: reason), by: try await fresh(caller))
    }

    @discardableResult
    func apply(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
        by caller: Caller
    ) async throws -> Applied {
        guard
            case .applied(let applied) = try await run(operation, on: target, input, reason: reason, by: caller).result
        else { throw StoreError.other("\(operation) waits") }
        return applied
    }

    /// The request that waits for another super_admin.
    func ask(by caller: Caller, on tenant: String = "acme") async throws -> String {
        guard
            case .pending(let pending) = try await run(
                "breakglass.open", ["tenant": .string(tenant)], reason: "outage", by: caller
            ).result
        else { throw StoreError.other("opening waits for nobody") }
        return pending.approvalID
    }

    @discardableResult
    func approve(_ request: String, by caller: Caller) async throws -> Outcome {
        try await run("approval.approve", on: request, by: caller)
    }

    /// Opened by two; answers its id.
    func open(by caller: Caller, with signer: Caller, on tenant: String = "acme") async throws -> String {
        let outcome = try await approve(try await ask(by: caller, on: tenant), by: signer)
        guard outcome.execution?.state == .executed, let id = try await live(of: caller)?.id else {
            throw StoreError.other("it was not opened: \(String(describing: outcome.execution))")
        }
        return id
    }

    /// Opened alone, after nobody answered.
    func openAlone(by caller: Caller, on tenant: String = "acme") async throws -> String {
        _ = try await ask(by: caller, on: tenant)
        advance(.minutes(11))
        try await world.pipeline.expireOverdue()
        return try await solo(by: caller, on: tenant).target ?? ""
    }

    @discardableResult
    func solo(by caller: Caller, on tenant: String = "acme") async throws -> Applied {
        try await apply(
            "breakglass.open", ["tenant": .string(tenant), "solo": true, "tried": .string(Self.tried)],
            reason: "outage", by: caller)
    }

    @discardableResult
    func review(
        _ id: String, by caller: Caller, verdict: String = "justified", followUp: String? = nil
    ) async throws -> Applied {
        try await apply(
            "breakglass.review", on: id,
            JSON.members([
                ("verdict", .string(verdict)),
                ("findings", "The consent page was down; the flag was right, and was taken back."),
                ("follow_up", followUp.map(JSON.string)),
            ]), by: caller)
    }

    @discardableResult
    func turn() async throws -> Int { try await BreakGlassTurn(pipeline: world.pipeline).turn() }

    func session(_ id: String) async throws -> BreakGlass {
        try await world.test.database.read { reader in
            guard let session = try BreakGlass.load(id, from: reader) else {
                throw StoreError.other("there is no \(id)")
            }
            return session
        }
    }

    /// The one of a person that is not reviewed.
    func live(of caller: Caller) async throws -> BreakGlass? {
        try await world.test.database.read { reader in
            try reader.query(BreakGlass.selectAll(after: "", limit: 500)).map(BreakGlass.init)
                .first { $0.person == caller.person && $0.state != .reviewed }
        }
    }

    /// What it is refused with; "was allowed" when it was not.
    func refusal<Answer>(_ body: () async throws -> Answer) async -> String {
        do {
            _ = try await body()
            return "was allowed"
        } catch OperationError.conflict(let detail, _) {
            return detail
        } catch OperationError.invalid(let errors) {
            return errors.map { "\($0.pointer) \($0.detail)" }.joined(separator: "; ")
        } catch OperationError.forbidden(let permission, let detail) {
            return "\(permission): \(detail)"
        } catch OperationError.notAsked(let detail) {
            return detail
        } catch {
            return String(describing: error)
        }
    }
}
