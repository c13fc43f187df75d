import Kernel

/// A new signing secret. For a day both sign, so that the receiver can change over without losing anything.
public enum RotateWebhook: Operation {
    public typealias Target = Webhook
    public static let spec = OperationSpec(
        "webhook.rotate", "Rotate secret",
        summary: "Makes a new signing secret, shown once; the old one signs too for 24 hours.",
        permission: "webhook.manage", risk: .high)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Webhook> {
        let secret = call.fresh.secret("webhook")
        var after = call.before
        after.previousSecret = call.before.secret
        after.previousUntil = call.now + Webhook.overlap
        after.secret = try call.fresh.sealed(secret, for: after.sealContext)
        after.updatedAt = call.now
        return Plan(
            after, reveal: ["signing_secret": .text(WebhookSignature.text(of: secret))],
            consequence:
                "Notices to \(after.displayName) carry two signatures until \(after.previousUntil?.rfc3339 ?? ""), then the new one only."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The old secret signs for 24 hours; after that only the new one does. Rotate again for another.")
    }
}
