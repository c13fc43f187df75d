import Kernel

// What became of the things that notices tell of. A notice keeps saying what it said; this stands behind it.

extension ApprovalRequest {
    /// "it has been carried out"; `nil` while it takes signatures.
    func became(at now: Instant) -> String? {
        guard !isOpen(at: now) else { return nil }
        return switch state {
        case .approved, .scheduled: "it has been approved"
        case .executed: "it has been carried out"
        case .rejected: "it has been rejected"
        case .cancelled: "it has been cancelled"
        case .failed: "it could not be carried out"
        // One that nobody swept yet has expired as well.
        case .expired, .pending, .stale: "it has expired"
        }
    }

    /// What came of it once it was approved and had to wait for its time. What goes back to its approvers has no time any more.
    func afterWaiting(at now: Instant) -> String {
        let planned = executeAt.map { "It was to be carried out at \($0.minuteText)" }
        return switch state {
        case .approved, .scheduled:
            executeAt.map { "It is carried out at \($0.minuteText), unless somebody cancels it." }
                ?? "It is carried out soon, unless somebody cancels it."
        case .executed: planned.map { "\($0), and was." } ?? "It was carried out."
        case .cancelled: "It was cancelled before it was carried out."
        case .failed: "When its time had come, it could not be carried out."
        case .rejected: "It was rejected before it was carried out."
        case .pending where isOpen(at: now), .stale where isOpen(at: now):
            "When its time had come, it needed another signature."
        case .pending, .stale, .expired: "When its time had come, it needed another signature, and expired without it."
        }
    }
}

extension BreakGlass {
    /// Until when it was open.
    private var lastedUntil: String { "It was open until \((endedAt ?? endsAt).minuteText)." }

    /// What a notice of this kind says of it, as it is by now.
    func standing(in kind: Notice.Kind, for person: String, at now: Instant) -> String {
        if isOn(at: now) {
            return "It is open until \(endsAt.minuteText). Everything done within it is listed on its page."
        }
        return switch kind {
        case .emergencyOpened, .emergencyEnded: "\(lastedUntil) \(review(for: person, at: now))"
        case .emergencyOwed, .emergencyOverdue:
            state == .reviewed
                ? (reviewDueAt.map { "Its review was owed by \($0.minuteText). " } ?? "") + found
                : review(for: person, at: now)
        default: verdict.map { "\(BreakGlassPages.words($0))." } ?? "It is reviewed."
        }
    }

    /// How it stands with its review.
    private func review(for person: String, at now: Instant) -> String {
        switch (state, reviewDueAt) {
        case (.reviewed, _): return found
        case (.ended, let due?) where isOverdue(at: now):
            return "Its review was owed by \(due.minuteText), and is overdue."
        case (.ended, let due?):
            let locks = isSolo && self.person == person
            return "Its review is owed by \(due.minuteText), by somebody who neither opened nor signed it."
                + (locks ? " Until then you can do nothing else." : "")
        case (.open, _), (.ended, nil): return "Its review is owed."
        }
    }

    /// "It was reviewed on 27 Nov 2026, 10:00 UTC. Justified: all of it was right."
    private var found: String {
        let at = reviewedAt.map { " on \($0.minuteText)" } ?? ""
        return "It was reviewed\(at)." + (verdict.map { " \(BreakGlassPages.words($0))." } ?? "")
    }
}

extension AccessReview {
    /// Until when it had to be decided, and whether anything of it is left.
    func standing(at now: Instant) -> String {
        guard state == .open else {
            return "It was due at \(dueAt.minuteText). Nothing is left to decide: it is \(state.rawValue)."
        }
        return isOverdue(at: now)
            ? "It was due at \(dueAt.minuteText). An exception is open until it is closed."
            : "It is due at \(dueAt.minuteText)."
    }
}

extension Recovery {
    var standing: String {
        let planned = "It was to get new factors at \(executeAt.minuteText)"
        return switch state {
        case .pending: "It gets new factors at \(executeAt.minuteText), unless a super admin cancels it before."
        case .done: "\(planned), and did."
        case .cancelled: "\(planned). It was cancelled."
        }
    }
}

extension ClockJump {
    var standing: String {
        guard let confirmedAt else { return "What goes by dates is held until somebody has looked and confirmed it." }
        return "What goes by dates was held until somebody confirmed it on \(confirmedAt.minuteText)."
    }
}

extension StaffFlag {
    /// What an exception is about, and what came of looking at it.
    var standing: String {
        let pair = "\(displayName) are held together by one person."
        guard state == .cleared else { return pair }
        let at = clearedAt.map { " on \($0.minuteText)" } ?? ""
        return outcome == "resolved"
            ? "\(AccessNames.roles(roles, " and ")) were held together by one person. It was reviewed\(at): one of them was taken away."
            : "\(pair) It was reviewed\(at): the exception stands."
    }
}
