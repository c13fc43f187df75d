import Kernel

/// What the sign-in page shows. It posts `email`, `password` and `next` to `/signin`.
public struct SignInModel: Sendable {
    public var deployment: String
    public var email: String
    public var error: String?
    /// Said above the form without being an error: "You are signed out."
    public var notice: String?
    /// Where to go afterwards; a path of this console.
    public var next: String?
    /// The pre-session token against forged sign-ins, when the server uses one.
    public var csrf: String?
    /// Passkeys can be used at this address.
    public var offersPasskey: Bool
    /// Who vouches for staff elsewhere, by the name people know: its button posts `next` to `/signin/oidc/start`.
    public var provider: String?
    /// There is no other way in.
    public var isProviderRequired: Bool
    public init(
        deployment: String, email: String = "", error: String? = nil, notice: String? = nil, next: String? = nil,
        csrf: String? = nil, offersPasskey: Bool = false, provider: String? = nil, isProviderRequired: Bool = false
    ) {
        self.provider = provider
        self.isProviderRequired = isProviderRequired
        self.offersPasskey = offersPasskey
        self.deployment = deployment
        self.email = email
        self.error = error
        self.notice = notice
        self.next = next
        self.csrf = csrf
    }
}

/// The second step. It posts `challenge`, `next` and either `code` or `recovery` to `/signin/code`.
public struct CodeStepModel: Sendable {
    public var challenge: String
    /// Offers the recovery code instead of the authenticator's.
    public var usesRecovery: Bool
    public var error: String?
    public var next: String?
    public var csrf: String?
    /// Passkeys can be used at this address.
    public var offersPasskey: Bool
    /// The identity provider came first, not a password.
    public var provider: String?
    /// This step ties the account there to the one here.
    public var links: Bool
    public init(
        challenge: String, usesRecovery: Bool = false, error: String? = nil, next: String? = nil, csrf: String? = nil,
        offersPasskey: Bool = false, provider: String? = nil, links: Bool = false
    ) {
        self.provider = provider
        self.links = links
        self.offersPasskey = offersPasskey
        self.challenge = challenge
        self.usesRecovery = usesRecovery
        self.error = error
        self.next = next
        self.csrf = csrf
    }
}

/// Setting password and a factor by an invitation. It posts `token`, `sealed_secret`, `password` and either `code` or
/// `passkey` and `passkey_name` to `/enrol`.
public struct EnrolmentModel: Sendable {
    public var token: String
    public var offer: EnrolmentOffer
    /// The QR code of `offer.totpURI` as an SVG element made by this server; drawn only when it is plain shapes.
    public var qrSVG: String
    /// By field name: `password`, `code`, `passkey`.
    public var errors: [String: String]
    public var csrf: String?
    /// Passkeys can be used at this address.
    public var offersPasskey: Bool
    public init(
        token: String, offer: EnrolmentOffer, qrSVG: String, errors: [String: String] = [:],
        csrf: String? = nil, offersPasskey: Bool = false
    ) {
        self.offersPasskey = offersPasskey
        self.token = token
        self.offer = offer
        self.qrSVG = qrSVG
        self.errors = errors
        self.csrf = csrf
    }
}

/// Recovery codes, shown once.
public struct RecoveryCodesModel: Sendable {
    public var codes: [String]
    public var next: String
    public init(codes: [String], next: String = "/") {
        self.codes = codes
        self.next = next
    }
}

/// Using a factor again. It posts `code` or `passkey`, `next` and `csrf` to `/step-up`.
public struct StepUpModel: Sendable {
    public var next: String
    public var csrf: String
    public var error: String?
    /// How old a factor may be.
    public var maxAge: Span
    /// The person has a passkey that can be used at this address.
    public var hasPasskey: Bool
    public init(
        next: String, csrf: String, error: String? = nil, maxAge: Span = .minutes(5), hasPasskey: Bool = false
    ) {
        self.hasPasskey = hasPasskey
        self.next = next
        self.csrf = csrf
        self.error = error
        self.maxAge = maxAge
    }
}

public enum SignInViews {
    /// What a password must be, said where one is chosen.
    public static let passwordRules =
        "At least 12 characters. Length counts, not symbols: several unrelated words are good. "
        + "Passwords known from leaks are refused."

