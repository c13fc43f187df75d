import HTML
import Kernel

/// What is told by mail. A notice is made of ids when it is sent: its words stand here and nowhere else, and it holds no
/// secret, no link that signs anybody in, and nothing of a customer.
enum MailNotice: String, CaseIterable {
    case test = "mail.test"
    case invitation = "mail.invitation"
    case passwordChanged = "mail.password_changed"
    case recoveryRenewed = "mail.recovery_renewed"
    case recoveryUsed = "mail.recovery_used"
    case factorsReplaced = "mail.factors_replaced"
    case factorsReset = "mail.factors_reset"
    case recoveryRequested = "mail.recovery_requested"
    case newNetwork = "mail.new_network"
    case passkeyAdded = "mail.passkey_added"
    case passkeyRemoved = "mail.passkey_removed"
    case passkeyCopied = "mail.passkey_copied"
    case denialBurst = "mail.denial_burst"
    case requestScheduled = "mail.request_scheduled"
    case requestExecuted = "mail.request_executed"
    case requestRejected = "mail.request_rejected"
    case requestCancelled = "mail.request_cancelled"
    case requestExpired = "mail.request_expired"
    case requestFailed = "mail.request_failed"
    case requestStale = "mail.request_stale"
    case requestReopened = "mail.request_reopened"

    /// An effect that tells one person.
    func effect(to staff: String) -> Effect {
        Effect(
            kind: DeliveryChannel.mail.rawValue, name: rawValue, summary: summary, payload: ["to": .string(staff)],
            tenant: nil)
    }

    /// One line for a preview.
    private var summary: String {
        switch self {
        case .invitation: "Mail to the person invited: an invitation waits. The link is not in it"
        default: "Mail: \(words(Facts(at: Instant(microseconds: 0))).subject)"
        }
    }

    /// What the words are made of.
    struct Facts {
        var at: Instant
        var console = ""
        var event = ""
        /// Who made the account.
        var inviter: String?
        /// The address it came from; `nil` when it was erased.
        var address: String?
        /// The request it is about, and the title of what was asked for.
        var request = ""
        var asked = ""
    }

    /// What became of a request, in half a sentence and in one.
    private var turn: (short: String, long: String)? {
        switch self {
        case .requestScheduled:
            (
                "was approved",
                "Everybody agreed who must. It is carried out when its time has come, unless somebody cancels it before."
            )
        case .requestExecuted:
            (
                "was carried out",
                "Everybody agreed who must, and it is done. A secret it made, such as a link, is shown to you once, within 24 hours."
            )
        case .requestRejected: ("was rejected", "Nothing of it happens. Who refused, and why, stands on its page.")
        case .requestCancelled: ("was cancelled", "Somebody took it back. Nothing of it happens.")
        case .requestExpired: ("expired", "Not everybody agreed in time. Nothing of it happens; you can ask again.")
        case .requestFailed:
            (
                "could not be carried out",
                "It was approved, and refused when its time had come. Why, stands on its page."
            )
        case .requestStale:
            (
                "needs new signatures",
                "It would do something else by now than what was agreed to, so it has to be agreed to again."
            )
        case .requestReopened:
            (
                "needs another signature",
                "A signature counts no more, so somebody else has to sign before it is carried out."
            )
        default: nil
        }
    }

    struct Words {
        let subject: String
        let paragraphs: [String]
        let link: (title: String, path: String)
    }

    private static let unless =
        "If it was not, somebody else may be using your account: tell whoever looks after security at once, and ask for your factors to be reset."

