import Synchronization

/// The approval rules as they were last read, so that they are parsed again only when a row of them is another.
final class KnownRules: Sendable {
    private struct State {
        var rows: [[Value]] = []
        var rules: [ApprovalRule] = []
    }
    private let state = Mutex(State())

    func rules(_ rows: [Row], _ parse: (Row) throws -> ApprovalRule) throws -> [ApprovalRule] {
        let values = rows.map(\.values)
        if let known = state.withLock({ $0.rows == values ? $0.rules : nil }) { return known }
        let rules = try rows.map(parse)
        state.withLock { $0 = State(rows: values, rules: rules) }
        return rules
    }
}
