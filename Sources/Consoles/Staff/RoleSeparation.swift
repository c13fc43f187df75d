import Kernel

/// Two sets of roles of which nobody holds one of each: whoever did could finish what the other must check. An exception needs
/// its reason written down and raises a flag (spec: access §3).
public struct RoleSeparation: Entity, Hashable {
    public static let type = "role_separation"
    public static let idPrefix = "role_separation"
    public static let table = "role_separations"

    /// A stable code, `billing_security`.
    public var id: String
    public var version: Int64
    public var first: [String]
    public var second: [String]
    /// What one person could do with both, in words.
    public var summary: String

    public init(id: String, version: Int64 = 1, first: [String], second: [String], summary: String) {
        self.id = id
        self.version = version
        self.first = first
        self.second = second
        self.summary = summary
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { summary }
    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "first_roles": .array(first.map(JSON.string)),
            "second_roles": .array(second.map(JSON.string)), "summary": .string(summary),
        ]
    }

    /// False where it was ended: one of its sides is empty, and nothing is kept apart by it.
    var isInForce: Bool { !first.isEmpty && !second.isEmpty }

    /// The roles that are not held together with one.
    func partners(of role: String) -> [String] {
        (first.contains(role) ? second : []) + (second.contains(role) ? first : [])
    }

    /// The pairs of roles in `held` that are not held together.
    func conflicts(in held: Set<String>) -> [(first: String, second: String)] {
        held.intersection(first).sorted().flatMap { a in held.intersection(second).sorted().map { (a, $0) } }
    }

    /// The first of them; `nil` when they may be held together.
    func conflict(in held: Set<String>) -> (first: String, second: String)? { conflicts(in: held).first }

    /// Why these roles may not be held together; `nil` when they may.
    public static func sentence(_ held: Set<String>, under separations: [RoleSeparation]) -> String? {
        separations.lazy.compactMap { $0.conflict(in: held) }.first.map { first, second in
            let pair = AccessNames.roles([first, second], " and ")
            return "\(pair) may not be held by one person: either could finish what the other must check."
        }
    }
}
