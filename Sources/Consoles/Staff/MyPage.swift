import HTML
import Kernel

/// A person's own security: factors, sessions, recovery codes, password.
///
/// Its forms post to `/me/authenticator`, `/me/authenticator/remove`, `/me/oidc`, `/me/oidc/{id}/unlink`, `/me/passkeys`, `/me/passkeys/{id}/rename` and `…/remove`, `/me/sessions/{id}/end`, `/me/recovery-codes` and `/me/password` (`old`, `new`), each with `csrf`.
enum MyPage {
    static let page = Page("/me", permission: nil, menuPath: "/me") { call, reader in
        let now = reader.now
        let detail = try StaffDetail.load(call.caller.person, from: reader)
        let sessions = try SessionListing.load(of: detail.staff.id, call.readCall, from: reader)
        let passkeys = detail.factors.filter { $0.kind == .webauthn }
        let isAppSet = detail.factors.contains { $0.kind == .totp }
        let isOnly = passkeys.count == 1 && !isAppSet
        let uses = try Self.uses(of: detail.staff.id, from: reader)
        let left = detail.factors.first { $0.kind == .recovery }?.recoveryDigests.count ?? 0
        func wrong(_ field: String) -> String? {
            let found = call.errors.filter { $0.pointer.split(separator: "/").last.map(String.init) == field }
            return found.isEmpty ? nil : found.map(\.detail).joined(separator: " ")
        }
        let done: Node =
            switch call.first("done") {
            case "password": UI.banner(.ok, "Your password is changed.", "Your other sessions have ended.")
            case "session": UI.banner(.ok, "The session has ended.")
            case "others": UI.banner(.ok, "All your other sessions have ended.")
            case "authenticator": UI.banner(.ok, "The authenticator app is set up.", "Its codes work from now on.")
            case "authenticator-removed":
                UI.banner(.ok, "The authenticator app is removed.", "Its codes no longer work.")
            case "passkey": UI.banner(.ok, "The passkey is yours.", "It signs you in without a password.")
            case "renamed": UI.banner(.ok, "The passkey has its new name.")
            case "removed":
                UI.banner(.ok, "The passkey is removed.", "Your device may still offer it: remove it there too.")
            case let word: MySingleSignOn.done(word, call)
            }
        let roles = call.caller.roles.sorted()
        let tags = roles.isEmpty ? UI.hint("none") : UI.row { for role in roles { AccessNames.tag(role) } }
        let accounts = try ServiceAccountPages.own(call, from: reader)
        let slack = try SlackPanel.node(call, now: now, from: reader)
        let body =
            UI.title("My security")
            + UI.keyFacts([
                ("Name", Node(detail.staff.name)), ("E-mail", Node(detail.staff.email)), ("Roles", tags),
            ])
            + (left <= 2
                ? UI.banner(
                    .warn, left == 0 ? "You have no recovery codes left." : "You have \(left) recovery codes left.",
                    "Make new ones below, so that a lost phone does not lock you out.") : .none)
            + UI.stack {
                done
                SlackPanel.done(call.first("done"))
                UI.panel("Factors", id: "p-factors") {
                    UI.panelBody {
                        UI.facts(
                            detail.factors.strongestFirst.filter { ![.webauthn, .oidc].contains($0.kind) }.map {
                                ($0.label, StaffPages.factorFact($0, now: now))
                            })
                    }
                }
                UI.panel("Authenticator app", id: "p-authenticator", hint: "codes beside the password") {
                    if let wrong = wrong("authenticator") {
                        UI.panelBody { UI.banner(.danger, wrong, announces: true) }
                    }
                    UI.panelBody {
                        authenticator(call, isSet: isAppSet, isOnly: passkeys.isEmpty)
                    }
                }
                UI.panel("Passkeys", id: "p-passkeys", hint: "sign in without a password") {
                    if let wrong = wrong("passkey") ?? wrong("name") {
                        UI.panelBody { UI.banner(.danger, wrong, announces: true) }
                    }
                    if !passkeys.isEmpty {
                        UI.table(
                            caption: "Your passkeys, \(passkeys.count)",
                            columns: passkeyColumns(call, uses: uses, isOnly: isOnly, now: now), rows: passkeys,
                            density: .plain)
                        if isOnly {
                            UI.panelBody {
                                el("p", .class("hint")) {
                                    "This passkey is your only factor, so it can’t be removed yet: add another one, or an "
                                    "authenticator app, first."
                                }
                            }
                        }
                    }
                    UI.panelBody { newPasskey(call, isFirst: passkeys.isEmpty) }
                }
                MySingleSignOn.panel(
                    call, detail.factors.filter { $0.kind == .oidc }, hasPasskey: !passkeys.isEmpty,
                    wrong: wrong("provider"), now: now)
                UI.panel(
                    "Sessions", id: "p-sessions", hint: "where you are signed in",
                    actions: sessions.items.count > 1 || sessions.next != nil
                        ? form("/me/sessions/end-others", call) { UI.button("End all others", size: .small) } : .none
                ) {
                    UI.table(
                        caption: "Your sessions, \(sessions.items.count)", columns: columns(call, now: now),
                        rows: sessions.items, density: .plain)
                    if let next = sessions.next {
                        UI.panelBody { el("a", .href("/me?cursor=\(next)")) { "Older sessions" } }
                    }
                }
                accounts
                slack
                UI.split(.even) {
                    UI.panel("Recovery codes", id: "p-codes", hint: "\(left) of \(RecoveryCode.count) left") {
                        UI.panelBody {
                            guarded(
                                "/me/recovery-codes", call, hasPasskey: !passkeys.isEmpty, "Making new recovery codes"
                            ) {
                                el("p") {
                                    "Each works once, when your authenticator is out of reach. New codes replace all the old "
                                    "ones and are shown a single time."
                                }
                                el("p") { UI.button("Make new recovery codes") }
                            }
                        }
                    }
                    UI.panel("Password", id: "p-password") {
                        UI.panelBody {
                            guarded(
                                "/me/password", call, hasPasskey: !passkeys.isEmpty, "Changing the password",
                                takesOwn: false
                            ) {
                                UI.field(
                                    Field(
                                        "old", label: "Present password", help: "So that nobody else can change it.",
                                        .password, error: wrong("old"), isRequired: true,
                                        autocomplete: "current-password", hasFocus: wrong("old") != nil))
                                UI.field(
                                    Field(
                                        "new", label: "New password",
                                        help: "At least 12 characters; a few unrelated words are easiest.", .password,
                                        error: wrong("new"), isRequired: true, autocomplete: "new-password",
                                        hasFocus: wrong("new") != nil))
                                el("p", .class("hint")) { "Your other sessions end." }
                                el("p") { UI.button("Change password") }
                            }
                        }
                    }
                }
            }
        return PageAnswer(title: "My security", body: body)
    }

