import Testing

@testable import Kernel

/// The algebra of demands, against an independent search.
@Suite struct DemandTests {
    private static let roles = ["a", "b", "c"]

    private struct Dice: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private static func demand(depth: Int, _ dice: inout Dice) -> Demand {
        func several() -> [Demand] {
            (1...Int.random(in: 1...3, using: &dice)).map { _ in demand(depth: depth - 1, &dice) }
        }
        switch depth == 0 ? 0 : Int.random(in: 0...4, using: &dice) {
        case 1: return .allOf(several())
        case 2: return .anyOf(several())
        case 3:
            let parts = several()
            return .count(Int.random(in: 1...parts.count, using: &dice), parts)
        case 4: return .permission(roles.randomElement(using: &dice)! + ".do")
        default:
            return .role(
                Array(roles.shuffled(using: &dice).prefix(Int.random(in: 1...2, using: &dice))).sorted())
        }
    }

    private static func signers(_ dice: inout Dice) -> [Signer] {
        (0..<Int.random(in: 0...4, using: &dice)).map { number in
            let held = Set(roles.filter { _ in Bool.random(using: &dice) })
            return Signer(person: "p\(number)", roles: held, permissions: Set(held.map { $0 + ".do" }))
        }
    }

    /// Every way of giving the tree's leaves to people, by walking the tree and trying everybody.
    private static func isMet(_ demand: Demand, by signers: [Signer]) -> Bool {
        /// All sets of people that can fill `demand`, each person once, out of those not used.
        func ways(_ demand: Demand, without used: Set<String>) -> Set<Set<String>> {
            switch demand {
            case .role(let roles):
                Set(
                    signers.filter { !used.contains($0.person) && !$0.roles.isDisjoint(with: roles) }.map {
                        [$0.person]
                    })
            case .permission(let code):
                Set(signers.filter { !used.contains($0.person) && $0.permissions.contains(code) }.map { [$0.person] })
            case .anyOf(let demands): demands.reduce(into: []) { $0.formUnion(ways($1, without: used)) }
            case .allOf(let demands):
                demands.reduce([[]]) { found, next in
                    found.reduce(into: []) { out, taken in
                        for more in ways(next, without: used.union(taken)) { out.insert(taken.union(more)) }
                    }
                }
            case .count(let count, let demands):
                (0..<(1 << demands.count)).filter { $0.nonzeroBitCount == count }.reduce(into: []) { out, mask in
                    let chosen = demands.indices.filter { mask & (1 << $0) != 0 }.map { demands[$0] }
                    out.formUnion(ways(.allOf(chosen), without: used))
                }
            }
        }
        return !ways(demand, without: []).isEmpty
    }

    @Test func `a demand is met exactly when every leaf can have a person of its own`() {
        var dice = Dice(state: 20_261_126)
        var met = 0
        for _ in 0..<4_000 {
            let demand = Self.demand(depth: 2, &dice)
            let signers = Self.signers(&dice)
            let expected = Self.isMet(demand, by: signers)
            #expect(demand.isMet(by: signers) == expected, "\(demand.json.canonicalText) by \(signers)")
            #expect(demand.nearest(to: signers).contains { $0.signer == nil } != expected)
            if expected { met += 1 }
            // Somebody furthers it exactly when it is not met and, with enough people of every kind beside, they are needed.
            if expected, let last = signers.last {
                #expect(!demand.isFurthered(by: last, beside: signers))
            }
        }
        // The cases say something about both answers.
        #expect((800...3_200).contains(met), "\(met)")
    }

    @Test func `signing until nothing is furthered meets every demand that can be met`() {
        var dice = Dice(state: 7)
        for _ in 0..<2_000 {
            let demand = Self.demand(depth: 2, &dice)
            let people = Self.signers(&dice)
            var signed: [Signer] = []
            // Everybody who could further it does, in the order they come; that may take them down a branch that others
            // can't complete, but never further from the end.
            for person in people where demand.isFurthered(by: person, beside: signed) { signed.append(person) }
            #expect(Set(signed.map(\.person)).count == signed.count)
            #expect(
                demand.isMet(by: signed) == Self.isMet(demand, by: people), "\(demand.json.canonicalText) \(people)")
        }
    }

    @Test func `a tree too large to oversee is refused without being unfolded`() {
        let wide = Demand.allOf(Array(repeating: .anyOf([.role(["a"]), .role(["b"])]), count: 60))
        #expect(wide.flaw != nil)
        let choice = Demand.count(30, Array(repeating: .anyOf([.role(["a"]), .role(["b"])]), count: 60))
        #expect(choice.flaw != nil)
        #expect(Demand.count(2, Array(repeating: .role(["a"]), count: 30)).flaw != nil)
        #expect(Demand.allOf(Array(repeating: .role(["a"]), count: 13)).flaw != nil)
        #expect(Demand.allOf([.role(["a"]), .anyOf([.role(["b"]), .permission("x.y")])]).flaw == nil)
        var dice = Dice(state: 3)
        for _ in 0..<500 {
            let demand = Self.demand(depth: 3, &dice)
            if demand.flaw == nil {
                #expect(demand.alternatives.count <= Demand.mostAlternatives)
                #expect(demand.alternatives.allSatisfy { $0.count <= Demand.mostLeaves })
            }
        }
    }
}
