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
    public init(
        deployment: String, email: String = "", error: String? = nil, notice: String? = nil, next: String? = nil,
        csrf: String? = nil, offersPasskey: Bool = false
    ) {
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
    public init(
        challenge: String, usesRecovery: Bool = false, error: String? = nil, next: String? = nil, csrf: String? = nil,
        offersPasskey: Bool = false
    ) {
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
            + notice(model.notice) + failure(model.error)
            + form("/signin", csrf: model.csrf, next: model.next) {
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
                UI.button("Continue", style: .primary, size: .large, block: true)
            }
            + passkey(model.offersPasskey, csrf: model.csrf, next: model.next, waits: true)
            + el("p", .class("small muted")) {
                "A session lasts 8 hours, or 30 minutes without activity. Lost your authenticator? A recovery code takes its "
                "place in the next step. Not enrolled yet, and the link has run out? Whoever invites staff can send a new one."
            }
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
            + form("/signin/code", csrf: model.csrf, next: model.next) {
                UI.hiddenField("challenge", model.challenge)
                UI.field(field)
                UI.button("Sign in", style: .primary, size: .large, block: true)
            }
            + passkey(model.offersPasskey, csrf: model.csrf, next: model.next)
            // Its own form, so that the other way is one press away and no script is needed.
            + el("form", Attribute("method", "post"), Attribute("action", "/signin/code")) {
                if let csrf = model.csrf { UI.hiddenField("csrf", csrf) }
                if let next = model.next { UI.hiddenField("next", next) }
                UI.hiddenField("challenge", model.challenge)
                UI.hiddenField("switch", model.usesRecovery ? "totp" : "recovery")
                UI.button(
                    model.usesRecovery ? "Use the authenticator instead" : "Use a recovery code instead", style: .quiet,
                    block: true)
            }
            + UI.linkButton("Start again with another e-mail", href: "/signin", style: .quiet, block: true)
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
            el("div") {
                Node(picture: model.qrSVG)
            }
            el("p", .class("hint")) { "Scan it, or type this secret into the app:" }
            el("p") { UI.id(grouped(model.offer.totpSecret)) }
            UI.copyTextButton("Copy the secret", text: model.offer.totpSecret)
        }
            + UI.field(
                Field(
                    "code", label: "Code the app shows now", help: "Six digits; proves that the secret arrived.",
                    .code, error: model.errors["code"], isRequired: true, autocomplete: "one-time-code"))
            + UI.button("Finish and sign in", style: .primary, size: .large, block: true)
    }

    /// Signing in without a password.
    private static func passkey(_ isOffered: Bool, csrf: String?, next: String?, waits: Bool = false) -> Node {
        guard isOffered else { return .none }
        return form("/signin/passkey", csrf: csrf, next: next) {
            UI.passkeyButton(
                "Sign in with a passkey", options: "/signin/passkey/options", waits: waits, size: .large, block: true)
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
                    "You stay where you were, and nothing you typed is lost."
                }
                failure(model.error)
                if model.hasPasskey {
                    form("/step-up", csrf: model.csrf, next: model.next) {
                        UI.passkeyButton("Use your passkey", options: "/step-up/options", style: .primary)
                    }
                }
                form("/step-up", csrf: model.csrf, next: model.next) {
                    UI.field(
                        Field(
                            "code", label: "Code from your authenticator",
                            help: "Six digits. A code works once: if you just used it, wait for the next.", .code,
                            isRequired: true, autocomplete: "one-time-code", hasFocus: true))
                    UI.button("Continue", style: model.hasPasskey ? .plain : .primary)
                }
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
