import Kernel

/// Says when reviews start by themselves, or that none does.
public enum ChangeAccessReviewPlan: Operation {
    public typealias Target = AccessReviewPlan
    public static let spec = OperationSpec(
        "access_review_plan.change", "Change the schedule",
        summary: "Says how often reviews start by themselves, of which roles, and how long they may take.",
        permission: "access_review.manage", risk: .high)

    public enum Switch: String, ParamChoice, CaseIterable {
        case on, off
    }

    public struct Input: OperationInput {
        @Param("Every", help: "A review starts at the beginning of each. Leave empty for as it is.")
        public var every: AccessReviewPlan.Cadence?
        @Param("Automatic", help: "Off: reviews start by hand only. Leave empty for as it is.")
        public var automatic: Switch?
        @Param("Roles", .choices(Seeds.roles.map(\.id)), help: "Whose grants are looked at. Leave empty for as it is.")
        public var roles: [String]?
        @Param(
            "Days until due", .range(AccessReviewPlan.days),
            help: "How long a review may take, from 3 to 90 days. Leave empty for as it is.")
        public var daysUntilDue: Int64?
        public init() {}
    }

    public struct Facts: Sendable {
        /// Those of the wanted roles that are in the tables.
        let known: Set<String>
        /// About a review that could not start.
        let exception: ComplianceException?
    }

    public static func gather(_ input: Input, _ target: AccessReviewPlan?, from reader: any Reader) throws -> Facts {
        let wanted = Set(input.roles ?? []).sorted()
        let rows = try reader.query([
            Role.select(wanted.isEmpty ? [""] : wanted, lock: false, reader.dialect),
            AccessReviewQueries.exception(about: AccessReviewPlan.type, AccessReviewPlan.only),
        ])
        return Facts(
            known: Set(try rows[0].map { try $0.string("id") }),
            exception: try rows[1].first.map(ComplianceException.init))
    }

    /// `weakens`: grants would be looked at less often, later, or fewer of them. Whoever is looked at would be rid of it alone.
    public static func measures(_ call: Call<Self>) -> Measures {
        let before = call.before
        let after = changed(call)
        let isLess =
            !after.isOn && before.isOn || after.cadence.months > before.cadence.months
            || after.daysUntilDue > before.daysUntilDue || !Set(after.roles).isSuperset(of: before.roles)
        return Measures(["weakens": .bool(isLess)])
    }

    private static func changed(_ call: Call<Self>) -> AccessReviewPlan {
        var after = call.before
        if let every = call.input.every { after.cadence = every }
        if let automatic = call.input.automatic { after.isOn = automatic == .on }
        if after.cadence != call.before.cadence || after.isOn && !call.before.isOn { after.updatedAt = call.now }
        if let days = call.input.daysUntilDue { after.daysUntilDue = days }
        if let roles = call.input.roles, !roles.isEmpty { after.roles = Set(roles).sorted() }
        return after
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReviewPlan> {
        let before = call.before
        var after = changed(call)
        if let roles = call.input.roles, !roles.isEmpty {
            if let role = after.roles.first(where: { !call.facts.known.contains($0) }) {
                throw .field("roles", "There is no role \(role) in this deployment.")
            }
            // The order they were in is the same schedule.
            if Set(after.roles) == Set(before.roles) { after.roles = before.roles }
        }
        guard
            (after.cadence, after.isOn, after.daysUntilDue) != (before.cadence, before.isOn, before.daysUntilDue)
                || after.roles != before.roles
        else { throw .conflict("Nothing would change: the schedule is so already.") }
        // It was decided to live without the review that could not start.
        let over = after.isOn ? nil : call.facts.exception
        return Plan(
            after,
            also: over.map { [Change.update($0, to: $0.ended(.accepted, by: call.person, at: call.now))] } ?? [],
            facts: [
                "is_on": .bool(after.isOn), "cadence": .string(after.cadence.rawValue),
                "roles": .array(after.roles.map(JSON.string)), "days_until_due": .int(after.daysUntilDue),
            ],
            consequence: after.isOn
                ? "Reviews start \(after.words); the next one on \(after.cadence.next(after: call.now).day.words)."
                : "No review starts by itself any more.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        guard let before = done.before else { return .impossible("Change it again.") }
        return .run(
            spec.name,
            input: .members([
                ("every", before["cadence"]), ("automatic", before["is_on"] == true ? "on" : "off"),
                ("roles", before["roles"]), ("days_until_due", before["days_until_due"]),
            ]))
    }

    public static func prefill(_ target: AccessReviewPlan) -> [String: JSON] {
        [
            "every": .string(target.cadence.rawValue), "automatic": target.isOn ? "on" : "off",
            "roles": .array(target.roles.map(JSON.string)), "days_until_due": .int(target.daysUntilDue),
        ]
    }
}
