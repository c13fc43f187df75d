import HTML
import Kernel

/// `/staff/{id}/move`: the roles of somebody who takes on other work. What they could do before and after stands side by side, with
/// everything that speaks against it, before the change is asked for.
enum StaffMovePage {
    static let page = Page("/staff/{id}/move", permission: ChangeRoles.spec.permission, menuPath: "/staff") {
        call, reader in
        let staff = try StaffDetail.find(call.path["id"] ?? "", from: reader)
        let now = reader.now
        let live = try reader.query(Grant.of([staff.id])).map { try Grant($0) }.filter { $0.isLive(at: now) }
        let held = Set(live.map(\.role))
        let state = try PolicyState.load(from: reader)
        let known = Set(state.roles)
        let isChosen = call.first("chosen") != nil
        let wanted = isChosen ? Set(call.all("role")).intersection(known) : held
        let move = Move(
            staff: staff, held: held, wanted: wanted, state: state,
            powerful: try RoleChange.look(at: staff, giving: wanted.subtracting(held).sorted(), from: reader)
                .powerful)
        let body =
            UI.crumbs([("Staff", "/staff"), (staff.name, "/staff/\(staff.id)")], here: "Compare roles")
            + UI.title(
                "Compare roles: \(staff.name)",
                lead: "Roles they lose and get, as one change that is reviewed as a whole",
                trailing: next(move, call.caller))
            + notices(move, call.caller)
            + UI.split {
                UI.stack {
                    if move.isChange {
                        against(move, call.caller)
                        asked(move, call.caller)
                        rights(move)
                    } else {
                        UI.panel("What changes", id: "mv-none") {
                            UI.empty("Nothing yet", "Tick the roles they are to hold, then compare.")
                        }
                    }
                }
                UI.stack { form(move) }
            }
        return PageAnswer(
            title: "Compare roles: \(staff.name)", body: body,
            disclosure: Disclosure("staff.view", target: (Staff.type, staff.id), count: 1, ids: [staff.id]))
    }

    private struct Move {
        let staff: Staff
        let held: Set<String>
        let wanted: Set<String>
        let state: PolicyState
        let powerful: Set<String>

        var given: [String] { wanted.subtracting(held).sorted() }
        var taken: [String] { held.subtracting(wanted).sorted() }
        var isChange: Bool { wanted != held }

        func rights(_ roles: Set<String>) -> Permissions {
            KnownRoles.union(state.cells.filter { roles.contains($0.role) })
        }

        /// Pairs of roles that would be held together for the first time.
        var forbidden: [String] {
            state.separations.flatMap { separation in
                separation.conflicts(in: wanted).filter { given.contains($0.first) || given.contains($0.second) }.map {
                    "\(AccessNames.roles([$0.first, $0.second], " and ")): \(separation.summary)."
                }
            }
        }

        /// What the policy would be found to lack with them in their new place, and was not found before.
        var findings: [PolicyFinding] {
            var after = state
            after.people = state.people.filter { $0.person != staff.id }
            if staff.status == .active {
                after.people.append(
                    Standing(
                        person: staff.id, name: staff.name, isActive: true, roles: wanted, permissions: rights(wanted)))
            }
            return PolicyActs.consequences(of: after, instead: state)
        }

        /// Who must agree, in words.
        var demands: [String] {
            let measures = Measures(["grants_power": .bool(!powerful.isEmpty), "exception": .bool(!forbidden.isEmpty)])
            return state.rules.filter { $0.covers(ChangeRoles.spec.name) && $0.condition.matches(measures) }.map {
                "\($0.demand.sentence), by the rule “\($0.summary)”"
            }
        }

        /// The form of the operation, filled in.
        var address: String {
            var address = PageAddress(path: "/staff/\(staff.id)/change-roles")
            for role in given { address = address.with("input.grant", role) }
            for role in taken { address = address.with("input.revoke", role) }
            return address.text
        }
    }

    private static func notices(_ move: Move, _ caller: Caller) -> Node {
        if move.staff.id == caller.person {
            return UI.banner(
                .warn, "This is you.", "Nobody gives or takes roles of their own. Ask a colleague who may.")
        }
        if move.staff.status == .deactivated {
            return UI.banner(
                .plain, "\(move.staff.name) has left.", "Reactivate the account first; it then holds no role.")
        }
        return .none
    }

    private static func form(_ move: Move) -> Node {
        UI.panel("Roles they are to hold", id: "mv-roles") {
            UI.panelBody {
                el("form", Attribute("action", "/staff/\(move.staff.id)/move")) {
                    UI.hiddenField("chosen", "1")
                    UI.field(
                        Field(
                            "role", label: "Roles",
                            help:
                                "What they hold now is ticked when you come here. With none ticked they lose every role, and can only sign in and see their own page.",
                            .checkboxes(
                                Seeds.roles.filter { Set(move.state.roles).contains($0.id) }.map {
                                    Field.Choice(
                                        $0.id, $0.title, note: move.held.contains($0.id) ? "held now" : nil)
                                }), value: move.wanted.sorted().joined(separator: "\n"),
                            // Not a field that may be left out: none is a choice, and the help says which.
                            isRequired: true))
                    el("p") { UI.button("Compare", style: move.isChange ? .plain : .primary) }
                }
            }
        }
    }

