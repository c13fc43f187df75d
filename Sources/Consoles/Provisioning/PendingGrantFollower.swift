import Kernel

/// Answers what waits when a role is given for good another way: by a colleague who does not look at what waits, or with an
/// invitation. A role until a time is no answer to who asks for it without one.
enum PendingGrantFollower {
    static let follower = Follower(follow)

    private static func follow(
        _ changes: [Change], by person: String, from reader: any Reader
    ) throws -> Follower.Followed? {
        var given: [String: Set<String>] = [:]
        for change in changes where change.before == nil {
            guard let grant = change.after as? Grant, grant.expiresAt == nil else { continue }
            given[grant.staffID, default: []].insert(grant.role)
        }
        guard !given.isEmpty else { return nil }
        // What the operation itself decides stays as it decides it.
        let decided = Set(changes.map(\.id))
        let now = reader.now
        let waiting = try reader.query(given.keys.sorted().map { PendingGrant.undecided(of: $0) }).joined()
            .map { try PendingGrant($0) }
            .filter {
                $0.state == .pending && !decided.contains($0.id) && given[$0.staffID]?.contains($0.role) == true
            }
        guard !waiting.isEmpty else { return nil }
        let answered = waiting.map { Change.update($0, to: $0.decided(.accepted, by: person, at: now)) }
        return (changes: answered, facts: ["answered": .array(waiting.map { JSON.string($0.role) })])
    }
}