    public static func signIn(_ model: SignInModel) -> Node {
        el("div") {
            el("h1") { "Sign in to \(model.deployment)" }
            el("p", .class("muted")) { "Back office, for staff" }
        }
            + notice(model.notice) + failure(model.error) + provider(model)
            + (model.isProviderRequired
                ? el("p", .class("small muted")) {
                    "Here everybody signs in through \(model.provider ?? "the identity provider"). The first time, a factor you set "
                    "up here is asked for as well. Not invited yet? Ask whoever invites staff."
                } : password(model))
    }

    private static func password(_ model: SignInModel) -> Node {
        form("/signin", csrf: model.csrf, next: model.next) {
            UI.field(
                Field(
                    "email", label: "Work e-mail", help: "The address your invitation came to.", .email,
                    value: model.email, isRequired: true,
                    autocomplete: model.offersPasskey ? "username webauthn" : "username",
                    hasFocus: model.email.isEmpty))
            UI.field(
                Field(
                    "password", label: "Password", help: "A code from your authenticator is asked next.", .password,
                    isRequired: true, autocomplete: "current-password", hasFocus: !model.email.isEmpty))
            UI.button("Continue", style: model.provider == nil ? .primary : .plain, size: .large, block: true)
        }
            + passkey(model.offersPasskey, csrf: model.csrf, next: model.next, waits: true)
            + el("p", .class("small muted")) {
                "A session lasts 8 hours, or 30 minutes without activity. Lost your authenticator? A recovery code takes its "
                "place in the next step. Not enrolled yet, and the link has run out? Whoever invites staff can send a new one."
            }
    }

    /// The way through the identity provider, before the others.
    private static func provider(_ model: SignInModel) -> Node {
        guard let provider = model.provider else { return .none }
        return form("/signin/oidc/start", csrf: model.csrf, next: model.next) {
            UI.button("Sign in with \(provider)", style: .primary, size: .large, icon: "shield", block: true)
        } + (model.isProviderRequired ? .none : el("p", .class("or")) { el("span") { "or" } })
    }

    /// Leaves for the identity provider by itself; the link is for browsers that don't.
    public static func leaving(to provider: String, address: String, isLink: Bool = false) -> Node {
        el("div") {
            el("h1") { "On to \(provider)" }
            el("p", .class("muted")) {
                isLink
                    ? "Sign in there with the account that is to sign you in here. You come back by yourself."
                    : "You prove there who you are and come back by yourself."
            }
        } + UI.linkButton("Continue to \(provider)", href: address, style: .primary, size: .large, block: true)
    }

    /// Signed out here, and not at the identity provider yet.
    public static func signedOut(of provider: String, address: String) -> Node {
        el("div") {
            el("h1") { "You are signed out here" }
            el("p", .class("muted")) { "\(provider) may still keep you signed in, here and for other applications." }
        }
            + el("p") { "At a machine that others use too, sign out there as well." }
            + UI.linkButton("Sign out of \(provider) too", href: address, style: .primary, size: .large, block: true)
            + UI.linkButton("Back to the sign-in", href: "/signin", style: .quiet, block: true)
    }

    public static func code(_ model: CodeStepModel) -> Node {
        let field =
            model.usesRecovery
            ? Field(
                "recovery", label: "Recovery code", help: "One of the ten codes you kept. Each works once.", .line,
                isRequired: true, autocomplete: "off", hasFocus: true)
            : Field(
                "code", label: "Code from your authenticator",
                help: "Six digits. A code works once: if you just used it, wait for the next.", .code, isRequired: true,
                autocomplete: "one-time-code", hasFocus: true)
        return el("div") {
            el("h1") { model.usesRecovery ? "Use a recovery code" : "Enter your code" }
            el("p", .class("muted")) { "Second of two steps" }
        }
            + failure(model.error)
            + (model.provider.map { vouched(by: $0, links: model.links) } ?? .none)
            + form("/signin/code", csrf: model.csrf, next: model.next) {
                after(model)
                UI.field(field)
                UI.button("Sign in", style: .primary, size: .large, block: true)
            }
            + passkey(
                model.offersPasskey, csrf: model.csrf, next: model.next, after: model.provider == nil ? nil : model)
            // Its own form, so that the other way is one press away and no script is needed.
            + el("form", Attribute("method", "post"), Attribute("action", "/signin/code")) {
                if let csrf = model.csrf { UI.hiddenField("csrf", csrf) }
                if let next = model.next { UI.hiddenField("next", next) }
                after(model)
                UI.hiddenField("switch", model.usesRecovery ? "totp" : "recovery")
                UI.button(
                    model.usesRecovery ? "Use the authenticator instead" : "Use a recovery code instead", style: .quiet,
                    block: true)
            }
            + UI.linkButton(
                model.provider == nil ? "Start again with another e-mail" : "Start again", href: "/signin",
                style: .quiet,
                block: true)
    }

