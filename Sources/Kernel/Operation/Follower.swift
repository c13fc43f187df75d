/// What a console keeps about rows of another, brought up to date by whatever operation changes them: in the same transaction and the
/// same event.
///
/// It is no part of the plan. Nobody is asked to agree to it, and what waits for approval does not turn stale by it.
public struct Follower: Sendable {
    public typealias Followed = (changes: [Change], facts: [String: JSON])

    /// What follows from the changes of a plan, and what the event says of it; `nil` when nothing does. It MUST tell by the changes alone
    /// whether they concern it, and read nothing where they don't: it is asked by every mutation.
    let follow: @Sendable (_ changes: [Change], _ person: String, any Reader) throws -> Followed?

    public init(
        _ follow: @escaping @Sendable (_ changes: [Change], _ person: String, any Reader) throws -> Followed?
    ) {
        self.follow = follow
    }
}
