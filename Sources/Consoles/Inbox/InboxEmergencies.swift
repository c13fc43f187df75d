import Kernel

/// What became of an emergency, for those with a say and for whoever opened it (spec: access §7).
///
///     opened ─▶ everybody with a say
///     ended ──▶ asked of those who could review it; the others with a say, and its opener, hear of it
///     overdue ▶ everybody with a say
///     reviewed ▶ its opener; nobody is asked for it any more
extension InboxWriter {
    func takeEmergency(_ id: String, _ told: Told, _ telling: inout Telling, _ tx: any Writer) throws {
        guard let session = try BreakGlass.load(id, from: tx) else { return }
        let about = (type: BreakGlass.type, id: session.id)
        switch told.action {
        case OpenBreakGlass.spec.name:
            let others = try Self.withSay(tx).filter { $0 != session.person }
            telling.tell(others, .emergencyOpened, of: told.id, about: about)
        case EscalateBreakGlass.spec.name:
            guard session.state == .ended else { return }
            telling.tell(try Self.withSay(tx), .emergencyOverdue, of: told.id, about: about)
        case ReviewBreakGlass.spec.name:
            telling.settle(session.id, of: told.actor, kinds: Notice.Kind.askingToReview)
            telling.settle(session.id, kinds: Notice.Kind.askingToReview)
            telling.tell([session.person], .emergencyReviewed, of: told.id, about: about)
        default:
            let isItsOwnEnd = [EndBreakGlass.spec.name, ExpireBreakGlass.spec.name].contains(told.action)
            // Or what ended its opener’s sessions or account. Somebody may have reviewed it before anybody looked.
            guard session.state == .ended, isItsOwnEnd || told.target?.type == Staff.type else { return }
            let reviewers = try Self.reviewers(of: session, tx)
            telling.tell(reviewers, .emergencyOwed, of: told.id, about: about)
            let others = Set(try Self.withSay(tx) + [session.person]).subtracting(reviewers + [told.actor]).sorted()
            telling.tell(others, .emergencyEnded, of: told.id, about: about)
            // Those operations write to nobody of it.
            guard !isItsOwnEnd else { return }
            for effect in OpenBreakGlass.told(.breakglassEnded, of: session) { mail(effect, of: told.id, tx) }
        }
    }

    private static func withSay(_ tx: any Writer) throws -> [String] {
        try tx.query(Grant.people(holding: OpenBreakGlass.withSay, at: tx.now)).map { try $0.string("id") }
    }

    /// Who could review it now.
    private static func reviewers(of session: BreakGlass, _ tx: any Writer) throws -> [String] {
        let facts = try ReviewBreakGlass.Facts(session, from: tx)
        let rows = try tx.query([
            BreakGlassQueries.holders(of: ReviewBreakGlass.spec.permission, at: tx.now), BreakGlassQueries.live,
        ])
        let locked = Set(try rows[1].map(BreakGlass.init).filter(\.isSolo).map(\.person))
        return try rows[0].map { try $0.string("id") }.filter {
            !locked.contains($0) && facts.hindrance(of: $0, session) == nil
        }
    }
}