    /// What came before this step.
    private static func after(_ model: CodeStepModel) -> Node {
        UI.hiddenField("challenge", model.challenge)
            + (model.provider == nil ? .none : UI.hiddenField("after", model.links ? "link" : "oidc"))
    }

    private static func vouched(by provider: String, links: Bool) -> Node {
        links
            ? UI.banner(
                .info, "\(provider) knows you. Show once that this is you here, too.",
                "A factor you set up in this back office ties both accounts together. From then on \(provider) signs you in."
            )
            : UI.banner(.info, "\(provider) knows you, but did not ask for a second factor. Use the one you have here.")
    }

    public static func enrolment(_ model: EnrolmentModel) -> Node {
        el("div") {
            el("h1") { "Welcome, \(model.offer.name)" }
            el("p", .class("muted")) {
                model.offersPasskey
                    ? "Choose a password, then how you prove that it is you."
                    : "Choose a password and add this account to your authenticator app."
            }
        }
            + form("/enrol", csrf: model.csrf, next: nil) {
                UI.hiddenField("token", model.token)
                UI.hiddenField("sealed_secret", model.offer.sealedSecret)
                // Password managers file the password under this name.
                void(
                    "input", .type("email"), .name("email"), .value(model.offer.email), .class("input"),
                    Attribute("autocomplete", "username"), Attribute("readonly"), .label("Your e-mail"))
                UI.field(
                    Field(
                        "password", label: "New password", help: passwordRules, .password,
                        error: model.errors["password"], isRequired: true, autocomplete: "new-password",
                        hasFocus: true))
                if model.offersPasskey {
                    failure(model.errors["passkey"])
                    // Only a browser that knows passkeys shows the first part, and folds the second.
                    el("div", .class("stack"), Attribute("data-passkey-part"), Attribute("hidden")) {
                        el("h2") { "Your passkey" }
                        el("p", .class("hint")) {
                            "The device you are at, your phone or a security key keeps it. It checks your fingerprint, face or PIN, "
                            "and works at this address alone."
                        }
                        UI.field(
                            Field(
                                "passkey_name", label: "Name of the passkey", help: "So that you know it again.", .line,
                                value: "My first passkey", error: model.errors["name"], autocomplete: "off"))
                        UI.passkeyButton(
                            "Make a passkey and sign in", makes: true, options: "/enrol/options", style: .primary,
                            size: .large, block: true)
                    }
                    el(
                        "details", .class("fold"),
                        .when(["code", "password"].contains { model.errors[$0] != nil }, Attribute("data-stays")),
                        Attribute("open"), Attribute("data-passkey-other")
                    ) {
                        el("summary") {
                            UI.icon("right")
                            "Use an authenticator app"
                        }
                        el("div", .class("stack")) { authenticator(model) }
                    }
                } else {
                    authenticator(model)
                }
            }
    }

    /// The part of the enrolment that puts the secret into an app.
    private static func authenticator(_ model: EnrolmentModel) -> Node {
        el("div", .class("field")) {
            el("h2") { "Add to your authenticator" }
            secret(model)
        }
            + code(of: model)
            + UI.button("Finish and sign in", style: .primary, size: .large, block: true)
    }

    private static func secret(_ model: EnrolmentModel) -> Node {
        el("div") {
            Node(picture: model.qrSVG)
        }
            + el("p", .class("hint")) { "Scan it, or type this secret into the app:" }
            + el("p") { UI.id(grouped(model.offer.totpSecret)) }
            + UI.copyTextButton("Copy the secret", text: model.offer.totpSecret)
    }

    private static func code(of model: EnrolmentModel, hasFocus: Bool = false) -> Node {
        UI.field(
            Field(
                "code", label: "Code the app shows now", help: "Six digits; proves that the secret arrived.",
                .code, error: model.errors["code"], isRequired: true, autocomplete: "one-time-code",
                hasFocus: hasFocus))
    }

    /// Setting up an authenticator app later; stands inside the ordinary frame. It posts `sealed_secret`, `code` and `csrf` to
    /// `/me/authenticator/confirm`.
    public static func newAuthenticator(_ model: EnrolmentModel) -> Node {
        UI.title("Add to your authenticator")
            + form("/me/authenticator/confirm", csrf: model.csrf, next: nil) {
                UI.hiddenField("sealed_secret", model.offer.sealedSecret)
                el("div", .class("field")) { secret(model) }
                code(of: model, hasFocus: true)
                el("p", .class("hint")) { "An app you set up before stops working for this account." }
                UI.row {
                    UI.button("Use this app", style: .primary)
                    UI.linkButton("Cancel", href: "/me")
                }
            }
    }

