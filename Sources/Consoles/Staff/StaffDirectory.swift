import Kernel

/// Standings of staff, from their grants as they are in the transaction that asks; those of their accounts, which hold
/// what their scopes and their owner's roles come to; and those of tokens.
public struct StaffDirectory: Directory {
    private let ignoresLocks: Bool

    /// - Parameter ignoresLocks: as if nobody had opened break-glass alone. For the search of policy, to which time is no obstacle: a
    ///   lock ends with its review.
    public init(ignoresLocks: Bool = false) { self.ignoresLocks = ignoresLocks }

    public func standings(of people: [String]) -> StandingQuestion {
        func some(_ prefix: String) -> [String] { people.filter { $0.hasPrefix("\(prefix)_") } }
        let (accounts, products, providers) = (
            some(ServiceAccount.idPrefix), some(RuntimeToken.idPrefix), some(ScimToken.idPrefix)
        )
        let statements =
            [StaffQueries.standings(of: people, withOwners: !accounts.isEmpty)]
            + (accounts.isEmpty ? [] : [ServiceAccount.select(accounts, lock: false, .sqlite)])
            + (products.isEmpty ? [] : [RuntimeToken.select(products, lock: false, .sqlite)])
            + (providers.isEmpty ? [] : [ScimToken.select(providers, lock: false, .sqlite)])
        let known = KnownRoles.last
        return StandingQuestion(statements) { rows in
            let further = try Further(rows[0], known)
            return (further.needsRoles ? [RolePermission.all] : [])
                + (further.reset.isEmpty ? [] : [StaffQueries.earlierResets(of: further.reset)])
        } answer: { rows, answers, now in
            let further = try Further(rows[0], known)
            let roles = try further.needsRoles ? answers.first.map(KnownRoles.of) : known
            let resets = try further.reset.isEmpty ? [] : (answers.last ?? []).compactMap(ResetTouch.init)
            var rest = rows.dropFirst()
            func next(_ asked: [String]) -> [Row] { asked.isEmpty ? [] : rest.removeFirst() }
            var out = try standings(rows[0], accounts: next(accounts), roles, resets, at: now)
            out.merge(
                Self.tokenStandings(
                    try next(products).map(RuntimeToken.init), try next(providers).map(ScimToken.init), at: now)
            ) { own, _ in own }
            return out
        }
    }

    /// What is to be asked once people are known.
    private struct Further {
        /// The policy has changed since its roles were read.
        let needsRoles: Bool
        /// Those whose factors were reset more than once within the time that counts.
        let reset: [String]

        init(_ people: [Row], _ known: KnownRoles?) throws {
            needsRoles = try people.first.map { try $0.string("mark") != known?.mark } ?? false
            reset = Set(try people.filter { try $0.int("reset_before") == 1 }.map { try $0.string("id") }).sorted()
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

    /// - Parameter people: a row for each grant somebody was given.
    private func standings(
        _ people: [Row], accounts: [Row], _ permissions: KnownRoles?, _ resets: [ResetTouch], at now: Instant
    ) throws -> [String: Standing] {
        var out: [String: Standing] = [:]
        var reset: [String: Instant] = [:]
        for rows in Dictionary(grouping: people, by: { $0["id"] }).values {
            let staff = try Staff(rows[0])
            let grants = try rows.compactMap(Grant.init(beside:))
            reset[staff.id] = staff.resetAt
            let roles = Set(grants.filter { $0.isLive(at: now) }.map(\.role))
            let isActive = staff.status == .active
            let held = isActive ? permissions?.union(roles) ?? .none : .none
            let emergency = try ignoresLocks ? nil : Emergency(beside: rows[0], of: held, at: now)
            let left = SoloLock.apply(emergency, to: isActive ? roles : [], held)
            out[staff.id] = Standing(
                person: staff.id, name: staff.name, isActive: isActive, roles: left.roles,
                permissions: left.permissions,
                touches: Self.touches(staff, grants) + resets.filter { $0.staffID == staff.id }.map(\.touch),
                emergency: emergency, hasPasskey: try isActive && rows[0].int("passkey") == 1)
        }
        for account in try accounts.map(ServiceAccount.init) {
            let owner = out[account.ownerID]
            // Whoever had an account's token when its owner's factors were reset may be why they were: it works on once replaced.
            let isOlder = reset[account.ownerID].map { account.rotatedAt ?? account.createdAt < $0 } ?? false
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

extension Grant {
    /// From a row of `StaffQueries.standings`; `nil` for whoever was never given any.
    fileprivate init?(beside row: Row) throws {
        guard let id = try row.optionalString("grant_id") else { return nil }
        self.init(
            id: id, staffID: try row.string("id"), role: try row.string("role_id"),
            grantedBy: try row.string("granted_by"), grantedAt: try row.instant("granted_at"),
            expiresAt: try row.optionalInstant("grant_expires_at"), revokedAt: try row.optionalInstant("revoked_at"),
            tokenHolder: try row.optionalString("token_holder"))
    }
}
