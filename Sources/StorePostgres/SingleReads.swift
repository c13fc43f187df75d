import Synchronization

/// What is known of reads by their first statement: most ask once and are over with the answer, so that they need no transaction around
/// them. Where too many ask again, reads are begun as a transaction, and no body is run twice.
final class SingleReads: Sendable {
    /// Running a body twice costs about five times what a transaction around it does.
    private static let most = 0.2
    /// How much one read counts against those before it.
    private static let weight = 0.05
    /// Statements remembered at most.
    private static let room = 2000

    /// The part of reads that asked again.
    private let rates = Mutex<[String: Double]>([:])

    func mayBeSingle(_ text: String) -> Bool { rates.withLock { $0[text] ?? 0 } < Self.most }

    /// - Parameter askedAgain: whether a read that began with this statement needed more than one answer.
    func learn(_ text: String, askedAgain: Bool) {
        let outcome = askedAgain ? 1.0 : 0.0
        rates.withLock { rates in
            if let rate = rates[text] {
                rates[text] = rate + (outcome - rate) * Self.weight
            } else {
                if rates.count >= Self.room { rates = [:] }
                rates[text] = outcome
            }
        }
    }
}
