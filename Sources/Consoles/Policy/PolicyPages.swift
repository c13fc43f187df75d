import HTML
import Kernel

/// `/policy-findings`, `/roles/…`, `/role-permissions/…`, `/exchange-rates`.
enum PolicyPages {
    /// Above every page of policy.
    static func tabs(_ path: String) -> Node {
        UI.tabs(
            label: "Access",
            [
                ("Permissions", "/access"), ("Approval rules", "/approval-rules"), ("Rates", "/exchange-rates"),
                ("Findings", "/policy-findings"),
            ].map { UI.Tab($0.0, href: $0.1, isCurrent: $0.1 == path) })
    }

    static func title(_ path: String, trailing: Node = .none) -> Node {
        UI.title("Access", lead: "Who may do what, and who must agree", trailing: trailing)
            + tabs(path)
    }

    // MARK: Findings

    static let findings = Page("/policy-findings", permission: PolicyConsole.permission, menuPath: "/access") {
        _, reader in
        let state = try PolicyState.load(from: reader)
        let found = PolicyActs.lint.findings(state)
        let problems = found.filter(\.isProblem)
        let notes = found.filter { !$0.isProblem }
        let people = state.people.filter(\.isActive).count
        let body =
            title("/policy-findings")
            + UI.stack {
                if problems.isEmpty {
                    UI.banner(
                        .ok, "Nobody could complete a two-person action alone",
                        "\(people) people, \(state.rules.count) rules and every way to gain an account, factors, a role or a change of policy were searched."
                    )
                }
                panel("Problems", problems, state.rules, id: "f-problems")
                panel("Worth knowing", notes, state.rules, id: "f-notes")
            }
        return PageAnswer(title: "Findings", body: body, disclosure: PolicyConsole.disclosure(of: found))
    }

    private static func panel(
        _ title: String, _ findings: [PolicyFinding], _ rules: [ApprovalRule], id: String
    ) -> Node {
        guard !findings.isEmpty else { return .none }
        let summaries = Dictionary(rules.map { ($0.id, $0.summary) }, uniquingKeysWith: { first, _ in first })
        let columns: [Column<PolicyFinding>] = [
            Column("Kind", .tight) { finding in
                let (word, tone) = words(finding.kind)
                return UI.chip(word, tone, finding.isProblem ? .stop : .ring)
            },
            Column("Finding", .wide, isRowHeader: true) { finding in
                Node(finding.sentence)
                    + (finding.steps.isEmpty
                        ? .none : UI.fold("How") { el("ol") { for step in finding.steps { el("li") { step } } } })
            },
            Column("Rule", priority: 2) { finding in
                finding.rule.map { rule in
                    UI.coded(el("a", .href("/approval-rules/\(rule)")) { summaries[rule] ?? rule }, rule)
                } ?? UI.hint(finding.kind == .conditional ? "several" : "none")
            },
        ]
        return UI.panel(title, id: id, hint: findings.count == 1 ? "1 finding" : "\(findings.count) findings") {
            UI.table(caption: "\(title), \(findings.count)", columns: columns, rows: findings, density: .plain)
        }
    }

    static func words(_ kind: PolicyFinding.Kind) -> (String, Tone) {
        switch kind {
        case .alone: ("Alone", .danger)
        case .deadlock: ("Nobody can sign", .danger)
        case .unknown: ("Unknown name", .danger)
        case .separation: ("Held together", .warn)
        case .unguarded: ("No rule", .info)
        case .conditional: ("Not always", .info)
        }
    }

    // MARK: Roles

    static let role = Page("/roles/{id}", permission: PolicyConsole.permission, menuPath: "/access") { call, reader in
        let role = try PolicyListing<Role>.find(call.readCall, "role", from: reader)
        let matrix = try AccessMatrix.load(from: reader)
        let held = matrix.permissions.filter { matrix.cell(role.id, $0.code) != nil }
        let columns: [Column<PermissionCatalog.Entry>] = [
            Column("Permission", .wide, isRowHeader: true) { entry in
                UI.coded(
                    el("a", .href("/role-permissions/\(role.id):\(entry.code)")) { entry.title }, entry.code)
            },
            Column("Area", priority: 3) { UI.muted($0.area) },
            Column("Risk", priority: 2) { UI.tag($0.risk.rawValue) },
            Column("Up to", .number) { entry in limits(matrix.cell(role.id, entry.code)?.limits) },
        ]
        let body =
            UI.crumbs([("Access", "/access")], here: role.title)
            + UI.title(role.title, lead: role.summary) { UI.id(role.id, copy: "role’s code") }
            + UI.keyFacts([("Not held together with", apart(role.id, matrix))])
            + UI.actionBar(
                role, path: "/roles/\(role.id)", catalog: call.catalog, caller: call.caller, now: reader.now,
                waiting: try ApprovalList.waiting(on: role.id, for: call.caller, from: reader))
            + UI.panel("Permissions", id: "r-permissions", hint: "\(held.count) of \(matrix.permissions.count)") {
                if held.isEmpty {
                    UI.empty(
                        "Holds no permission", "Whoever has this role can sign what rules ask it for, and nothing else."
                    )
                } else {
                    UI.table(
                        caption: "Permissions of \(role.title), \(held.count)", columns: columns, rows: held,
                        density: .plain)
                }
            }
        return PageAnswer(title: role.title, body: body)
    }

