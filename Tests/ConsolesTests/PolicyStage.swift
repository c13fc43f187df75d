import Consoles
import Kernel
import Store
import TestSupport

/// What the suites that change the policy share.
enum PolicyStage {
    /// Asks, has security agree, and carries out.
    static func change(
        _ world: World, _ operation: String, on target: String?, _ input: JSON, by admin: Caller
    ) async throws {
        if try await world.test.database.read({ try Staff.load("stf_guard", from: $0) }) == nil {
            try await world.staff("guard", roles: ["security"])
        }
        let pending = try await world.ask(operation, on: target, input, by: world.caller(admin.person))
        _ = try await world.pipeline.run(
            OperationRequest(
                operation: "approval.approve", target: pending.approvalID, idempotencyKey: world.key()),
            by: world.caller("stf_guard"))
        try await world.pipeline.executeDue()
        let request = try await world.approval(pending.approvalID)
        guard request.state == .executed else { throw StoreError.other("\(operation) is \(request.state.rawValue)") }
    }

    /// What a change is refused with.
    static func refusal(_ body: () async throws -> Void) async -> String {
        do {
            try await body()
        } catch OperationError.conflict(let detail, _) {
            return detail
        } catch OperationError.invalid(let errors) {
            return errors.map(\.detail).joined(separator: " ")
        } catch {
            return String(describing: error)
        }
        return "was allowed"
    }
}