    func words(_ facts: Facts) -> Words {
        let me = (title: "Your account and its sessions", path: "/me")
        switch self {
        case .test:
            return Words(
                subject: "Test from Postern",
                paragraphs: ["This is the test you asked for. Notices from Postern reach you at this address."],
                link: ("Deliveries", "/deliveries"))
        case .invitation:
            let who = facts.inviter ?? "whoever invited you"
            return Words(
                subject: "An invitation to Postern waits for you",
                paragraphs: [
                    "\(facts.inviter ?? "Somebody") invited you to the back office.",
                    "The link that sets up your account is a secret, so it is not in this mail. Ask \(who) for it; it works for 24 hours and once.",
                ], link: ("The back office", "/"))
        case .passwordChanged:
            return Words(
                subject: "Your password was changed",
                paragraphs: [
                    "The password of your account was changed at \(facts.at.minuteText). Your other sessions have ended.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .recoveryRenewed:
            return Words(
                subject: "You have new recovery codes",
                paragraphs: [
                    "New recovery codes were made for your account at \(facts.at.minuteText). The old ones no longer work.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .recoveryUsed:
            return Words(
                subject: "A recovery code was used",
                paragraphs: [
                    "A recovery code signed your account in at \(facts.at.minuteText). That code no longer works.",
                    "If this was you, make new codes when few are left. \(Self.unless)",
                ], link: me)
        case .factorsReplaced:
            return Words(
                subject: "Your password and factors were set anew",
                paragraphs: [
                    "Password, authenticator and recovery codes of your account were set anew at \(facts.at.minuteText). Those before no longer work, and every session has ended.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .factorsReset:
            return Words(
                subject: "Your factors were reset",
                paragraphs: [
                    "Password, authenticator and recovery codes of your account were ended at \(facts.at.minuteText), and every session with them. A link to set new ones was given to whoever asked for it.",
                    "If you lost your factors, ask them for the link; it works for 24 hours and once. If you did not, somebody else may be about to use your account: tell whoever looks after security at once.",
                ], link: ("The back office", "/"))
        case .recoveryRequested:
            return Words(
                subject: "A super_admin’s account is about to be recovered",
                paragraphs: [
                    "At \(facts.at.minuteText) somebody on the server’s machine asked for new factors for a super_admin’s account. They get them 24 hours later.",
                    "If nobody is locked out, sign in and cancel the recovery: a super_admin finds it at the top of the first page.",
                ], link: ("The first page", "/"))
        case .newNetwork:
            return Words(
                subject: "Your account was used from a new network",
                paragraphs: [
                    "Your account signed in at \(facts.at.minuteText)"
                        + (facts.address.map { " from the address \($0)" } ?? "")
                        + ". Nobody had signed in to it from that network before.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .passkeyAdded:
            return Words(
                subject: "A passkey was added to your account",
                paragraphs: [
                    "A passkey was added to your account at \(facts.at.minuteText). It signs you in without your password.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .passkeyRemoved:
            return Words(
                subject: "A passkey was removed from your account",
                paragraphs: [
                    "A passkey was removed from your account at \(facts.at.minuteText). It no longer signs you in.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .passkeyCopied:
            return Words(
                subject: "A passkey of yours may have been copied",
                paragraphs: [
                    "One of your passkeys was used at \(facts.at.minuteText) with a counter that went back, as a copied device’s would. It was not accepted.",
                    "Remove that passkey on your own page and make a new one. \(Self.unless)",
                ], link: me)
        case .denialBurst:
            return Words(
                subject: "Many refusals in a short time",
                paragraphs: [
                    "One person was refused at least five times within ten minutes, until \(facts.at.minuteText), because a permission was missing.",
                    "It may be a mistake, or somebody trying doors. The event says who it was.",
                ], link: ("The event", "/audit/\(facts.event)"))
        case .requestScheduled, .requestExecuted, .requestRejected, .requestCancelled, .requestExpired, .requestFailed,
            .requestStale, .requestReopened:
            let (short, long) = turn ?? ("", "")
            return Words(
                subject: "Your request \(short)",
                paragraphs: ["You asked for “\(facts.asked)”. It \(short) at \(facts.at.minuteText).", long],
                link: ("The request", "/approvals/\(facts.request)"))
        }
    }

    /// An invitation is for who has not enrolled yet, everything else for who works here.
    func isFor(_ status: Staff.Status?) -> Bool { status == (self == .invitation ? .invited : .active) }

    /// The mail to one person; `nil` when they are not to be written to any more.
    static func message(
        _ name: String, to staff: String, event: String, about payload: JSON, catalog: Catalog,
        console: String, from reader: any Reader
    ) throws -> MailMessage? {
        guard let notice = MailNotice(rawValue: name) else { return nil }
        let rows = try reader.query([ChannelQueries.person(staff), ChannelQueries.event(event)])
        guard let person = rows[0].first, notice.isFor(Staff.Status(rawValue: try person.string("status")))
        else { return nil }
        var facts = Facts(at: reader.now, console: console, event: event)
        facts.request = payload["request"]?.string ?? ""
        facts.asked = payload["operation"]?.string.map { catalog[$0]?.spec.title ?? $0 } ?? ""
        if let row = rows[1].first {
            facts.at = try row.instant("at")
            if notice == .newNetwork, try row.optionalString("members") != nil {
                facts.address = try row.json("members")["actor_ip"]?["value"]?.string
            }
        }
        if notice == .invitation, let inviter = try person.optionalString("invited_by") {
            facts.inviter = try reader.first(ChannelQueries.person(inviter))?.string("name")
        }
        let words = notice.words(facts)
        return MailMessage(
            to: try person.string("email"), subject: words.subject,
            text: text(words, to: try person.string("name"), console: console),
            html: html(words, to: try person.string("name"), console: console))
    }

    private static let footer =
        "Postern sends this notice because of your account in the back office. Nobody reads answers to it."

    static func text(_ words: Words, to name: String, console: String) -> String {
        (["Hello \(name),"] + words.paragraphs + [
            "\(words.link.title): \(console)\(words.link.path)", "-- \n\(footer)",
        ])
        .joined(separator: "\n\n") + "\n"
    }

    static func html(_ words: Words, to name: String, console: String) -> String {
        let body = el(
            "body", Attribute("style", "font-family: system-ui, sans-serif; line-height: 1.5; max-width: 36em")
        ) {
            el("p") { "Hello \(name)," }
            for paragraph in words.paragraphs { el("p") { paragraph } }
            el("p") { el("a", .href(console + words.link.path)) { words.link.title } }
            el("p", Attribute("style", "color: #57606a; font-size: 0.875em")) { footer }
        }
        return "<!doctype html>\n"
            + el("html", Attribute("lang", "en")) {
                el("head") {
                    void("meta", Attribute("charset", "utf-8"))
                    el("title") { words.subject }
                }
                body
            }.text + "\n"
    }
}
