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
    case authenticatorSet = "mail.authenticator_set"
    case authenticatorRemoved = "mail.authenticator_removed"
    case passkeyAdded = "mail.passkey_added"
    case passkeyRemoved = "mail.passkey_removed"
    case passkeyCopied = "mail.passkey_copied"
    case providerLinked = "mail.provider_linked"
    case providerUnlinked = "mail.provider_unlinked"
    case commandLine = "mail.command_line"
    case denialBurst = "mail.denial_burst"
    case providerChanged = "mail.provider_changed"
    case clockJumped = "mail.clock_jumped"
    case rowDiffers = "mail.row_differs"
    case requestScheduled = "mail.request_scheduled"
    case requestExecuted = "mail.request_executed"
    case requestRejected = "mail.request_rejected"
    case requestCancelled = "mail.request_cancelled"
    case requestExpired = "mail.request_expired"
    case requestFailed = "mail.request_failed"
    case requestStale = "mail.request_stale"
    case requestReopened = "mail.request_reopened"
    case breakglassAsked = "mail.breakglass_asked"
    case breakglassOpened = "mail.breakglass_opened"
    case breakglassSolo = "mail.breakglass_solo"
    case breakglassEnded = "mail.breakglass_ended"
    case breakglassReviewed = "mail.breakglass_reviewed"
    case breakglassOverdue = "mail.breakglass_overdue"
    case requestAsked = "mail.request_asked"
    case requestReminder = "mail.request_reminder"
    case requestUnanswered = "mail.request_unanswered"
    case slackLinked = "mail.slack_linked"
    case reviewStarted = "mail.review_started"
    case reviewReminder = "mail.review_reminder"
    case reviewOverdue = "mail.review_overdue"
    case addressChanged = "mail.address_changed"

    /// An effect that tells one person.
    /// - Parameter isNewNetwork: it also tells of that.
    func effect(to staff: String, isNewNetwork: Bool = false) -> Effect {
        var payload: [String: JSON] = ["to": .string(staff)]
        if isNewNetwork { payload["new_network"] = true }
        return Effect(
            kind: DeliveryChannel.mail.rawValue, name: rawValue, summary: summary, payload: .object(payload),
            tenant: nil)
    }

    /// One that tells everybody who holds one of these roles when it is sent, each once.
    /// - Parameters:
    ///   - person: is not told, because they know or hear of it otherwise.
    ///   - breakglass: what it is about.
    func effect(roles: [String], except person: String? = nil, breakglass: String? = nil) -> Effect {
        var payload: [String: JSON] = ["roles": .array(roles.map(JSON.string))]
        payload["except"] = person.map(JSON.string)
        return effect(payload, breakglass, to: Self.everybody(roles))
    }

    /// One that tells one person of a break-glass.
    func effect(to staff: String, breakglass: String) -> Effect {
        effect(["to": .string(staff)], breakglass, to: "Mail to whoever opened it")
    }

    /// One that tells the CISO, where the deployment has said who that is.
    /// - Parameter roles: if it is the address of somebody who holds one of these, they hear of it as that.
    func effectToCISO(unless roles: [String], breakglass: String) -> Effect {
        effect(
            ["ciso": true, "unless": .array(roles.map(JSON.string))], breakglass,
            to: "Mail to the CISO’s address, if one is set")
    }

    private func effect(_ payload: [String: JSON], _ breakglass: String?, to summary: String) -> Effect {
        var payload = payload
        if let breakglass { payload["breakglass"] = .string(breakglass) }
        return Effect(
            kind: DeliveryChannel.mail.rawValue, name: rawValue, summary: summary, payload: .object(payload),
            tenant: nil)
    }

    /// An effect that tells one person of a request.
    func effect(to staff: String, about request: ApprovalRequest) -> Effect {
        Effect(
            kind: DeliveryChannel.mail.rawValue, name: rawValue, summary: summary,
            payload: [
                "to": .string(staff), "request": .string(request.id), "operation": .string(request.operation),
                "expires_at": JSON(request.expiresAt),
            ], tenant: nil)
    }

    /// An effect that tells one person of an access review.
    func effect(to staff: String, review: String) -> Effect {
        Effect(
            kind: DeliveryChannel.mail.rawValue, name: rawValue, summary: summary,
            payload: ["to": .string(staff), "review": .string(review)], tenant: nil)
    }

    /// The line of a preview, from what an effect of it holds.
    static func summary(_ name: String, _ payload: JSON?) -> String? {
        guard let notice = MailNotice(rawValue: name) else { return nil }
        let roles = (payload?["roles"]?.array ?? []).compactMap(\.string)
        guard !roles.isEmpty else { return notice.summary }
        return "\(everybody(roles)): \(notice.words(Facts(at: Instant(microseconds: 0))).subject)"
    }

    private static func everybody(_ roles: [String]) -> String { "Mail to every \(AccessNames.roles(roles, " and "))" }

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
        /// Nobody had signed in to the account from there before.
        var isNewNetwork = false
        /// The request it is about, and the title of what was asked for.
        var request = ""
        var asked = ""
        /// The break-glass it is about.
        var breakglass = ""
        /// Until when it can be signed.
        var until: Instant?
        /// The access review it is about, and when that is due.
        var review = ""
        var due = ""
    }

    /// What became of a request, in half a sentence and in one.
    private var turn: (short: String, long: String)? {
        switch self {
        case .requestScheduled:
            (
                "was approved",
                "Everybody who must has agreed. It is carried out when its time has come, unless somebody cancels it before."
            )
        case .requestExecuted:
            (
                "was carried out",
                "Everybody who must has agreed, and it is done. A secret it made, such as a link, is shown to you once, within 24 hours."
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
                "A signature counts no more, so it has to be signed again before it is carried out."
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
                    "A recovery code signed your account in at \(facts.at.minuteText)"
                        + (facts.isNewNetwork
                            ? (facts.address.map { ", from the address \($0)" } ?? "")
                                + ", from a network nobody had signed in to it from before" : "")
                        + ". That code no longer works.",
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
                subject: "A super admin’s account is about to be recovered",
                paragraphs: [
                    "At \(facts.at.minuteText) somebody on the server’s machine asked for new factors for a super admin’s account. They get them 24 hours later.",
                    "If nobody is locked out, sign in and cancel the recovery: a super admin finds it at the top of the first page.",
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
        case .authenticatorSet:
            return Words(
                subject: "Your account has a new authenticator app",
                paragraphs: [
                    "An authenticator app was set up for your account at \(facts.at.minuteText). The one before it, if there was one, no longer works.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .authenticatorRemoved:
            return Words(
                subject: "The authenticator app was removed from your account",
                paragraphs: [
                    "The authenticator app of your account was removed at \(facts.at.minuteText). Its codes no longer work.",
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
        case .providerLinked:
            return Words(
                subject: "Single sign-on was linked to your account",
                paragraphs: [
                    "An account at the identity provider was linked to yours at \(facts.at.minuteText). Whoever signs in there signs in here as you.",
                    "If this was you, nothing is to be done. If it was not, take the link away on your own page at once. \(Self.unless)",
                ], link: me)
        case .providerUnlinked:
            return Words(
                subject: "Single sign-on no longer signs you in",
                paragraphs: [
                    "The link between your account and the identity provider was taken away at \(facts.at.minuteText). Sessions that came by it have ended.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .commandLine:
            return Words(
                subject: "A command line was signed in to your account",
                paragraphs: [
                    "A command line was signed in to your account at \(facts.at.minuteText), because somebody agreed to its code in a browser where you are signed in. It may do what you may.",
                    "If this was you, nothing is to be done. If it was not, end that session on your own page at once. \(Self.unless)",
                ], link: me)
        case .denialBurst:
            return Words(
                subject: "Many refusals in a short time",
                paragraphs: [
                    "One person was refused at least five times within ten minutes, until \(facts.at.minuteText), because a permission was missing.",
                    "It may be a mistake, or somebody trying doors. The event says who it was.",
                ], link: ("The event", "/audit/\(facts.event)"))
        case .providerChanged:
            return Words(
                subject: "The settings of single sign-on were changed",
                paragraphs: [
                    "A server was started at \(facts.at.minuteText) with other settings of single sign-on than before. Nobody is asked about these: they stand where the server is started.",
                    "The event names what changed. If nobody announced it, ask whoever runs the server.",
                ], link: ("The event", "/audit/\(facts.event)"))
        case .clockJumped:
            return Words(
                subject: "The server’s clock was set",
                paragraphs: [
                    "Somebody or something set the clock of the server. It noticed that at \(facts.at.minuteText) by the new time.",
                    "What goes by dates is held until somebody has looked and confirmed that the clock is right: approved requests are not carried out when their time comes, and none is called expired.",
                ], link: ("The first page", "/"))
        case .rowDiffers:
            return Words(
                subject: "A row is not what the log says",
                paragraphs: [
                    "At \(facts.at.minuteText) the server found a row that is not what its last event says: somebody changed it beside the log, with the database’s own tools.",
                    "The event names the row. Its case shows what differs, and lets you keep it or put it back. More that are found within ten minutes are listed there and not told by mail.",
                ], link: ("The event", "/audit/\(facts.event)"))
        case .requestAsked:
            return Words(
                subject: "A request waits for your signature",
                paragraphs: [
                    "A colleague asks for “\(facts.asked)”, and you are one of those who could sign it. Nobody who could is signed in at the moment.",
                    "It can be signed until \(until(facts)). Look at it before you decide; nothing happens without you.",
                ], link: ("The request", "/approvals/\(facts.request)"))
        case .requestReminder:
            return Words(
                subject: "A request still waits for a signature",
                paragraphs: [
                    "A colleague asked for “\(facts.asked)”, and you are one of those who could sign it.",
                    "It expires at \(until(facts)), and nothing of it happens then.",
                ], link: ("The request", "/approvals/\(facts.request)"))
        case .requestUnanswered:
            return Words(
                subject: "Nobody has signed your request yet",
                paragraphs: [
                    "You asked for “\(facts.asked)”. Nobody has signed it, and it expires at \(until(facts)).",
                    "Those who could sign were told and reminded. Talk to one of them, or ask again later.",
                ], link: ("The request", "/approvals/\(facts.request)"))
        case .slackLinked:
            return Words(
                subject: "A Slack account was linked to yours",
                paragraphs: [
                    "An account of Slack was linked to yours at \(facts.at.minuteText). What you may look up here, it may look up there.",
                    "If this was you, nothing is to be done. \(Self.unless)",
                ], link: me)
        case .requestScheduled, .requestExecuted, .requestRejected, .requestCancelled, .requestExpired, .requestFailed,
            .requestStale, .requestReopened:
            let (short, long) = turn ?? ("", "")
            return Words(
                subject: "Your request \(short)",
                paragraphs: ["You asked for “\(facts.asked)”. It \(short) at \(facts.at.minuteText).", long],
                link: ("The request", "/approvals/\(facts.request)"))
        case .breakglassAsked:
            return Words(
                subject: "Break-glass waits for your signature, for 10 minutes",
                paragraphs: [
                    "At \(facts.at.minuteText) a super admin asked to open break-glass on a tenant. It is opened once another super admin agrees, and lasts 30 minutes.",
                    "Look at the request now, and agree or reject it. If nobody answers within 10 minutes, whoever asked may open it alone.",
                ], link: ("The request", "/approvals/\(facts.request)"))
        case .breakglassOpened:
            return Words(
                subject: "Break-glass was opened",
                paragraphs: [
                    "At \(facts.at.minuteText) two super admins opened break-glass on a tenant for 30 minutes.",
                    "Its page says who and why, shows everything that is done within it, and lets you end it. Its review is owed within 48 hours of its end, by somebody who did not open it.",
                ], link: session(facts))
        case .breakglassSolo:
            return Words(
                subject: "Break-glass was opened by one person alone",
                paragraphs: [
                    "At \(facts.at.minuteText) a super admin opened break-glass on a tenant alone, saying that nobody else could be reached. It lasts 30 minutes.",
                    "If that is not so, or you don’t know of an emergency, end it now on its page. Everything else that person may do is locked until somebody has reviewed it.",
                ], link: session(facts))
        case .breakglassEnded:
            return Words(
                subject: "Break-glass has ended, and its review is owed",
                paragraphs: [
                    "A break-glass ended at \(facts.at.minuteText). Within 48 hours somebody who neither opened nor signed it says what came of looking at it.",
                    "Its page lists everything that was done within it. Until it is reviewed, whoever opened it can’t open another.",
                ], link: session(facts))
        case .breakglassReviewed:
            return Words(
                subject: "Your break-glass was reviewed",
                paragraphs: [
                    "The review of your break-glass was closed at \(facts.at.minuteText). What was found stands on its page.",
                    "What was locked is yours again, and you may open another.",
                ], link: session(facts))
        case .breakglassOverdue:
            return Words(
                subject: "The review of a break-glass is overdue",
                paragraphs: [
                    "A break-glass was to be reviewed within 48 hours of its end. At \(facts.at.minuteText) nobody had.",
                    "Somebody of security, or a super admin who neither opened nor signed it, has to look at what was done within it, and say what came of that.",
                ], link: session(facts))
        case .reviewStarted:
            return Words(
                subject: "An access review waits for you",
                paragraphs: [
                    "You are asked to look at what colleagues may do, and to keep or revoke each grant that is yours to decide\(facts.due).",
                    "Whatever is not decided by then becomes an exception that security hears of.",
                ], link: ("The review", "/access-reviews/\(facts.review)"))
        case .reviewReminder:
            return Words(
                subject: "An access review is due soon",
                paragraphs: [
                    "There are grants left for you to decide in an access review\(facts.due).",
                    "Whatever is not decided by then becomes an exception that security hears of.",
                ], link: ("What is yours to decide", "/access-reviews/\(facts.review)?state=open&reviewer=me"))
        case .reviewOverdue:
            return Words(
                subject: "An access review is overdue",
                paragraphs: [
                    "An access review was not finished in time\(facts.due). An exception is open until it is closed.",
                    "Its page shows what is not decided yet, and whose it is.",
                ], link: ("The review", "/access-reviews/\(facts.review)"))
        case .addressChanged:
            return Words(
                subject: "Your account has another address",
                paragraphs: [
                    "The identity provider gave your account another e-mail address at \(facts.at.minuteText). You sign in with that one, and notices go there; this is the last to the one before.",
                    "If you know of that, nothing is to be done. If you do not, somebody else may be about to use your account: tell whoever looks after security at once.",
                ], link: ("The back office", "/"))
        }
    }

    private func session(_ facts: Facts) -> (title: String, path: String) {
        ("The break-glass", "/breakglass-sessions/\(facts.breakglass)")
    }

    private func until(_ facts: Facts) -> String { facts.until?.minuteText ?? "the end of its window" }

    /// An invitation is for who has not enrolled yet, another address for both, everything else for who works here.
    func isFor(_ status: Staff.Status?) -> Bool {
        switch self {
        case .invitation: status == .invited
        case .addressChanged: status == .invited || status == .active
        default: status == .active
        }
    }

    /// The mail to one person; `nil` when they are not to be written to any more.
    static func message(
        _ name: String, to staff: String, event: String, about payload: JSON, catalog: Catalog,
        console: String, ciso: String? = nil, from reader: any Reader
    ) throws -> MailMessage? {
        guard let notice = MailNotice(rawValue: name) else { return nil }
        let rows = try reader.query([ChannelQueries.person(staff), ChannelQueries.event(event)])
        var facts = Facts(at: reader.now, console: console, event: event)
        facts.breakglass = payload["breakglass"]?.string ?? ""
        if staff == Endpoint.ciso {
            guard let ciso else { return nil }
            if let row = rows[1].first { facts.at = try row.instant("at") }
            let words = notice.words(facts)
            return MailMessage(
                to: ciso, subject: words.subject, text: text(words, to: "CISO", console: console),
                html: html(words, to: "CISO", console: console))
        }
        guard let person = rows[0].first, notice.isFor(Staff.Status(rawValue: try person.string("status")))
        else { return nil }
        facts.request = payload["request"]?.string ?? ""
        if let id = payload["review"]?.string, let review = try AccessReview.load(id, from: reader) {
            facts.review = id
            facts.due = ", due \(review.dueAt.minuteText)"
        }
        facts.asked = payload["operation"]?.string.map { catalog[$0]?.spec.title ?? $0 } ?? ""
        facts.isNewNetwork = payload["new_network"] == true
        facts.until = payload["expires_at"]?.string.flatMap(Instant.init(rfc3339:))
        if let row = rows[1].first {
            facts.at = try row.instant("at")
            if notice == .newNetwork || facts.isNewNetwork, try row.optionalString("members") != nil {
                facts.address = try row.json("members")["actor_ip"]?["value"]?.string
            }
        }
        var address = try person.string("email")
        if notice == .addressChanged {
            // To the one before, which stands in the event alone; nobody is told where it was erased.
            guard let row = rows[1].first, try row.optionalString("members") != nil,
                let old = try row.json("members")["changes.0.before"]?["value"]?["email"]?.string
            else { return nil }
            address = old
        }
        if notice == .invitation, let inviter = try person.optionalString("invited_by") {
            facts.inviter = try reader.first(ChannelQueries.person(inviter))?.string("name")
        }
        let words = notice.words(facts)
        return MailMessage(
            to: address, subject: words.subject,
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
