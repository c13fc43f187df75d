import HTML
import Kernel

/// `/approval-rules`: what needs other people, each rule with its terms, and tried on the past.
enum RulePages {
    static let list = Page("/approval-rules", permission: PolicyConsole.permission, menuPath: "/access") {
        call, reader in
        let listing = try PolicyListing<ApprovalRuleRow>.load(call.readCall, standard: 100, from: reader)
        let add =
            call.caller.permissions.contains(AddRule.spec.permission)
            ? UI.linkButton("Add a rule…", href: "/approval-rules/new", style: .primary, icon: "plus") : .none
        let columns: [Column<ApprovalRuleRow>] = [
            Column("Rule", .wide, isRowHeader: true) { row in
                UI.coded(
                    el("a", .href("/approval-rules/\(row.id)")) { row.rule.summary }, row.rule.operation)
            },
            Column("When", priority: 3) { UI.muted(ConditionText($0.rule.condition).text) },
            Column("Who must agree") { Node($0.rule.demand.sentence) },
            Column("Time to sign", .number, priority: 2) { Node(TimeText.exactly($0.rule.window)) },
            Column("Waits before it runs", .number, priority: 4) { row in
                row.rule.cooldown.map { Node(TimeText.exactly($0)) } ?? UI.hint("none")
            },
            Column("State", priority: 2) { state($0) },
        ]
        let body =
            PolicyPages.title("/approval-rules", trailing: add)
            + UI.stack {
                UI.banner(
                    .info, "Every rule that matches must be met, never by the person who asks.",
                    "One signature may count for several rules, and for one place within a rule.")
                el("section", .class("panel"), .label("Approval rules")) {
                    UI.table(
                        caption: "Approval rules, \(listing.items.count) shown", columns: columns, rows: listing.items,
                        density: .plain, stickyHead: true)
                }
                UI.pages(
                    listing.items.count == 1 ? "1 rule" : "\(listing.items.count) rules",
                    first: call.first("cursor") == nil ? nil : "/approval-rules",
                    next: listing.next.map { "/approval-rules?cursor=\($0)" })
            }
        return PageAnswer(title: "Approval rules", body: body)
    }

    /// What it is for, by its title where it has one.
    private static func operation(_ code: String) -> Node {
        UI.coded(PolicyActs.title(code).map { Node($0) }, code)
    }

    static func state(_ row: ApprovalRuleRow) -> Node {
        row.isRetired ? UI.state("Ended", .plain, .x) : UI.state("In force", .ok)
    }

    static let view = Page("/approval-rules/{id}", permission: PolicyConsole.permission, menuPath: "/access") {
        call, reader in
        let row = try PolicyListing<ApprovalRuleRow>.find(call.readCall, "approval rule", from: reader)
        let rule = row.rule
        let trial =
            call.caller.permissions.contains("audit.view") ? try RuleTrial.load(call.readCall, from: reader) : nil
        let body =
            UI.crumbs([("Access", "/access"), ("Approval rules", "/approval-rules")], here: rule.summary)
            + UI.title(rule.summary) {
                state(row)
                UI.id(row.id, copy: "rule’s code")
            }
            + UI.keyFacts([
                ("Operation", operation(rule.operation)), ("Who must agree", Node(rule.demand.sentence)),
                ("Time to sign", Node(TimeText.exactly(rule.window))),
                ("Waits before it runs", rule.cooldown.map { Node(TimeText.exactly($0)) } ?? UI.hint("none")),
            ])
            + UI.actionBar(
                row, path: "/approval-rules/\(row.id)", catalog: call.catalog, caller: call.caller, now: reader.now,
                waiting: try ApprovalList.waiting(on: row.id, for: call.caller, from: reader))
            + UI.stack {
                UI.panel("As it is written", id: "r-terms") {
                    UI.panelBody {
                        UI.facts([
                            (RuleFields.condition, UI.code(ConditionText(rule.condition).text)),
                            (RuleFields.demand, UI.code(DemandText(rule.demand).text)),
                            ("Version", Node("\(row.version)")),
                        ])
                        if call.caller.permissions.contains("audit.view") {
                            el("p") { el("a", .href("/audit?target=\(row.id)")) { "Who changed this rule, and why" } }
                        }
                    }
                }
                if let trial { tried(trial, call, now: reader.now) }
            }
        return PageAnswer(title: rule.summary, body: body, disclosure: trial?.disclosure)
    }

