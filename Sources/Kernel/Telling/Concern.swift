extension EventDraft {
    /// Things whose events are for people: a request to sign, somebody's account, an exception that waits for its review, an
    /// emergency, a review of access and each grant in it, a clock that was set, a row that differs from the log.
    private static let concerning: Set<String> = [
        "approval", "staff", "staff_flag", "recovery", "breakglass", "access_review", "access_review_item",
        "clock_jump", "discrepancy",
    ]

    /// Whether somebody beside the actor may have to hear of it. Such events wait for the inbox, which decides by what it finds
    /// (decision 27); looks and sign-ins never do, so that the busiest paths write nothing for it.
    public var mayConcernPeople: Bool {
        switch eventClass {
        case .mutation, .approval, .complianceConsole:
            outcome != .denied
                && (approvalID != nil || target.map { Self.concerning.contains($0.type) } ?? false
                    || changes.contains { Self.concerning.contains($0.type) })
        case .authz: action == "authz.denial_burst"
        case .incident: ["oidc.settings_changed", "clock.jumped", "discrepancy.report"].contains(action)
        default: false
        }
    }
}
