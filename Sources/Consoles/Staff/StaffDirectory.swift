import Kernel

/// Standings of staff, from their grants as they are in the transaction that asks.
public struct StaffDirectory: Directory {
    public init() {}

    public func standings(of people: [String]) -> [Statement] {
        [Staff.select(people, lock: false, .sqlite), Grant.of(people), RolePermission.held(by: people)]
    }

    public func standings(_ rows: [[Row]], at now: Instant) throws -> [String: Standing] {
        let grants = Dictionary(grouping: try rows[1].map(Grant.init), by: \.staffID)
        let permissions = Dictionary(grouping: try rows[2].map(RolePermission.init), by: \.role)
        var out: [String: Standing] = [:]
        for staff in try rows[0].map(Staff.init) {
            let all = grants[staff.id] ?? []
            let roles = Set(all.filter { $0.isLive(at: now) }.map(\.role))
            let isActive = staff.status == .active
            out[staff.id] = Standing(
                person: staff.id, name: staff.name, isActive: isActive, roles: isActive ? roles : [],
                permissions: isActive ? Self.union(roles.flatMap { permissions[$0] ?? [] }) : .none,
                touches: Self.touches(staff, all))
        }
        return out
    }

    /// A permission held once without a limit has none.
    static func union(_ held: [RolePermission]) -> Permissions {
        var granted: [String: [Limit]?] = [:]
        for permission in held {
            switch (granted[permission.permission], permission.limits) {
            case (.none, let limits): granted.updateValue(limits, forKey: permission.permission)
            case (.some(.some(let other)), .some(let limits)):
                granted.updateValue(StaffSignIn.union(other, limits), forKey: permission.permission)
            default: granted.updateValue(nil, forKey: permission.permission)
            }
        }
        return Permissions(granted)
    }

    /// Who made this account what it is: also by grants that have ended since, which may have been how it was taken over.
    private static func touches(_ staff: Staff, _ grants: [Grant]) -> [Standing.Touch] {
        var out = grants.map { Standing.Touch(by: $0.grantedBy, at: $0.grantedAt, kind: .granted) }
        if let by = staff.invitedBy {
            out.append(.init(by: by, at: staff.invitedAt ?? staff.createdAt, kind: .invited))
        }
        if let by = staff.resetBy, let at = staff.resetAt { out.append(.init(by: by, at: at, kind: .refactored)) }
        return out
    }
}