    private static func against(_ move: Move, _ caller: Caller) -> Node {
        let forbidden = move.forbidden
        let findings = move.findings.filter { $0.kind != .separation }
        guard !forbidden.isEmpty || !findings.isEmpty else {
            // What stands above speaks against it.
            guard notices(move, caller).isEmpty else { return .none }
            return UI.banner(
                .ok, "Nothing speaks against it.",
                "No roles that are kept apart come together, and nobody could act alone who could not before.")
        }
        var out = Node.none
        if !forbidden.isEmpty {
            out = UI.banner(.danger) {
                el("p") { el("b") { "These roles may not be held by one person." } }
                for pair in forbidden { el("p") { pair } }
                el("p") {
                    "To make an exception, fill in “Exception” in the form that follows; somebody else then reviews it."
                }
            }
        }
        if !findings.isEmpty {
            out =
                out
                + UI.banner(findings.contains(where: \.isProblem) ? .danger : .warn) {
                    el("p") { el("b") { "The search for holes in the policy finds something new." } }
                    for finding in findings.prefix(5) {
                        el("p") { finding.sentence }
                        if !finding.steps.isEmpty {
                            UI.fold("How") { el("ol") { for step in finding.steps { el("li") { step } } } }
                        }
                    }
                    if findings.count > 5 { el("p") { "And \(findings.count - 5) more." } }
                }
        }
        return out
    }

    private struct Right {
        let code: String
        let title: String
        let risk: Risk
        let isGained: Bool
    }

    private static func rights(_ move: Move) -> Node {
        let before = Set(move.rights(move.held).granted.keys)
        let after = Set(move.rights(move.wanted).granted.keys)
        func listed(_ codes: Set<String>, gained: Bool) -> [Right] {
            codes.map { code in
                Right(
                    code: code, title: PermissionCatalog[code]?.title ?? code,
                    risk: PermissionCatalog[code]?.risk ?? .critical, isGained: gained)
            }
        }
        let rows = (listed(after.subtracting(before), gained: true) + listed(before.subtracting(after), gained: false))
            .sorted { ($1.risk, $0.isGained ? 0 : 1, $0.code) < ($0.risk, $1.isGained ? 0 : 1, $1.code) }
        return UI.panel(
            "Rights before and after", id: "mv-rights",
            hint: "\(before.count) before, \(after.count) after, \(before.intersection(after).count) stay"
        ) {
            if rows.isEmpty {
                UI.empty("The same rights", "The roles differ, what they allow does not.")
            } else {
                UI.table(
                    caption: "Rights that change, \(rows.count), the gravest first",
                    columns: [
                        Column("Right", .wide, isRowHeader: true) { right in
                            UI.coded(Node(right.title), right.code)
                        },
                        Column("Before") { $0.isGained ? UI.hint("no") : UI.state("yes", .plain, .on) },
                        Column("After") { $0.isGained ? UI.state("yes", .ok, .on) : UI.hint("no") },
                        Column("Risk", priority: 2) { right in
                            right.risk >= .high
                                ? UI.state(right.risk.rawValue, .warn, .tri) : UI.muted(right.risk.rawValue)
                        },
                    ], rows: rows, density: .plain)
            }
        }
    }

    /// The way on, beside the heading, so that it is in sight however long the comparison is; not where nothing would come of it.
    private static func next(_ move: Move, _ caller: Caller) -> Node {
        move.isChange && notices(move, caller).isEmpty
            ? UI.linkButton("Go on to the change…", href: move.address, style: .primary) : .none
    }

    private static func asked(_ move: Move, _ caller: Caller) -> Node {
        UI.panel("What is asked for", id: "mv-next") {
            UI.panelBody {
                UI.facts([
                    ("Gets", tags(move.given)), ("Loses", tags(move.taken)),
                    (
                        "Must agree",
                        move.demands.isEmpty
                            ? UI.hint("nobody else") : Node(move.demands.joined(separator: "; and "))
                    ),
                ])
                if !move.given.isEmpty {
                    el("p") {
                        UI.hint(
                            "For \(Standing.quarantine.seconds / 3600) hours after it, \(move.staff.name) signs nothing that whoever makes this change asks for."
                        )
                    }
                }
                if notices(move, caller).isEmpty {
                    el("p") {
                        UI.hint("Nothing changes yet: “Go on to the change…” asks for a ticket and shows a preview.")
                    }
                }
            }
        }
    }

    private static func tags(_ roles: [String]) -> Node {
        roles.isEmpty ? UI.hint("nothing") : UI.row { for role in roles { AccessNames.tag(role) } }
    }
}
