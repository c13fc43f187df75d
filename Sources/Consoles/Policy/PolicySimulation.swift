import Kernel

/// What a rule would have done to the past: the events of its operation, looked at by what they measured then.
///
/// An event keeps what rules looked at (`measures`) sealed. One that has been erased, or is older than this, is counted as
/// unknown: the rule would have been asked about it as about anything that can't be measured.
public enum PolicySimulation {
    public static let period = Span.days(90)
    /// Events looked at for a sentence in a plan, and for the page.
    static let mostInPlan = 2000
    static let mostOnPage = 10_000

    /// One time somebody did it, or asked to.
    struct Occasion: Sendable {
        let event: String
        let at: Instant
        let operation: String
        let actorType: String
        /// Who did it: a person, a program of theirs, or Postern.
        let person: String
        let tenant: String?
        let targetType: String?
        let target: String?
        let waited: Bool
        /// `nil` when it is not known any more.
        let measures: Measures?
    }

    /// The newest first.
    public struct History: Sendable {
        let occasions: [Occasion]
        /// There are more than these.
        let isCut: Bool

        func matched(by rule: ApprovalRule?) -> [Occasion] {
            guard let rule else { return [] }
            return occasions.filter { rule.condition.matches($0.measures ?? .none) }
        }

        /// In one sentence, for the plan of a change.
        func sentence(of rule: ApprovalRule?, instead old: ApprovalRule?) -> String {
            let days = PolicySimulation.period.seconds / 86_400
            guard !occasions.isEmpty else { return "Nobody did it or asked for it in the last \(days) days." }
            let count = occasions.count
            let now = matched(by: rule).count
            let before = matched(by: old).count
            let of =
                isCut
                ? "Of the last \(count) times"
                : count == 1
                    ? "Of the one time within \(days) days"
                    : "Of \(count) times within the last \(days) days"
            return "\(of), this rule would have covered \(now)" + (old == nil ? "." : " instead of \(before).")
        }
    }

    static func history(of operation: String, limit: Int, from reader: any Reader) throws -> History {
        // All of a kind is looked at one by one.
        let names =
            operation.hasSuffix(".*")
            ? PolicyActs.all.map(\.name).filter { $0.hasPrefix(operation.dropLast()) } : [operation]
        let since = reader.now - period
        var found: [Occasion] = []
        var isCut = false
        for name in names {
            let rows = try reader.query(PolicyQueries.asked(name, since: since, limit: limit + 1))
            isCut = isCut || rows.count > limit
            found += try rows.prefix(limit).compactMap(occasion)
        }
        return History(
            occasions: found.sorted { ($0.at, $0.event) > ($1.at, $1.event) }, isCut: isCut)
    }

    /// `nil` for what was carried out by approval: its request is the occasion.
    private static func occasion(_ row: Row) throws -> Occasion? {
        let outcome = try row.string("outcome")
        let approval = try row.optionalString("approval_id")
        guard
            outcome == EventOutcome.requested.rawValue || (outcome == EventOutcome.applied.rawValue && approval == nil)
        else { return nil }
        let details = try row.optionalString("members") == nil ? nil : try row.json("members")["details"]?["value"]
        let measures = (details?["measures"] ?? details?["plan"]?["measures"])?.object
        return Occasion(
            event: try row.string("id"), at: try row.instant("at"), operation: try row.string("action"),
            actorType: try row.string("actor_type"), person: try row.string("actor_id"),
            tenant: try row.optionalString("tenant_id"), targetType: try row.optionalString("target_type"),
            target: try row.optionalString("target_id"), waited: outcome == EventOutcome.requested.rawValue,
            measures: measures.map(Measures.init))
    }
}
