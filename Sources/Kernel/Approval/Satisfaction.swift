/// Somebody who agreed, as far as filling leaves goes.
public struct Signer: Sendable, Hashable {
    public let person: String
    public let roles: Set<String>
    public let permissions: Set<String>

    public init(person: String, roles: Set<String>, permissions: Set<String>) {
        self.person = person
        self.roles = roles
        self.permissions = permissions
    }

    public init(_ standing: Standing) {
        self.init(
            person: standing.person, roles: standing.roles, permissions: Set(standing.permissions.granted.keys))
    }
}

extension Signer {
    /// As somebody who signs what is asked for here: with those of their permissions that a leaf names.
    init(signing standing: Standing, in needs: [ApprovalNeed]) {
        self.init(
            person: standing.person, roles: standing.signingRoles,
            permissions: Set(needs.flatMap { $0.demand.permissions }.filter(standing.permissions.contains)))
    }
}

extension Standing {
    /// What they sign as: also in their own name, for a tenant that they look after.
    var signingRoles: Set<String> { roles.union(Demand.ownName(person, holding: permissions)) }
}

// How far a demand is met (spec: access §3, "The algebra"). A demand is met when for one of its alternatives every leaf can
// be given a signer of its own: a person fills one leaf of a rule, and may fill one in each of several rules.
extension Demand {
    /// More alternatives than this are no rule a person could read.
    public static let mostAlternatives = 200
    /// More leaves than this in one alternative are no rule a person could read.
    public static let mostLeaves = 12

    /// Those that its leaves name.
    var permissions: [String] {
        switch self {
        case .role: []
        case .permission(let code): [code]
        case .allOf(let demands), .anyOf(let demands), .count(_, let demands): demands.flatMap(\.permissions)
        }
    }

    /// The sets of leaves each of which meets the demand.
    public var alternatives: [[Demand]] {
        switch self {
        case .role, .permission: [[self]]
        case .anyOf(let demands): demands.flatMap(\.alternatives)
        case .allOf(let demands): Self.together(demands)
        case .count(let count, let demands): Self.choices(of: count, in: demands[...]).flatMap(Self.together)
        }
    }

    /// Why it is no rule; `nil` when it is one. Looks before it multiplies, so that a hostile tree costs nothing.
    public var flaw: String? {
        let size = self.size
        if size.alternatives > Self.mostAlternatives {
            return "It can be met in more than \(Self.mostAlternatives) ways, which nobody can oversee."
        }
        if size.leaves > Self.mostLeaves {
            return "It asks for more than \(Self.mostLeaves) people."
        }
        return nil
    }

    /// How many alternatives there are, and the most leaves one has; both stop a little beyond what is allowed.
    private var size: (alternatives: Int, leaves: Int) {
        func capped(_ number: Int) -> Int { min(number, 10_000) }
        switch self {
        case .role, .permission: return (1, 1)
        case .anyOf(let demands):
            return demands.map(\.size).reduce((0, 0)) { (capped($0.0 + $1.0), max($0.1, $1.1)) }
        case .allOf(let demands):
            return demands.map(\.size).reduce((1, 0)) { (capped($0.0 * $1.0), capped($0.1 + $1.1)) }
        case .count(let count, let demands):
            // Sums over every choice of `count`: the elementary symmetric polynomial, by the usual recurrence.
            let sizes = demands.map(\.size)
            var ways = [1] + Array(repeating: 0, count: max(count, 0))
            for size in sizes {
                for chosen in stride(from: count, to: 0, by: -1) {
                    ways[chosen] = capped(ways[chosen] + ways[chosen - 1] * size.alternatives)
                }
            }
            return (ways[count], capped(sizes.map(\.leaves).sorted(by: >).prefix(count).reduce(0, +)))
        }
    }

    private static func together(_ demands: [Demand]) -> [[Demand]] {
        demands.reduce([[]]) { found, demand in
            found.flatMap { leaves in demand.alternatives.map { leaves + $0 } }
        }
    }

