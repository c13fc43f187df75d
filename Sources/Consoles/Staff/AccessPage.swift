import HTML
import Kernel

/// The permission matrix, read from the tables at every visit: roles are columns, a table for each area.
enum AccessPage {
    static let page = Page("/access", permission: "access.view", menuPath: "/access") { call, reader in
        let matrix = try AccessMatrix.load(from: reader)
        let mine = call.caller.roles
        let body =
            UI.title("Access", lead: "Who may do what, as the tables say now")
            + UI.banner(
                .info, "Permissions add up: a person may do what any of their roles may.",
                "A check mark means the role holds the permission, an empty cell that it does not; an amount is the most one "
                    + "action may come to without a co-signature. Your own roles: "
                    + "\(mine.isEmpty ? "none" : mine.sorted().joined(separator: ", ")).")
            + UI.stack {
                UI.panel("Roles", id: "p-roles") {
                    UI.panelBody {
                        UI.facts(matrix.roles.map { role in (role.id, Node(role.summary)) })
                    }
                }
                for (index, area) in matrix.areas.enumerated() { table(area.title, area.permissions, matrix, index) }
                rules(matrix)
            }
        return PageAnswer(title: "Access", body: body)
    }

    private static func table(
        _ title: String, _ permissions: [PermissionCatalog.Entry], _ matrix: AccessMatrix, _ index: Int
    ) -> Node {
        typealias Entry = PermissionCatalog.Entry
        let columns: [Column<Entry>] =
            [
                Column("Permission", isRowHeader: true) { entry in
                    Node(entry.title) + el("span", .class("sub")) { UI.code(entry.code) }
                },
                Column("Risk", .tight) { risk($0.risk) },
            ]
            + matrix.roles.map { role in
                Column(role.title) { entry in cell(matrix.cell(role.id, entry.code), role) }
            }
        return UI.panel(title, id: "p-area-\(index)", hint: "\(permissions.count) permissions") {
            UI.table(
                caption: "Permissions: \(title), by role", columns: columns, rows: permissions, density: .dense)
        }
    }

    private static func cell(_ cell: RolePermission?, _ role: Role) -> Node {
        guard let cell else { return .none }
        guard let limits = cell.limits, !limits.isEmpty else { return UI.glyph(.check) + UI.hiddenText("held") }
        return UI.glyph(.check) + UI.hiddenText("held up to ")
            + NodeBuilder.buildArray(limits.map { Node(" ") + UI.money(minor: $0.amount, currency: $0.currency) })
    }

    static func risk(_ risk: Risk) -> Node {
        switch risk {
        case .low: UI.state("low", .plain, .ring)
        case .medium: UI.state("medium", .info, .half)
        case .high: UI.state("high", .warn, .tri)
        case .critical: UI.state("critical", .danger, .stop)
        }
    }

    private static func rules(_ matrix: AccessMatrix) -> Node {
        let columns: [Column<ApprovalRule>] = [
            Column("When", isRowHeader: true) { rule in
                Node(rule.summary) + el("span", .class("sub")) { UI.code(rule.operation) }
            },
            Column("Who must agree") { Node($0.demand.sentence + ", never the requester") },
            Column("Waits for", .number, priority: 2) { Node(length($0.window)) },
            Column("Cooldown", .number, priority: 3) { rule in rule.cooldown.map { Node(length($0)) } ?? UI.hint("none")
            },
        ]
        let rules = matrix.rules.sorted { ($0.operation, $0.id) < ($1.operation, $1.id) }
        return UI.panel("Approval rules", id: "p-rules", hint: "every rule that matches must be met") {
            UI.table(
                caption: "Approval rules, \(rules.count)", columns: columns, rows: rules, density: .plain,
                stickyHead: true)
        }
    }

    private static func length(_ span: Span) -> String {
        let minutes = span.seconds / 60
        if minutes % 1440 == 0, minutes >= 2880 { return "\(minutes / 1440) d" }
        return minutes % 60 == 0 ? "\(minutes / 60) h" : "\(minutes) min"
    }
}
