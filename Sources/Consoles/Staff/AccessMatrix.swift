import Kernel

/// Who may do what, as it stands in the tables now.
struct AccessMatrix {
    let roles: [Role]
    /// role → permission → cell
    let cells: [String: [String: RolePermission]]
    /// Permissions in the catalogue's order, then any that only the tables know.
    let permissions: [PermissionCatalog.Entry]
    let rules: [ApprovalRule]
    let separations: [RoleSeparation]

    static func load(from reader: any Reader) throws -> AccessMatrix {
        let rows = try reader.query([
            Role.selectAll(after: "", limit: 200), RolePermission.selectAll(after: "", limit: 5000),
            ApprovalRuleRow.selectAll(after: "", limit: 1000), RoleSeparation.selectAll(after: "", limit: 1000),
        ])
        let order = Dictionary(uniqueKeysWithValues: Seeds.roles.enumerated().map { ($1.id, $0) })
        let roles = try rows[0].map(Role.init).sorted {
            (order[$0.id] ?? .max, $0.id) < (order[$1.id] ?? .max, $1.id)
        }
        var cells: [String: [String: RolePermission]] = [:]
        var unknown: Set<String> = []
        for row in rows[1] {
            let cell = try RolePermission(row)
            guard !cell.isRevoked else { continue }
            cells[cell.role, default: [:]][cell.permission] = cell
            if PermissionCatalog[cell.permission] == nil { unknown.insert(cell.permission) }
        }
        return AccessMatrix(
            roles: roles, cells: cells,
            permissions: PermissionCatalog.entries
                + unknown.sorted().map { .init(code: $0, title: $0, risk: .critical, area: "Others") },
            rules: try rows[2].map { try ApprovalRuleRow($0) }.filter { !$0.isRetired }.map(\.rule),
            separations: try rows[3].map(RoleSeparation.init).filter(\.isInForce))
    }

    func cell(_ role: String, _ permission: String) -> RolePermission? { cells[role]?[permission] }

    /// Areas in the catalogue's order with their permissions.
    var areas: [(title: String, permissions: [PermissionCatalog.Entry])] {
        var out: [(title: String, permissions: [PermissionCatalog.Entry])] = []
        for entry in permissions {
            if out.last?.title != entry.area { out.append((entry.area, [])) }
            out[out.count - 1].permissions.append(entry)
        }
        return out
    }

    var json: JSON {
        [
            "roles": .array(
                roles.map { ["id": .string($0.id), "title": .string($0.title), "summary": .string($0.summary)] }),
            "permissions": .array(
                permissions.map { entry in
                    [
                        "code": .string(entry.code), "title": .string(entry.title),
                        "risk": .string(entry.risk.rawValue),
                        "area": .string(entry.area),
                        "held_by": .array(
                            roles.compactMap { role in
                                cell(role.id, entry.code).map { cell in
                                    [
                                        "role": .string(role.id),
                                        "limits": cell.limits.map(RolePermission.json) ?? .null,
                                    ]
                                }
                            }),
                    ]
                }),
            "rules": .array(rules.map { ApprovalRuleRow($0).document }),
            "separations": .array(separations.map(\.document)),
        ]
    }
}