    private static func choices(of count: Int, in demands: ArraySlice<Demand>) -> [[Demand]] {
        guard count > 0 else { return [[]] }
        guard demands.count >= count, let first = demands.first else { return [] }
        let rest = demands.dropFirst()
        return choices(of: count - 1, in: rest).map { [first] + $0 } + choices(of: count, in: rest)
    }

    /// Whether this leaf may be filled by them. False for what is no leaf.
    func isFilled(by signer: Signer) -> Bool {
        switch self {
        case .role(let roles): !signer.roles.isDisjoint(with: roles)
        case .permission(let code): signer.permissions.contains(code)
        case .allOf, .anyOf, .count: false
        }
    }

    /// A leaf of the alternative nearest to being met, and who fills it.
    public struct Place: Sendable, Hashable {
        public let leaf: Demand
        public let signer: String?
    }

    /// The alternative with the fewest empty leaves, the first of equals, with its leaves given to signers.
    public func nearest(to signers: [Signer]) -> [Place] {
        let found = alternatives.map { leaves in
            zip(leaves, Self.assign(leaves, signers)).map { leaf, index in
                Place(leaf: leaf, signer: index.map { signers[$0].person })
            }
        }
        return found.min { a, b in a.count { $0.signer == nil } < b.count { $0.signer == nil } } ?? []
    }

    public func isMet(by signers: [Signer]) -> Bool {
        alternatives.contains { leaves in !Self.assign(leaves, signers).contains(nil) }
    }

    /// Whether one signer more would fill a leaf that nobody fills yet, in one of the alternatives.
    public func isFurthered(by signer: Signer, beside signers: [Signer]) -> Bool {
        guard !isMet(by: signers) else { return false }
        return alternatives.contains { leaves in
            func filled(_ signers: [Signer]) -> Int { Self.assign(leaves, signers).count { $0 != nil } }
            return filled(signers + [signer]) > filled(signers)
        }
    }

    /// Whether it is met by any people who meet the other one, as far as the two name the same roles and permissions. False for
    /// rules with so many ways to be met that comparing them costs more than it says.
    func isMet(byWhoeverMeets other: Demand) -> Bool {
        let wanted = alternatives
        let given = other.alternatives
        guard wanted.count * given.count <= 100 else { return false }
        return given.allSatisfy { people in
            wanted.contains { leaves in
                let fits = leaves.map { leaf in people.map { $0.implies(leaf) } }
                return !Self.assign(fits, among: people.count).contains(nil)
            }
        }
    }

    /// Whether whoever fills this leaf fills the other.
    private func implies(_ other: Demand) -> Bool {
        switch (self, other) {
        case (.role(let held), .role(let wanted)): Set(held).isSubset(of: wanted)
        case (.permission(let held), .permission(let wanted)): held == wanted
        default: false
        }
    }

    /// Gives each leaf a signer of its own, as many leaves as can be at once. Answers the index of each leaf's signer.
    private static func assign(_ leaves: [Demand], _ signers: [Signer]) -> [Int?] {
        assign(leaves.map { leaf in signers.map { leaf.isFilled(by: $0) } }, among: signers.count)
    }

    /// By augmenting paths.
    /// - Parameter fits: of each leaf, whom it may be given to.
    private static func assign(_ fits: [[Bool]], among signers: Int) -> [Int?] {
        var leafOf: [Int?] = Array(repeating: nil, count: signers)
        func place(_ leaf: Int, _ tried: inout Set<Int>) -> Bool {
            for index in 0..<signers where fits[leaf][index] {
                guard tried.insert(index).inserted else { continue }
                guard let other = leafOf[index] else {
                    leafOf[index] = leaf
                    return true
                }
                if place(other, &tried) {
                    leafOf[index] = leaf
                    return true
                }
            }
            return false
        }
        for leaf in fits.indices {
            var tried: Set<Int> = []
            _ = place(leaf, &tried)
        }
        var out: [Int?] = Array(repeating: nil, count: fits.count)
        for (signer, leaf) in leafOf.enumerated() {
            if let leaf { out[leaf] = signer }
        }
        return out
    }
}
