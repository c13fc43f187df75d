import Kernel

/// What access reviews ask of people, and what they decide about them (spec: access §6).
///
///     a grant comes to a reviewer ─▶ asked of them ─ reminder ─▶ until nothing is left for them
///     overdue ────────────────────▶ those who owe something, super_admins and security
///     a grant is kept or revoked ──▶ whoever holds or held it
extension InboxWriter {
    func takeAccessReviews(_ told: Told, _ telling: inout Telling, _ tx: any Writer) throws {
        let ids = told.ids(of: AccessReviewItem.type)
        let items =
            ids.isEmpty
            ? [] : try tx.query(AccessReviewItem.select(ids, lock: false, tx.dialect)).map { try AccessReviewItem($0) }
        try tellHolder(items, told, &telling)
        let reviews = Set(told.ids(of: AccessReview.type) + items.map(\.reviewID)).sorted()
        for id in reviews {
            guard let review = try AccessReview.load(id, from: tx) else { continue }
            guard review.state == .open else {
                telling.settle(id, kinds: Notice.Kind.askingToDecide + [.accessReviewOverdue])
                continue
            }
            let owing = try AccessReviewTurn.owing(review, from: tx)
            let about = (type: AccessReview.type, id: id)
            switch told.action {
            case RemindAccessReview.spec.name:
                telling.tell(owing, .accessReviewReminder, of: told.id, about: about)
            case EscalateAccessReview.spec.name:
                let rows = try tx.query(Grant.people(holding: EscalateAccessReview.heard, at: tx.now))
                let people = Set(try rows.map { try $0.string("id") } + owing).sorted()
                telling.tell(people, .accessReviewOverdue, of: told.id, about: about)
            default:
                // By the start, by whoever hands over, or because somebody left.
                let given = Set(items.filter { $0.reviewID == id && $0.state == .open }.compactMap(\.reviewer))
                telling.tell(given.intersection(owing).sorted(), .accessReviewAsked, of: told.id, about: about)
            }
            telling.settle(id, but: owing, kinds: Notice.Kind.askingToDecide)
        }
    }

    /// Whose grant it was hears what was decided on it.
    private func tellHolder(_ items: [AccessReviewItem], _ told: Told, _ telling: inout Telling) throws {
        let kind: Notice.Kind
        switch told.action {
        case KeepReviewedGrant.spec.name: kind = .grantKept
        case RevokeReviewedGrant.spec.name: kind = .grantRevoked
        default: return
        }
        for item in items where item.id == told.target?.id {
            telling.tell([item.staffID], kind, of: told.id, about: (AccessReviewItem.type, item.id))
        }
    }
}
