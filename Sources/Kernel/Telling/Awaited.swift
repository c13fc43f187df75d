extension ApprovalSignatures {
    /// Those of these people whose signature would further the request now.
    public func awaited(among people: some Sequence<String>) -> [String] {
        let others = counting
        return people.filter { person in
            guard let standing = standings[person], reason(against: standing) == nil,
                !all.contains(where: { $0.person == person && $0.round == request.round })
            else { return false }
            return isFurthered(by: Signer(signing: standing, in: request.needs), beside: others)
        }
    }
}

extension ApprovalRequest {
    /// A request that nobody made, for asking who could sign one like it.
    public static func supposed(_ needs: [ApprovalNeed], askedBy person: String, at now: Instant) -> ApprovalRequest {
        ApprovalRequest(
            id: "", operation: "", targetType: nil, targetID: nil, aboutTenant: nil, requester: person, action: [:],
            planDigest: "", demands: .array(needs.map(\.json)), eventID: "", createdAt: now, expiresAt: now)
    }

    /// How long it can be signed, counted back from when it expires.
    public var window: Span { needs.map(\.window).min() ?? .hours(24) }

    /// When those who could sign are reminded (decision 27): at half of the window, and shortly before its end.
    public var reminders: [(stage: ReminderStage, at: Instant)] {
        let half = window.microseconds / 2
        let last = half > 2 * Span.minutes(10).microseconds ? Span.minutes(10) : .minutes(2)
        return [(.half, expiresAt - Span(microseconds: half)), (.last, expiresAt - last)]
    }
}

/// Which reminder of a request it is.
public enum ReminderStage: String, Sendable, CaseIterable {
    case half, last
}
