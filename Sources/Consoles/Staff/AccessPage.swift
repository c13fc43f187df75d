import HTML
import Kernel

/// The permission matrix, read from the tables at every visit: roles are columns, a table for each area.
enum AccessPage {
    static let page = Page("/access", permission: "access.view", menuPath: "/access") { call, reader in
        let matrix = try AccessMatrix.load(from: reader)
        let mine = call.caller.roles
        let body =
            PolicyPages.title("/access")
            + UI.stack {
                UI.banner(
                    .info, "Permissions add up: a person may do what any of their roles may.",
                    legend(mine))
                UI.panel("Roles", id: "p-roles", hint: "what each is for; its page lists what it may do") {
                    roles(matrix, own: mine)
                }
                UI.panel(
                    "Permissions", id: "p-matrix",
                    hint: "\(matrix.permissions.count) in \(matrix.areas.count) areas, a column for each role"
                ) {
                    UI.matrix(table(matrix, own: mine), rowTitle: "Permission", caption: "Permissions by role")
                }
                UI.panel(
                    "Not held together", id: "p-separations",
                    hint: "roles that one person holds together only with a reason that somebody else reviews"
                ) {
                    UI.panelBody {
                        if matrix.separations.isEmpty {
                            el("p") { UI.hint("No roles are kept apart: one person may hold any of them together.") }
                        } else {
                            UI.facts(
                                matrix.separations.map { pair in
                                    (
                                        pair.summary,
                                        UI.row {
                                            for role in pair.first { AccessNames.tag(role) }
                                            "not with"
                                            for role in pair.second { AccessNames.tag(role) }
                                        }
                                    )
                                })
                        }
                        if call.caller.permissions.contains(ChangeSeparation.spec.permission) {
                            el("p") { UI.hint("Open one of the roles above to change what it is kept apart from.") }
                        }
                    }
                }
            }
        return PageAnswer(title: "Access", body: body)
    }

    private static func roles(_ matrix: AccessMatrix, own: Set<String>) -> Node {
        UI.table(
            caption: "Roles, \(matrix.roles.count)",
            columns: [
                Column("Role", isRowHeader: true) { role in
                    el("a", .href("/roles/\(role.id)")) { role.title }
                        + (own.contains(role.id) ? UI.sub("yours") : .none)
                },
                Column("What it is for") { Node($0.summary) },
                Column("Written as", priority: 3) { UI.tag($0.id) },
            ], rows: matrix.roles)
    }

    private static func legend(_ mine: Set<String>) -> String {
        let own =
            mine.isEmpty ? "You hold no role." : "Your own columns are tinted: \(AccessNames.roles(mine.sorted()))."
        return """
            A check mark means that the role may do it, an empty cell that it may not. Where an amount stands, a larger \
            one needs that somebody else agrees, as the approval rules say, or is refused. \(own)
            """
    }

    private static func table(_ matrix: AccessMatrix, own: Set<String>) -> Matrix {
        Matrix(
            columns: matrix.roles.map { .init($0.title, id: $0.id, isOwn: own.contains($0.id)) },
            groups: matrix.areas.map { area in
                (
                    area.title,
                    area.permissions.map { entry in
                        Matrix.Row(
                            title: entry.title, code: entry.code, risk: entry.risk.rawValue,
                            cells: matrix.roles.map { cell(matrix.cell($0.id, entry.code)) })
                    }
                )
            })
    }

    private static func cell(_ cell: RolePermission?) -> Matrix.Cell {
        guard let cell else { return .empty }
        guard let limits = cell.limits, !limits.isEmpty else { return .held }
        return .upTo(RolePermission.words(limits))
    }
}
