import Kernel

/// Whose it is to look at which grant.
enum AccessReviewShare {
    /// Deals grants out evenly: never to whoever holds them, and, as long as somebody else is there, not so that two people look
    /// at each other's.
    /// - Parameters:
    ///   - subjects: who holds each grant.
    ///   - known: what was dealt before, as pairs of holder and reviewer.
    /// - Returns: a reviewer for each; `nil` where there is nobody but its holder.
    static func deal(
        _ subjects: [String], among reviewers: [String], known: [(subject: String, reviewer: String)] = []
    ) -> [String?] {
        var load: [String: Int] = [:]
        var pairs: Set<[String]> = []
        for one in known {
            load[one.reviewer, default: 0] += 1
            pairs.insert([one.reviewer, one.subject])
        }
        return subjects.map { subject in
            let others = reviewers.filter { $0 != subject }
            // A pair would be complete if the other's grant was dealt to the holder of this one.
            let free = others.filter { !pairs.contains([subject, $0]) }
            let chosen = (free.isEmpty ? others : free).enumerated().min {
                (load[$0.element] ?? 0, $0.offset) < (load[$1.element] ?? 0, $1.offset)
            }?.element
            guard let chosen else { return nil }
            load[chosen, default: 0] += 1
            pairs.insert([chosen, subject])
            return chosen
        }
    }

    /// What becomes of the grants that one reviewer was to look at.
    /// - Parameter heir: takes everything but their own.
    static func handOver(
        _ items: [AccessReviewItem], to reviewers: [String], beside others: [AccessReviewItem], heir: String? = nil
    ) -> [Change] {
        let known = others.compactMap { item in item.reviewer.map { (subject: item.staffID, reviewer: $0) } }
        let dealt = deal(items.map(\.staffID), among: reviewers, known: known)
        return zip(items, dealt).compactMap { item, dealt in
            let reviewer = heir.map { $0 == item.staffID ? dealt : $0 } ?? dealt
            guard reviewer != item.reviewer else { return nil }
            var after = item
            after.reviewer = reviewer
            return Change.update(item, to: after)
        }
    }
}

/// What a leaver owed: they are no reviewer any more, and what was theirs to decide goes to the others with the same event.
struct AccessReviewHandover: Sendable {
    /// As many grants move with the event that somebody leaves by; whatever is left goes a moment later.
    static let most = 150

    let reviews: [AccessReview]
    let items: [AccessReviewItem]

    static func statements(of person: String) -> [Statement] {
        [AccessReviewQueries.open, AccessReviewQueries.undecided(of: person, limit: most)]
    }

    init(_ reviews: [Row], _ items: [Row], of person: String) throws {
        self.reviews = try reviews.map { try AccessReview($0) }.filter { $0.reviewers.contains(person) }
        self.items = try items.map { try AccessReviewItem($0) }
    }

    func changes(leaving person: String) -> [Change] {
        reviews.flatMap { review -> [Change] in
            var after = review
            after.reviewers.removeAll { $0 == person }
            let theirs = items.filter { $0.reviewID == review.id }
            return [.update(review, to: after)]
                + AccessReviewShare.handOver(theirs, to: after.reviewers, beside: [])
        }
    }
}
