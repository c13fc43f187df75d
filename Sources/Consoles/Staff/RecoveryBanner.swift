import HTML
import Kernel

/// Says loudly that an account is about to be recovered from the server.
enum RecoveryBanner {
    /// For who may cancel it, and for who may end the sessions of colleagues: security sees it while no super_admin can sign in.
    static func isFor(_ caller: Caller) -> Bool {
        [CancelRecovery.spec.permission, RevokeStaffSessions.spec.permission].contains {
            caller.permissions.contains($0)
        }
    }

    /// Every recovery that waits.
    static func node(for caller: Caller, from reader: any Reader) throws -> Node {
        guard isFor(caller) else { return .none }
        return try reader.query(Recovery.waiting).reduce(.none) { out, row in
            out + node(try Recovery(row), caller, now: reader.now)
        }
    }

    static func node(_ recovery: Recovery, _ caller: Caller, now: Instant) -> Node {
        let mayCancel = caller.permissions.contains(CancelRecovery.spec.permission)
        let isOwn = recovery.staffID == caller.person
        let advice =
            switch (mayCancel, isOwn) {
            case (true, true): "If you are not locked out, cancel it."
            case (true, false): "If nobody is locked out, cancel it."
            case (false, true): "If you are not locked out, ask a super admin to cancel it."
            case (false, false):
                "Ask \(recovery.name) whether they are locked out. A super admin who signs in can cancel it."
            }
        return UI.banner(
            .danger,
            "\(isOwn ? "Your account" : "The account of \(recovery.name)") is about to be recovered from the server.",
            "\(isOwn ? "Your" : "Its") factors end and a link sets new ones at \(recovery.executeAt.minuteText), \(TimeText.relative(recovery.executeAt, now: now)). \(advice)",
            action: mayCancel
                ? UI.linkButton("Cancel recovery…", href: "/recoveries/\(recovery.id)/cancel", style: .warns) : .none)
    }
}

/// Says to a person who signed in that somebody had their factors reset.
enum ResetBanner {
    static func node(for caller: Caller, from reader: any Reader) throws -> Node {
        guard caller.actor.kind == .staff, let me = try Staff.load(caller.person, from: reader), let at = me.resetAt,
            at != me.createdAt, reader.now - at < Standing.quarantine
        else { return .none }
        let who =
            try me.resetBy.flatMap { try StaffDetail.names([$0], from: reader)[$0] }
            ?? (me.resetBy == ScimDoor.person ? "the identity provider" : "Postern on the server")
        return UI.banner(
            .warn, "Your factors were reset by \(who) \(TimeText.relative(at, now: reader.now)).",
            "If you did not ask for that, tell whoever looks after security at once: somebody else may have used your account.",
            action: UI.linkButton("My security", href: "/me"))
    }
}
