import Kernel

/// Puts the shipped roles, permissions, limits, approval rules, separations, settings, the schedule of reviews and the workers into the tables. Rows that are there already stay as they
/// are, whatever was changed in them.
public enum SeedPolicy: Operation {
    public typealias Target = Role
    public static let spec = OperationSpec(
        "policy.seed", "Seed access policy",
        summary: "Adds the shipped roles, permissions, approval rules and settings that are missing.",
        permission: "policy.change", risk: .critical, justification: OperationSpec.Justification.none, systemOnly: true)

    public struct Facts: Sendable {
        /// Type and id of what is there.
        let present: Set<String>
    }

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { [Guard("policy:seed")] }

    public static func gather(_ input: NoInput, _ target: Role?, from reader: any Reader) throws -> Facts {
        Facts(present: try present(in: reader))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Role> {
        let missing = all(at: call.now).filter { !call.facts.present.contains("\(type(of: $0).type) \($0.id)") }
        return Plan(
            nil, also: missing.map(Change.create), facts: ["seed_version": .int(Seeds.version)], recordsDigests: true,
            consequence: missing.isEmpty
                ? "Nothing was missing." : "\(missing.count) rows of access policy were added.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Policy is changed by later operations, not undone.")
    }

    /// False when every shipped row is in the tables, so that nothing needs to run at start.
    public static func isNeeded(_ reader: any Reader) throws -> Bool {
        let present = try present(in: reader)
        return all(at: reader.now).contains { !present.contains("\(type(of: $0).type) \($0.id)") }
    }

    private static func all(at now: Instant) -> [any Entity] {
        var out: [any Entity] = Seeds.roles
        out += Seeds.permissions
        out += Seeds.rules.map { ApprovalRuleRow($0) }
        out += Seeds.separations
        out += PolicySetting.Key.allCases.map { PolicySetting($0, at: now) }
        out += Seeds.currencies.map { ExchangeRate(id: $0, micros: 0) }
        out += [AccessReviewPlan(updatedAt: now)]
        out += Worker.Name.allCases.map { Worker($0) }
        return out
    }

    private static func present(in reader: any Reader) throws -> Set<String> {
        // A deployment's own rows come on top of the shipped ones; a few thousand are far more than anybody has.
        let limit = 5000
        let rows = try reader.query([
            Role.selectAll(after: "", limit: limit), RolePermission.selectAll(after: "", limit: limit),
            ApprovalRuleRow.selectAll(after: "", limit: limit), PolicySetting.selectAll(after: "", limit: limit),
            RoleSeparation.selectAll(after: "", limit: limit), ExchangeRate.selectAll(after: "", limit: limit),
            AccessReviewPlan.selectAll(after: "", limit: limit), Worker.selectAll(after: "", limit: limit),
        ])
        var out: Set<String> = []
        let types = [
            Role.type, RolePermission.type, ApprovalRuleRow.type, PolicySetting.type, RoleSeparation.type,
            ExchangeRate.type, AccessReviewPlan.type, Worker.type,
        ]
        for (type, rows) in zip(types, rows) {
            for row in rows { out.insert("\(type) \(try row.string("id"))") }
        }
        return out
    }
}