    /// Signing in without a password.
    /// - Parameter after: where a passkey is the second step.
    private static func passkey(
        _ isOffered: Bool, csrf: String?, next: String?, waits: Bool = false, after step: CodeStepModel? = nil
    ) -> Node {
        guard isOffered else { return .none }
        return form("/signin/passkey", csrf: csrf, next: next) {
            if let step { after(step) }
            UI.passkeyButton(
                step == nil ? "Sign in with a passkey" : "Use a passkey", options: "/signin/passkey/options",
                waits: waits, size: .large, block: true)
        }
    }

    public static func recoveryCodes(_ model: RecoveryCodesModel) -> Node {
        el("div") {
            el("h1") { "Keep these recovery codes" }
            el("p", .class("muted")) {
                "They are shown only now. Each one signs you in once when your authenticator is lost."
            }
        }
            + el("ol", .class("codes")) {
                for code in model.codes { el("li") { el("code") { code } } }
            }
            + el("p", .class("row no-print")) {
                UI.copyTextButton("Copy all", text: model.codes.joined(separator: "\n"), size: .normal)
                el(
                    "button", .class("btn btn--quiet"), .type("button"), Attribute("data-print"), Attribute("hidden")
                ) {
                    UI.icon("print")
                    "Print"
                }
            }
            + UI.linkButton("I kept them, continue", href: model.next, style: .primary, size: .large, block: true)
    }

    /// Stands inside the ordinary frame: the person is signed in.
    public static func stepUp(_ model: StepUpModel) -> Node {
        UI.title("Use your authenticator again")
            + el("div", .class("narrow stack")) {
                el("p", .class("prose")) {
                    "What you are about to do asks for a factor used in the last \(TimeText.span(model.maxAge)). "
                    if model.next.hasPrefix("/api/") {
                        "The file comes then; your browser’s way back leads to the page you came from."
                    } else {
                        "You stay where you were, and nothing you typed is lost."
                    }
                }
                failure(model.error)
                if model.hasPasskey {
                    form("/step-up", csrf: model.csrf, next: model.next) {
                        UI.passkeyButton("Use your passkey", options: "/step-up/options", style: .primary)
                    }
                }
                if model.hasPasskey, model.next == "/me" {
                    // Open where no passkey can be used: then a code is all there is.
                    el(
                        "details", .class("fold"), .when(model.error != nil, Attribute("data-stays")),
                        Attribute("open"), Attribute("data-passkey-other")
                    ) {
                        el("summary") {
                            UI.icon("right")
                            "Use a code instead"
                        }
                        el("div", .class("stack")) {
                            el("p", .class("hint")) {
                                "It does for your password and your linked account. What changes your passkeys, your authenticator "
                                "app or your recovery codes takes the passkey. Lost it? Sign in with a recovery code."
                            }
                            code(of: model)
                        }
                    }
                } else {
                    code(of: model)
                }
            }
    }

    private static func code(of model: StepUpModel) -> Node {
        form("/step-up", csrf: model.csrf, next: model.next) {
            UI.field(
                Field(
                    "code", label: "Code from your authenticator",
                    help: "Six digits. A code works once: if you just used it, wait for the next.", .code,
                    isRequired: true, autocomplete: "one-time-code", hasFocus: !model.hasPasskey || model.error != nil))
            UI.button("Continue", style: model.hasPasskey ? .plain : .primary)
        }
    }

    private static func form(_ action: String, csrf: String?, next: String?, @NodeBuilder _ body: () -> Node) -> Node {
        el("form", .class("stack"), Attribute("method", "post"), Attribute("action", action)) {
            if let csrf { UI.hiddenField("csrf", csrf) }
            if let next { UI.hiddenField("next", next) }
            body()
        }
    }

    private static func failure(_ text: String?) -> Node {
        text.map { UI.banner(.danger, $0, announces: true) } ?? .none
    }

    private static func notice(_ text: String?) -> Node {
        text.map { UI.banner(.info, $0) } ?? .none
    }

    /// A base32 secret in groups of four.
    static func grouped(_ secret: String) -> String {
        var out = ""
        for (index, character) in secret.enumerated() {
            if index > 0, index.isMultiple(of: 4) { out.append(" ") }
            out.append(character)
        }
        return out
    }
}
