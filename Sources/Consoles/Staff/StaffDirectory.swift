import Kernel

/// Standings of staff, from their grants as they are in the transaction that asks; those of their accounts, which hold
/// what their scopes and their owner's roles come to; and those of tokens.
public struct StaffDirectory: Directory {
    private let ignoresLocks: Bool

    /// - Parameter ignoresLocks: as if nobody had opened break-glass alone. For the search of policy, to which time is no obstacle: a
    ///   lock ends with its review.
    public init(ignoresLocks: Bool = false) { self.ignoresLocks = ignoresLocks }

    public func standings(of people: [String]) -> StandingQuestion {
        let known = KnownRoles.last
        let roles = RolePermission.all(unlessAt: known?.mark)
        var statements =
            people.contains { $0.hasPrefix(ServiceAccount.idPrefix + "_") }
            ? AccountStandingQueries.statements(people, roles)
            : [
                StaffQueries.withPasskeys(people), Grant.of(people), roles, BreakGlassQueries.live(of: people),
                StaffQueries.earlierResets(of: people),
            ]
        func tokens(_ prefix: String) -> [String] { people.filter { $0.hasPrefix("\(prefix)_") } }
        let (products, providers) = (tokens(RuntimeToken.idPrefix), tokens(ScimToken.idPrefix))
        let count = statements.count
        if !products.isEmpty { statements.append(RuntimeToken.select(products, lock: false, .sqlite)) }
        if !providers.isEmpty { statements.append(ScimToken.select(providers, lock: false, .sqlite)) }
        return StandingQuestion(statements) { rows, now in
            let found = try standings(Array(rows.prefix(count)), known, at: now)
            guard rows.count > count else { return found }
            let ofProducts = try products.isEmpty ? [] : rows[count].map(RuntimeToken.init)
            let ofProviders = try providers.isEmpty ? [] : rows[rows.count - 1].map(ScimToken.init)
            return found.merging(Self.tokenStandings(ofProducts, ofProviders, at: now)) { own, _ in own }
        }
    }

    /// Of tokens, which fill no leaf: whether they are in force, and what their scopes open.
    private static func tokenStandings(
        _ products: [RuntimeToken], _ providers: [ScimToken], at now: Instant
    ) -> [String: Standing] {
        var out: [String: Standing] = [:]
        for token in products {
            let isActive = token.state(at: now) == .active
            out[token.id] = Standing(
                person: token.id, name: token.name, isActive: isActive, roles: [],
                permissions: isActive ? RuntimeScope.permissions(of: token.scopes) : .none)
        }
        for token in providers {
            out[token.id] = Standing(
                person: token.id, name: token.name, isActive: token.state(at: now) == .active, roles: [],
                permissions: .none)
        }
        return out
    }

    public func manager(of tenant: String, since: Instant) -> Statement {
        TenantQueries.manager(of: tenant, since: since)
    }

    private func standings(_ rows: [[Row]], _ known: KnownRoles?, at now: Instant) throws -> [String: Standing] {
        let grants = Dictionary(grouping: try rows[1].map(Grant.init), by: \.staffID)
        let permissions = try KnownRoles.of(rows[2], or: known)
        let sessions = Dictionary(
            try rows[3].map(BreakGlass.init).map { ($0.person, $0) }, uniquingKeysWith: { first, _ in first })
        let earlier = Dictionary(grouping: try rows[4].compactMap { try ResetTouch($0) }, by: \.staffID)
        var out: [String: Standing] = [:]
        var resets: [String: Instant] = [:]
        for row in rows[0] {
            let staff = try Staff(row)
            let all = grants[staff.id] ?? []
            resets[staff.id] = staff.resetAt
            let roles = Set(all.filter { $0.isLive(at: now) }.map(\.role))
            let isActive = staff.status == .active
            let held = isActive ? permissions.union(roles) : .none
            let emergency = ignoresLocks ? nil : sessions[staff.id].map { Emergency($0, of: held, at: now) }
            let left = SoloLock.apply(emergency, to: isActive ? roles : [], held)
            out[staff.id] = Standing(
                person: staff.id, name: staff.name, isActive: isActive, roles: left.roles,
                permissions: left.permissions,
                touches: Self.touches(staff, all) + (earlier[staff.id] ?? []).map(\.touch), emergency: emergency,
                hasPasskey: try isActive && row.int("passkey") == 1)
        }
        for account in try rows.dropFirst(5).joined().map({ try ServiceAccount($0) }) {
            let owner = out[account.ownerID]
            // Whoever had an account's token when its owner's factors were reset may be why they were: it works on once replaced.
            let isOlder = resets[account.ownerID].map { account.rotatedAt ?? account.createdAt < $0 } ?? false
            let isActive = account.state(at: now) == .active && owner?.isActive == true && !isOlder
            // No roles: an account fills no leaf.
            out[account.id] = Standing(
                person: account.id, name: account.name, isActive: isActive, roles: [],
                permissions: isActive
                    ? AccountScopes.effective(account.scopes, of: owner?.permissions ?? .none) : .none,
                emergency: owner?.emergency)
        }
        return out
    }

    /// Who made this account what it is: also by grants that have ended since, which may have been how it was taken over.
    private static func touches(_ staff: Staff, _ grants: [Grant]) -> [Standing.Touch] {
        var out = grants.map { Standing.Touch(by: $0.grantedBy, at: $0.grantedAt, kind: .granted) }
        // Whoever could have asked for it in a provider's place is one of those who gave it.
        out += grants.compactMap { grant in
            grant.tokenHolder.map { Standing.Touch(by: $0, at: grant.grantedAt, kind: .granted) }
        }
        if let by = staff.invitedBy {
            out.append(.init(by: by, at: staff.invitedAt ?? staff.createdAt, kind: .invited))
        }
        if let by = staff.resetBy, let at = staff.resetAt { out.append(.init(by: by, at: at, kind: .refactored)) }
        return out
    }
}