    private static func apart(_ role: String, _ matrix: AccessMatrix) -> Node {
        let others = Set(matrix.separations.flatMap { $0.partners(of: role) }).sorted()
        guard !others.isEmpty else { return UI.hint("none") }
        return UI.row { for other in others { el("a", .href("/roles/\(other)")) { RoleTitle.of(other) } } }
    }

    static func limits(_ limits: [Limit]?) -> Node {
        guard let limits, !limits.isEmpty else { return UI.hint("no limit") }
        return Node(RolePermission.words(limits))
    }

    static let cell = Page("/role-permissions/{id}", permission: PolicyConsole.permission, menuPath: "/access") {
        call, reader in
        let cell = try PolicyListing<RolePermission>.find(call.readCall, "cell", from: reader)
        let entry = PermissionCatalog[cell.permission]
        let title = entry?.title ?? cell.permission
        let role = RoleTitle.of(cell.role)
        let body =
            UI.crumbs([("Access", "/access"), (role, "/roles/\(cell.role)")], here: title)
            + UI.title(title, lead: "for \(role)") { UI.id(cell.id, copy: "cell’s id") }
            + UI.keyFacts([
                ("Role", el("a", .href("/roles/\(cell.role)")) { role }),
                ("Permission", UI.code(cell.permission)),
                ("Held", cell.isRevoked ? UI.state("Taken away", .plain, .x) : UI.state("Yes", .ok)),
                ("Up to", limits(cell.limits)), ("Risk", UI.tag(entry?.risk.rawValue ?? "critical")),
            ])
            + UI.actionBar(
                cell, path: "/role-permissions/\(cell.id)", catalog: call.catalog, caller: call.caller, now: reader.now,
                waiting: try ApprovalList.waiting(on: cell.id, for: call.caller, from: reader))
        return PageAnswer(title: cell.displayName, body: body)
    }

    // MARK: Rates

    static let rates = Page("/exchange-rates", permission: PolicyConsole.permission, menuPath: "/access") {
        call, reader in
        let listing = try PolicyListing<ExchangeRate>.load(call.readCall, from: reader)
        let columns: [Column<ExchangeRate>] = [
            Column("Currency", isRowHeader: true) { rate in el("a", .href("/exchange-rates/\(rate.id)")) { rate.id } },
            Column("US dollars for one", .number) { worth($0) },
            Column("Amounts in it") { rate in
                rate.micros == 0
                    ? UI.muted("each needs a second person") : UI.muted("fall under the bands in US dollars")
            },
        ]
        let body =
            title("/exchange-rates")
            + UI.stack {
                UI.banner(
                    .info, "Bands are kept in US dollars.",
                    "An amount in another currency is converted at the rate set here, rounded up. Where none is set it always needs a second person."
                )
                el("section", .class("panel"), .label("Rates")) {
                    UI.table(
                        caption: "Rates, \(listing.items.count) shown", columns: columns, rows: listing.items,
                        density: .plain)
                }
                UI.pages(
                    "\(listing.items.count) currencies", first: call.first("cursor") == nil ? nil : "/exchange-rates",
                    next: listing.next.map { "/exchange-rates?cursor=\($0)" })
            }
        return PageAnswer(title: "Rates", body: body)
    }

    private static func worth(_ rate: ExchangeRate) -> Node {
        rate.micros == 0 ? UI.hint("no rate") : Node(RateText(micros: rate.micros, of: rate.id).text)
    }

    static let rate = Page("/exchange-rates/{id}", permission: PolicyConsole.permission, menuPath: "/access") {
        call, reader in
        let rate = try PolicyListing<ExchangeRate>.find(call.readCall, "rate", from: reader)
        let body =
            UI.crumbs([("Access", "/access"), ("Rates", "/exchange-rates")], here: rate.id)
            + UI.title("1 \(rate.id)", lead: "as the rules count it")
            + UI.keyFacts([("US dollars", worth(rate)), ("Version", Node("\(rate.version)"))])
            + UI.actionBar(
                rate, path: "/exchange-rates/\(rate.id)", catalog: call.catalog, caller: call.caller, now: reader.now,
                waiting: try ApprovalList.waiting(on: rate.id, for: call.caller, from: reader))
        return PageAnswer(title: rate.id, body: body)
    }
}
