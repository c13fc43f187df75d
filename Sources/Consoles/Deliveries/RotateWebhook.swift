import Kernel

/// A new signing secret. For a day both sign, so that the receiver can change over without losing anything; unless somebody
/// else knows the old one.
public enum RotateWebhook: Operation {
    public typealias Target = Webhook
    public static let spec = OperationSpec(
        "webhook.rotate", "Rotate secret",
        summary: "Makes a new signing secret, shown once; the old one signs too for 24 hours, or stops at once.",
        permission: "webhook.manage", risk: .high)

    public struct Input: OperationInput {
        @Param(
            "The old secret stops at once",
            help: "For one that leaked, or is lost: only the new one signs from now on.")
        public var endPrevious: Bool = false
        public init() {}
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Webhook> {
        let endsPrevious = call.input.endPrevious
        // The receiver may know the older one alone: it is not taken away before its day is over, unless that is asked for.
        if !endsPrevious, let until = call.before.overlap(at: call.now) {
            throw .conflict(
                "\(call.before.displayName) signs with two secrets until \(until.minuteText). Rotate again after that, "
                    + "or at once with end_previous (The old secret stops at once).",
                legal: [])
        }
        let secret = call.fresh.secret("webhook")
        var after = call.before
        after.previousSecret = endsPrevious ? nil : call.before.secret
        after.previousUntil = endsPrevious ? nil : call.now + Webhook.overlap
        after.secret = try call.fresh.sealed(secret, for: after.sealContext)
        after.updatedAt = call.now
        return Plan(
            after, reveal: ["signing_secret": .text(WebhookSignature.text(of: secret))],
            consequence: after.previousUntil.map { until in
                "Notices to \(after.displayName) carry two signatures until \(until.minuteText), then the new one only."
            } ?? "Notices to \(after.displayName) carry the new signature only, from now on.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible(
            "The old secret signs for 24 hours at most; after that only the new one does. Rotate again for another.")
    }
}

extension Webhook {
    /// Until when the replaced secret signs too; `nil` when it does no more.
    fileprivate func overlap(at now: Instant) -> Instant? {
        previousSecret == nil ? nil : previousUntil.flatMap { now < $0 ? $0 : nil }
    }
}