    // MARK: Tried on the past

    /// Whom or what it was done to, else at which tenant.
    private static func about(_ occasion: PolicySimulation.Occasion, _ names: [String: String]) -> Node {
        let name = occasion.target.flatMap { names[$0] } ?? occasion.tenant.flatMap { names[$0] }
        return name.map { Node($0) } ?? occasion.target.map { UI.id($0) } ?? UI.hint("something new")
    }

    private static func tried(_ trial: RuleTrial, _ call: PageCall, now: Instant) -> Node {
        func error(_ name: String) -> String? { trial.errors.first { $0.pointer == "?\(name)" }?.detail }
        let days = PolicySimulation.period.seconds / 86_400
        let columns: [Column<PolicySimulation.Occasion>] = [
            Column("When", .number) { UI.time($0.at, now: now) },
            Column("What", isRowHeader: true) { occasion in
                el("a", .href("/audit/\(occasion.event)")) {
                    PolicyActs.title(occasion.operation) ?? occasion.operation
                }
            },
            Column("About") { about($0, trial.names) },
            Column("By", priority: 2) { occasion in
                UI.actor(
                    kind: occasion.actorType, id: occasion.person, name: trial.names[occasion.person])
            },
            Column("What it measured", priority: 4) { occasion in
                UI.muted(
                    occasion.measures.map { measures in
                        measures.values.isEmpty
                            ? "It has nothing to measure"
                            : measures.values.keys.sorted().map { name in
                                "\(DocumentDiff.label(name)): \(DocumentDiff.spoken(measures.values[name] ?? .null))"
                            }.joined(separator: ", ")
                    } ?? "Not known any more")
            },
            Column("At the time", priority: 3) {
                $0.waited ? UI.state("Waited for others", .info, .ring) : UI.state("At once", .plain)
            },
            Column("With these terms") { occasion in
                let outlook = trial.outlook(occasion)
                return outlook.isSignable
                    ? Node(outlook.words) : el("p") { UI.state(outlook.words, .danger, .x) }
            },
        ]
        return UI.panel("Tried on the last \(days) days", id: "r-trial") {
            UI.panelBody {
                el("form", .class("stack"), Attribute("action", "/approval-rules/\(trial.row.id)")) {
                    UI.field(
                        Field(
                            "condition", label: RuleFields.condition, help: RuleFields.conditionHelp,
                            value: trial.typed.condition, error: error("condition"), isRequired: true))
                    UI.field(
                        Field(
                            "demand", label: RuleFields.demand, help: RuleFields.demandHelp, value: trial.typed.demand,
                            error: error("demand"), isRequired: true))
                    UI.buttonGroup { UI.button("Try these terms") }
                }
            }
            UI.panelBody {
                UI.stats {
                    UI.stat(
                        "Times it was done or asked for", Grouped.digits(trial.history.occasions.count),
                        note: trial.history.isCut ? "the newest" : nil)
                    UI.stat("Covered by the rule as it is", Grouped.digits(trial.before.count))
                    UI.stat("Covered by these terms", Grouped.digits(trial.after.count))
                    if trial.knowsSigners {
                        UI.stat(
                            "May ask, and nobody could sign for them", Grouped.digits(trial.stranded),
                            note: "of \(trial.askers) who may ask")
                    }
                }
            }
            if trial.history.occasions.isEmpty {
                UI.empty("Nobody did it or asked for it", "There is nothing of that time to try these terms on.")
            } else if trial.newest.isEmpty {
                UI.empty("Nothing would have waited", "These terms cover nothing of what was done.")
            } else {
                UI.table(
                    caption: "The newest these terms would have covered, \(trial.newest.count)", columns: columns,
                    rows: trial.newest, density: .plain)
            }
        }
    }
}
