import Synchronization

/// The approval rules as they were last read. While the policy's mark is the same they need not be read again.
final class KnownRules: Sendable {
    private struct State {
        var mark: String?
        var rules: [ApprovalRule] = []
        /// Those that cover an operation, by its name.
        var covering: [String: [ApprovalRule]] = [:]
    }
    private let state = Mutex(State())

    /// The rules that cover an operation as of a mark, by id; `nil` when they are to be read first.
    func rules(covering operation: String, at mark: String) -> [ApprovalRule]? {
        state.withLock { state in
            guard state.mark == mark else { return nil }
            if let known = state.covering[operation] { return known }
            let covering = Self.covering(operation, state.rules)
            state.covering[operation] = covering
            return covering
        }
    }

    /// - Parameter rows: what `Records.rules` answered. Without any there is no mark to know them by.
    func rules(
        covering operation: String, reading rows: [Row], _ parse: (Row) throws -> ApprovalRule
    ) throws -> [ApprovalRule] {
        let rules = try rows.map(parse)
        if let mark = try rows.first?.string("mark") { state.withLock { $0 = State(mark: mark, rules: rules) } }
        return Self.covering(operation, rules)
    }

    private static func covering(_ operation: String, _ rules: [ApprovalRule]) -> [ApprovalRule] {
        rules.filter { $0.covers(operation) }.sorted { $0.id < $1.id }
    }
}
