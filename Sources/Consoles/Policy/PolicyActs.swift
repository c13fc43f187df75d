import Kernel

/// The operations there are, as far as policy looks at them.
enum PolicyActs {
    /// Read when it is first asked for: the list of consoles holds the operations that ask.
    static let all: [PolicyLint.Act] = Consoles.all.flatMap(\.operations).filter { !$0.spec.systemOnly }.map {
        PolicyLint.Act(
            $0.spec.name, permission: $0.spec.permission, risk: $0.spec.risk, title: $0.spec.title)
    }

    private static let titles = Dictionary(
        all.compactMap { act in act.title.map { (act.name, $0) } }, uniquingKeysWith: { first, _ in first })

    /// "“Suspend tenant” (tenant.suspend)"; all of a kind, `bulk.*`, and what is not built yet by its code.
    static func exact(_ operation: String) -> String {
        AccessNames.exactOperation(operation, titles[operation])
    }

    /// "Suspend tenant"; `nil` for all of a kind, and for what is not built yet.
    static func title(_ operation: String) -> String? { titles[operation] }

    /// What waits for nobody, whatever rules say: what Postern does by itself, and deciding on requests.
    static let exempt: [String] = Consoles.all.flatMap(\.operations).filter {
        $0.spec.systemOnly || $0.targetType == ApprovalRequest.type
    }.map(\.spec.name)

    static var lint: PolicyLint { PolicyLint(all) }

    /// What a change of policy brings with it.
    static func consequences(of after: PolicyState, instead before: PolicyState) -> [PolicyFinding] {
        let known = Set(lint.findings(before).map(\.key))
        return lint.findings(after).filter { !known.contains($0.key) }
    }

    /// Refuses what would let one person do alone what needs two, or leave nobody who could sign; says what else follows.
    static func check(_ after: PolicyState, instead before: PolicyState) throws(Refusal) -> String {
        let found = consequences(of: after, instead: before)
        if let worst = found.first(where: \.isProblem) {
            throw .conflict(
                worst.sentence + (worst.steps.isEmpty ? "" : " How: " + worst.steps.joined(separator: "; ") + "."))
        }
        return found.map { " " + $0.sentence }.joined()
    }
}