    /// When each factor was last used, by its id.
    private static func uses(of staff: String, from reader: any Reader) throws -> [String: Instant] {
        var uses: [String: Instant] = [:]
        for row in try reader.query(SignInQueries.uses(of: staff)) {
            uses[try row.string("factor_id")] = try row.instant("used_at")
        }
        return uses
    }

    private static func authenticator(_ call: PageCall, isSet: Bool, isOnly: Bool) -> Node {
        let set = guarded(
            "/me/authenticator", call, hasPasskey: !isOnly,
            isSet && !isOnly ? "Replacing or removing the app" : isSet ? "Replacing the app" : "Setting up an app"
        ) {
            el("p") {
                isSet
                    ? "Another app or phone takes the place of the one you have once it shows a right code."
                    : "An app that shows a code every 30 seconds, for when no passkey is at hand."
            }
            el("p") { UI.button(isSet ? "Replace the app" : "Set up an authenticator app") }
        }
        guard isSet else { return set }
        guard !isOnly else {
            return set
                + el("p", .class("hint")) {
                    "The app is your only factor, so it can’t be removed yet: add a passkey below first."
                }
        }
        // What setting one takes, removing it takes; that was said above.
        guard isProven(call, hasPasskey: true) else { return set }
        return set
            + form("/me/authenticator/remove", call) { el("p") { UI.button("Remove the app", style: .warns) } }
    }

    private static func newPasskey(_ call: PageCall, isFirst: Bool) -> Node {
        if let hindrance = call.passkeyHindrance { return el("p", .class("muted")) { hindrance } }
        return guarded(
            "/me/passkeys", call, hasPasskey: !isFirst, isFirst ? "Adding a passkey" : "Adding or removing a passkey"
        ) {
            el("p") {
                isFirst
                    ? "A passkey is kept by this device, your phone or a security key, and works at this address alone. It takes "
                        + "the place of password and code, and signs what you agree to."
                    : "Add one for each device you work at, so that losing one does not lock you out."
            }
            UI.field(
                Field(
                    "name", label: "Name", help: "So that you know it again, as in Work laptop.", .line,
                    isRequired: true, autocomplete: "off"))
            el("p") { UI.passkeyButton("Add a passkey", makes: true, options: "/me/passkeys/options") }
            el("p", .class("hint"), Attribute("data-passkey-missing")) {
                "Adding one needs script and a browser that knows passkeys."
            }
        }
    }

