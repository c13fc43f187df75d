import Kernel

/// What leaves of a campaign for whoever audits it.
enum AccessReviewEvidence {
    /// CC6 of the trust services criteria, as far as a review of access is evidence for it.
    static let controls = [
        (id: "CC6.2", title: "Access is removed when it is no longer authorized"),
        (id: "CC6.3", title: "Access is modified or removed by role, responsibility and least privilege"),
    ]

    static let source = EvidenceSource(
        "access_review.export",
        summary: "The frozen list, every decision with its reason, and the receipts that prove them.",
        path: "/access-reviews/{id}/evidence", permission: "access_review.export"
    ) { call, reader in
        let items = try AccessReviewItems.whole(
            AccessReviewListing.find(call.path["id"] ?? "", from: reader), from: reader)
        let review = items.review
        var rows: [EvidenceContents.Row] = [.init(review)]
        rows += items.entries.map { .init($0.item, reason: $0.reason) }
        if let id = review.exceptionID, let exception = try ComplianceException.load(id, from: reader) {
            rows.append(.init(exception))
        }
        let events = try reader.query(AccessReviewQueries.events(of: review.id)).map { try $0.string("event_id") }
        return (
            EvidenceContents(
                subject: (AccessReview.type, review.id),
                title: "Access review of \(AccessNames.roles(review.roles)), started \(review.startedAt.day.text)",
                framework: "SOC 2", controls: controls, window: (review.startedAt, review.endedAt), rows: rows,
                events: events, beside: [Grant.type], people: items.names),
            Disclosure(
                "access_review.export", target: (AccessReview.type, review.id), count: items.entries.count,
                ids: items.entries.map(\.item.id), subjects: Set(items.entries.map(\.item.staffID)).sorted())
        )
    }
}
