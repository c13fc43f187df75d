/// The sealed members an erasure removes. The erasure's event commits to exactly this set, so that nobody can later remove
/// another value and call it erased.
public struct ErasedMembers: Sendable, Hashable {
    /// A member of an event: `details` of `evt_…`.
    public struct Member: Sendable, Hashable, Comparable {
        public let event: String
        public let member: String
        public init(event: String, member: String) {
            self.event = event
            self.member = member
        }
        public static func < (a: Member, b: Member) -> Bool {
            a.event == b.event
                ? a.member.utf8.lexicographicallyPrecedes(b.member.utf8)
                : a.event.utf8.lexicographicallyPrecedes(b.event.utf8)
        }
    }

    public private(set) var members: Set<Member>
    public init(_ members: some Sequence<Member> = []) { self.members = Set(members) }

    public mutating func insert(_ member: Member) { members.insert(member) }
    public mutating func formUnion(_ other: ErasedMembers) { members.formUnion(other.members) }

    /// Hex SHA-256 of the canonical JSON `[["evt_…", "details"], …]` in byte order.
    public var digest: String {
        sha256(JSON.array(members.sorted().map { [.string($0.event), .string($0.member)] }).canonical).hex
    }

    /// The unsealed members of the erasure's event: `erased` (a count) and `erased_sha256`.
    public var facts: [String: JSON] { ["erased": .int(Int64(members.count)), "erased_sha256": .string(digest)] }

    /// What is wrong with an erasure event that is to stand for these members; `nil` when it does.
    ///
    /// - Parameter leaf: the event; `nil` when there is none.
    func mismatch(_ leaf: JSON?) -> String? {
        guard let leaf, leaf["action"]?.string?.hasPrefix("erasure.") == true else {
            return "what stands as its erasure is none."
        }
        guard leaf["facts"]?["erased_sha256"]?.string == digest else {
            return """
                its erasure removed \(leaf["facts"]?["erased"]?.int ?? 0) other values: \(members.count) are said to be erased \
                by it.
                """
        }
        return nil
    }
}

/// Members that are gone and the erasure events they name, while a log is walked.
struct ErasureClaims: Sendable {
    /// Erasure event → what names it.
    private(set) var claimed: [String: ErasedMembers] = [:]
    /// Erasure events that were met.
    private(set) var met: [String: JSON] = [:]

    init() {}

    mutating func claim(_ event: String, _ member: String, by erasure: String) {
        claimed[erasure, default: ErasedMembers()].insert(.init(event: event, member: member))
    }

    /// Remembers what is needed of an erasure's leaf.
    mutating func meet(_ id: String, _ leaf: JSON) {
        guard leaf["action"]?.string?.hasPrefix("erasure.") == true else { return }
        met[id] = JSON.members([("action", leaf["action"]), ("facts", leaf["facts"])])
    }

    mutating func add(_ other: ErasureClaims) {
        claimed.merge(other.claimed) { first, second in
            var both = first
            both.formUnion(second)
            return both
        }
        met.merge(other.met) { first, _ in first }
    }

    /// - Parameter isLater: an erasure that was not met came after the walk began and is left out.
    func findings(leavingOut isLater: (String) -> Bool = { _ in false }) -> [Finding] {
        var findings: [Finding] = []
        for (id, members) in claimed.sorted(by: { $0.key < $1.key }) where met[id] != nil || !isLater(id) {
            guard let reason = members.mismatch(met[id]) else { continue }
            for member in members.members.sorted().prefix(100) {
                findings.append(
                    Finding(
                        .valueDeleted, event: member.event, row: "sealed_erasure:\(member.event)",
                        "The sealed member \(member.member) is gone, and \(reason)"))
            }
        }
        for (id, leaf) in met.sorted(by: { $0.key < $1.key })
        where claimed[id] == nil && (leaf["facts"]?["erased"]?.int ?? 0) > 0 {
            findings.append(
                Finding(
                    .valueAdded, event: id, row: "sealed_erasure",
                    "The erasure removed \(leaf["facts"]?["erased"]?.int ?? 0) values, and none is said to be erased by it."
                ))
        }
        return findings
    }

    // MARK: Written down

    var json: JSON {
        [
            "claimed": .object(
                claimed.mapValues { .array($0.members.sorted().map { [.string($0.event), .string($0.member)] }) }),
            "met": .object(met),
        ]
    }

    init?(_ json: JSON) {
        guard let claimed = json["claimed"]?.object, let met = json["met"]?.object else { return nil }
        self.met = met
        self.claimed = claimed.mapValues { list in
            ErasedMembers(
                (list.array ?? []).compactMap { pair in
                    guard let event = pair.array?.first?.string, let member = pair.array?.last?.string else {
                        return nil
                    }
                    return .init(event: event, member: member)
                })
        }
    }
}