    /// - Parameter isOnly: nothing else would be left to sign in with.
    private static func passkeyColumns(
        _ call: PageCall, uses: [String: Instant], isOnly: Bool, now: Instant
    ) -> [Column<Factor>] {
        let canRemove = isProven(call, hasPasskey: true)
        return [
            Column("Name", isRowHeader: true) { factor in
                Node(factor.label) + UI.sub(kind(of: factor))
            },
            Column("Added", .number, priority: 3) { UI.time($0.createdAt, now: now) },
            Column("Last used", .number) { factor in
                // Its first use is its making.
                uses[factor.id].map { $0 > factor.createdAt ? UI.time($0, now: now) : UI.hint("never") }
                    ?? UI.hint("never")
            },
            Column("Rename", .actions, hidesTitle: true) { factor in
                UI.fold("Rename") {
                    form("/me/passkeys/\(factor.id)/rename", call) {
                        void(
                            "input", .type("text"), .name("name"), .value(factor.label), .class("input"),
                            Attribute("autocomplete", "off"), Attribute("required"),
                            .label("New name of \(factor.label)"))
                        UI.button("Rename", size: .small, attributes: [.label("Rename \(factor.label)")])
                    }
                }
            },
            Column("Remove", .actions, hidesTitle: true) { factor in
                if isOnly { return UI.hint("your only factor") }
                guard canRemove else {
                    return UI.linkButton(
                        "Remove…", href: stepUp, size: .small, attributes: [.label("Remove \(factor.label)")])
                }
                return form("/me/passkeys/\(factor.id)/remove", call) {
                    UI.button(
                        "Remove", style: .warns, size: .small, attributes: [.label("Remove \(factor.label)")])
                }
            },
        ]
    }

    /// What the authenticator says of itself; how it signs stands in the title.
    private static func kind(of factor: Factor) -> Node {
        guard let passkey = try? factor.passkey() else { return Node("can’t be read") }
        let place =
            passkey.transports.contains("internal")
            ? " in a device" : passkey.transports.contains("usb") ? " on a security key" : ""
        return el("span", .title("Signs with \(passkey.key.algorithm.name)")) {
            "Passkey\(place)\(passkey.isBackedUp ? ", kept by your account with its maker" : "")"
        }
    }

    private static func columns(_ call: PageCall, now: Instant) -> [Column<SessionRow>] {
        let current = call.caller.authentication?.session
        return [
            Column("Where", isRowHeader: true) { session in
                Node(browser(session.userAgent)) + UI.sub("\(session.ip), \(session.client)")
            },
            Column("Signed in", .number, priority: 3) { UI.time($0.createdAt, now: now) },
            Column("Last used", .number) { UI.time($0.lastSeenAt, now: now) },
            Column("Ends", .number, priority: 2) { UI.time($0.expiresAt, now: now) },
            Column("End session", .actions, hidesTitle: true) { session in
                if session.id == current { return UI.chip("This one", .ok, .on) }
                return form("/me/sessions/\(session.id)/end", call) {
                    UI.button(
                        "End", size: .small, attributes: [.label("End the session on \(browser(session.userAgent))")])
                }
            },
        ]
    }

    /// Where a factor is used again, and leads back here.
    private static let stepUp = "/step-up?next=/me"

    /// Whether the factor that was used last, and lately, does for changing factors: who has a passkey is asked for it.
    private static func isProven(_ call: PageCall, hasPasskey: Bool, takesOwn: Bool = true) -> Bool {
        let last = call.caller.authentication?.factors.last
        let isEnough = !takesOwn || last.map { StaffSignIn.ownFactors(hasPasskey: hasPasskey).contains($0) } ?? false
        return call.isFactorFresh && isEnough
    }

    /// A form that changes factors: without a fresh one it stands behind the step-up, so that nothing is typed in vain.
    /// - Parameters:
    ///   - hasPasskey: the person has one, and is asked for it.
    ///   - what: what it does, as the beginning of a sentence.
    ///   - takesOwn: a code does not do for whoever has a passkey, nor what a provider says of anybody.
    static func guarded(
        _ action: String, _ call: PageCall, hasPasskey: Bool, _ what: String, takesOwn: Bool = true,
        @NodeBuilder _ body: () -> Node
    ) -> Node {
        if isProven(call, hasPasskey: hasPasskey, takesOwn: takesOwn) { return form(action, call, body) }
        let wanted =
            !hasPasskey
            ? "a fresh code from your authenticator"
            : takesOwn ? "your passkey" : "your passkey, or a fresh code from your authenticator,"
        return el("div", .class("stack stack--2")) {
            el("p") { "\(what) needs \(wanted) first." }
            el("p") { UI.linkButton(hasPasskey ? "Use your passkey" : "Use your authenticator", href: stepUp) }
        }
    }

    private static func form(_ action: String, _ call: PageCall, @NodeBuilder _ body: () -> Node) -> Node {
        el("form", .class("stack stack--2"), Attribute("method", "post"), Attribute("action", action)) {
            UI.hiddenField("csrf", call.csrf)
            body()
        }
    }

    /// A browser and a system in words, from what the user agent says of itself.
    static func browser(_ agent: String) -> String {
        let browsers = [
            ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
            ("postern", "Postern command line"), ("curl/", "curl"),
        ]
        let systems = [
            ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("Mac OS X", "macOS"), ("Linux", "Linux"),
        ]
        guard let browser = browsers.first(where: { agent.contains($0.0) })?.1 else {
            // Its name, without versions and what else it says.
            let name = agent.prefix { !"/ (;".contains($0) }.prefix(40)
            return name.isEmpty ? "Unknown client" : String(name)
        }
        guard let system = systems.first(where: { agent.contains($0.0) })?.1 else { return browser }
        return "\(browser) on \(system)"
    }
}
