import Consoles
import Kernel
import Store
import TestSupport

/// A tenant that may be deleted, and people around it: what the suites of requests share.
struct ApprovalStage {
    let world: World
    let tenant: String
    let asker: Caller
    let signer: Caller
    let other: Caller

    init(_ kind: TestDatabase.Kind) async throws {
        world = try await World.make(kind, populated: false)
        tenant = try await world.tenant("leaving", then: [("tenant.archive", "customer_departed")])
        world.test.clock.advance(.days(91))
        asker = try await world.staff("asked", roles: ["super_admin"])
        signer = try await world.staff("signer", roles: ["super_admin"])
        other = try await world.staff("other", roles: ["support_l2"])
    }

    func ask() async throws -> PendingApproval {
        try await world.ask("tenant.hard_delete", on: tenant, reason: "retention_policy", by: asker)
    }

    /// The same person, with a factor as fresh as now.
    func fresh(_ caller: Caller) async throws -> Caller { try await world.caller(caller.person) }

    @discardableResult
    func decide(_ verb: String, _ id: String, by caller: Caller) async throws -> Outcome {
        try await world.pipeline.run(
            OperationRequest(
                operation: "approval.\(verb)", target: id, justification: "looked at it, and this is right",
                idempotencyKey: world.key()), by: fresh(caller))
    }

    /// What a decision is refused with.
    func refusal(_ verb: String, _ id: String, by caller: Caller) async throws -> String {
        do {
            try await decide(verb, id, by: caller)
        } catch OperationError.conflict(let detail, _) {
            return detail
        } catch OperationError.notAsked(let detail) {
            return detail
        }
        return "was allowed"
    }

    /// Time passes, and what nobody signed until then expires.
    func expire(after span: Span) async throws -> Int {
        world.test.clock.advance(span)
        return try await world.pipeline.expireOverdue()
    }

    /// Somebody loses the role they ask and sign by, or leaves.
    func end(_ verb: String, of person: Caller, by other: Caller) async throws {
        let isRole = verb == "revoke_role"
        try await world.run(
            "staff.\(verb)", on: person.person, isRole ? ["role": "super_admin"] : [:],
            reason: isRole ? "moved" : "left", by: fresh(other))
    }

    func status() async throws -> String? {
        let tenant = tenant
        return try await world.test.database.read { try Tenant.load(tenant, from: $0)?.status.rawValue }
    }

    /// A rule about deleting tenants that comes in force while a request waits for its time.
    func add(_ code: String, demanding demand: String) async throws {
        try await PolicyStage.change(
            world, "policy.add_rule", on: nil,
            [
                "code": .string(code), "operation": "tenant.hard_delete", "condition": "always",
                "demand": .string(demand), "summary": "Deleting a tenant for good",
            ], by: asker)
    }
}

extension World {
    func sealed(_ event: String) async throws -> JSON {
        try await test.database.read { reader in
            try reader.first(SQLRecords().sealedMembers(event: event))?.json("members") ?? .null
        }
    }
}
