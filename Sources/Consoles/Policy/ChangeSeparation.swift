import Kernel

/// Keeps a role apart from another, so that nobody is given both without an exception, or lets one person hold both again.
public enum ChangeSeparation: Operation {
    public typealias Target = Role
    public static let spec = OperationSpec(
        "policy.change_separation", "Change separation",
        summary: "Keeps a role apart from another one, or lets one person hold both again.",
        permission: "policy.change", risk: .critical)

    public enum Held: String, ParamChoice, CaseIterable {
        case apart, together
    }

    public struct Input: OperationInput {
        @Param("Other role", .choices(Seeds.roles.map(\.id)), help: "The one it is kept apart from, or was.")
        public var role: String
        @Param("Held", help: "apart: nobody is given both without an exception; together: one person may hold both.")
        public var held: Held
        @Param(
            RuleFields.summary, .length(3...120),
            help: "What one person could do with both, as the page Access says it. May be left empty.")
        public var summary: String?
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? {
        "\(input.held == .apart ? "apart from" : "together with") \(RoleTitle.of(input.role))"
    }
    public static let declaresConcerns = true

    public struct Facts: Sendable {
        let other: Role?
        let separations: [RoleSeparation]
        /// Who holds both now.
        let holders: [Standing]
        /// Those of them whose exception waits for its review already.
        let flagged: Set<String>
    }

    /// A grant looks at separations too, and comes before or after.
    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.policy, .superAdmins] }

    public static func gather(_ input: Input, _ target: Role?, from reader: any Reader) throws -> Facts {
        let pair: Set<String> = [target?.id ?? "", input.role]
        let state = try PolicyState.load(from: reader)
        let holders = state.people.filter { $0.isActive && $0.roles.isSuperset(of: pair) }
        let rows: [[Row]] = holders.isEmpty ? [] : try reader.query(holders.map { StaffFlag.of($0.person) })
        let flags = try rows.joined().map { try StaffFlag($0) }
        return Facts(
            other: try Role.load(input.role, from: reader), separations: state.separations, holders: holders,
            flagged: Set(flags.filter { $0.state == .open && Set($0.roles) == pair }.map(\.staffID)))
    }

    /// Where nothing is said of what one person could do with both.
    private static let unsaid = "Doing what the other role checks"

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Role> {
        let role = call.before
        guard let other = call.facts.other else {
            throw .field("role", "There is no role \(call.input.role) in this deployment.")
        }
        guard other.id != role.id else { throw .field("role", "Choose another role than \(role.title) itself.") }
        let pair: Set<String> = [role.id, other.id]
        let both = "\(role.title) and \(other.title)"
        var rows = SeparationRows(call.facts.separations)
        switch call.input.held {
        case .apart:
            guard !rows.areApart(pair) else { throw .field("held", "\(both) are kept apart already.") }
            rows.keepApart(pair, call.input.summary ?? unsaid)
            let unseen = call.facts.holders.filter { !call.facts.flagged.contains($0.person) }
            // Nobody loses a role by this; what they hold is an exception from now on, and is looked at like one.
            let flags = unseen.enumerated().map { slot, holder in
                Change.create(
                    StaffFlag(
                        id: call.fresh.id("flg", slot: slot), staffID: holder.person, roles: pair.sorted(),
                        reason: "Held both when the two roles were put apart.", raisedBy: call.person,
                        raisedAt: call.now))
            }
            return Plan(
                role, also: rows.changes + flags, facts: facts(pair, .apart),
                consequence: "\(both) are not given to one person any more without an exception."
                    + kept(call.facts.holders))
        case .together:
            guard rows.areApart(pair) else { throw .field("held", "\(both) may be held together already.") }
            rows.letTogether(pair)
            return Plan(
                role, also: rows.changes, facts: facts(pair, .together),
                consequence: "One person may hold \(both) from now on, without an exception.")
        }
    }

    private static func facts(_ pair: Set<String>, _ held: Held) -> [String: JSON] {
        ["roles": .array(pair.sorted().map(JSON.string)), "held": .string(held.rawValue)]
    }

    /// What becomes of those who hold both, by their names.
    private static func kept(_ holders: [Standing]) -> String {
        guard let first = holders.first else { return "" }
        guard holders.count > 1 else {
            return " \(first.name) holds both now and keeps them, as an exception that somebody else reviews."
        }
        let most = 20
        let names = holders.prefix(most).map(\.name).joined(separator: ", ")
        let more = holders.count > most ? " and \(holders.count - most) more" : ""
        return " \(names)\(more) hold both now and keep them, each as an exception that somebody else reviews."
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        let rows = done.also.filter { $0.type == RoleSeparation.type }
        let before = Set(rows.flatMap { partners(of: done.target, in: $0.before) })
        let after = Set(rows.flatMap { partners(of: done.target, in: $0.after) })
        if let other = after.subtracting(before).first {
            return .run(spec.name, input: ["role": .string(other), "held": "together"])
        }
        guard let other = before.subtracting(after).first else { return .impossible("Nothing was changed.") }
        let row = rows.first { partners(of: done.target, in: $0.before).contains(other) }
        return .run(
            spec.name,
            input: ["role": .string(other), "held": "apart", "summary": row?.before?["summary"] ?? .null])
    }

    /// The roles that a row, as an event names it, keeps apart from one.
    private static func partners(of role: String, in document: JSON?) -> [String] {
        func roles(_ name: String) -> [String] { (document?[name]?.array ?? []).compactMap(\.string) }
        let row = RoleSeparation(id: "", first: roles("first_roles"), second: roles("second_roles"), summary: "")
        return row.partners(of: role)
    }
}

/// The rows of separations while a pair is put apart or together.
private struct SeparationRows {
    private let before: [String: RoleSeparation]
    private var after: [String: RoleSeparation]

    init(_ rows: [RoleSeparation]) {
        before = Dictionary(uniqueKeysWithValues: rows.map { ($0.id, $0) })
        after = before
    }

    func areApart(_ pair: Set<String>) -> Bool { after.values.contains { $0.conflict(in: pair) != nil } }

    /// A pair has a row of its own, which is used again where it was ended.
    mutating func keepApart(_ pair: Set<String>, _ summary: String) {
        let roles = pair.sorted()
        let id = roles.joined(separator: ":")
        var row = after[id] ?? RoleSeparation(id: id, first: [], second: [], summary: summary)
        row.first = [roles[0]]
        row.second = [roles[1]]
        row.summary = summary
        after[id] = row
    }

    /// Rows may be about several roles, of which the others stay apart. None is removed: one that ends has an empty side.
    mutating func letTogether(_ pair: Set<String>) {
        for row in after.values.sorted(by: { $0.id < $1.id }) {
            guard let found = row.conflict(in: pair) else { continue }
            var rest = row
            if row.first.count == 1, row.second.count > 1 {
                rest.second.removeAll { $0 == found.second }
            } else {
                rest.first.removeAll { $0 == found.first }
            }
            after[row.id] = rest
            guard row.first.count > 1, row.second.count > 1 else { continue }
            for role in row.second where role != found.second { keepApart([found.first, role], row.summary) }
        }
    }

    var changes: [Change] {
        after.values.sorted { $0.id < $1.id }.compactMap { row -> Change? in
            guard let old = before[row.id] else { return Change.create(row) }
            return old == row ? nil : Change.update(old, to: row)
        }
    }
}
