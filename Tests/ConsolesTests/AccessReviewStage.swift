import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Two super_admins, somebody from security, somebody from compliance, and a colleague without a role: what the suites of
/// access reviews share.
struct AccessReviewStage {
    let world: World
    let ada: Caller
    let ben: Caller
    let cyd: Caller
    let dot: Caller

    init(_ kind: TestDatabase.Kind) async throws {
        world = try await World.make(kind, populated: false, sendsMail: true)
        ada = try await world.staff("ada", roles: ["super_admin"])
        ben = try await world.staff("ben", roles: ["super_admin"])
        cyd = try await world.staff("cyd", roles: ["security"])
        dot = try await world.staff("dot", roles: ["compliance"])
    }

    var now: Instant { world.test.clock.clock.now }
    func fresh(_ caller: Caller) async throws -> Caller { try await world.caller(caller.person) }

    /// Starts a review and answers its id.
    func start(_ input: [String: JSON] = [:]) async throws -> String {
        try await world.run("access_review.start", .object(input), by: try await fresh(dot)).target ?? ""
    }

    func items(_ review: String) async throws -> [AccessReviewItem] {
        try await world.test.database.read { reader in
            try reader.query(AccessReviewQueries.items(of: review)).map { try AccessReviewItem($0) }
        }
    }

    func item(_ person: Caller, _ role: String = "super_admin", in review: String) async throws -> AccessReviewItem {
        try #require(try await items(review).first { $0.staffID == person.person && $0.role == role })
    }

    func review(_ id: String) async throws -> AccessReview {
        try #require(try await world.test.database.read { try AccessReview.load(id, from: $0) })
    }

    func exceptions() async throws -> [ComplianceException] {
        try await world.test.database.read { reader in
            try reader.query(ComplianceException.selectAll(after: "", limit: 100)).map {
                try ComplianceException($0)
            }
        }
    }

    @discardableResult
    func decide(_ verb: String, _ item: AccessReviewItem, by caller: Caller) async throws -> Applied {
        let outcome = try await world.pipeline.run(
            OperationRequest(
                operation: "access_review_item.\(verb)", target: item.id,
                reasonCode: verb == "keep" ? "needed" : "not_needed",
                justification: "looked at what they do all day", idempotencyKey: world.key()),
            by: try await fresh(caller))
        guard case .applied(let applied) = outcome.result else { throw StoreError.other("\(verb) waits") }
        return applied
    }

    /// What a decision is refused with.
    func refusal(_ verb: String, _ item: AccessReviewItem, by caller: Caller) async throws -> String {
        do {
            try await decide(verb, item, by: caller)
            return "was allowed"
        } catch OperationError.conflict(let detail, _) {
            return detail
        } catch OperationError.forbidden(let permission, _) {
            return "needs \(permission)"
        }
    }

    func refusal(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
        by caller: Caller
    ) async throws -> String {
        do {
            try await world.run(operation, on: target, input, reason: reason, by: try await fresh(caller))
            return "was allowed"
        } catch OperationError.conflict(let detail, _) {
            return detail
        } catch OperationError.invalid(let errors) {
            return errors.map { "\($0.pointer) \($0.detail)" }.joined(separator: "; ")
        } catch OperationError.forbidden(let permission, _) {
            return "needs \(permission)"
        }
    }

    /// Recipients of the mails of one kind, in the order of their names.
    func mails(_ name: String) async throws -> [String] {
        try await world.test.database.read { reader in
            try reader.query(Statement("SELECT payload FROM outbox WHERE name = $1", [.text("mail.\(name)")])).map {
                try $0.json("payload")["to"]?.string ?? ""
            }.sorted()
        }
    }

    static let cursors = CursorCodec(key: [UInt8](repeating: 1, count: 32))

    /// Rows of a review, as the API answers them.
    func list(_ id: String, _ query: [String: [String]]) async throws -> [JSON] {
        let read = try #require(AccessReviewConsole.console.reads.first { $0.name == "access_review_item.list" })
        let call = ReadCall(path: ["id": id], query: query, caller: dot, cursors: Self.cursors)
        return try await world.test.database.read { try read.run(call, $0).body["items"]?.array ?? [] }
    }
}
