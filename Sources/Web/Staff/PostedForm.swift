import HTML
import HTTPTypes
import Hummingbird
import Kernel

/// A form of the console that somebody signed in has posted.
struct PostedForm: Sendable {
    let exchange: Exchange
    let parameters: [String: String]
    /// By name; several values of one name are joined by line feeds.
    var values: [String: String]
    let signed: StaffConsole.Signed
    /// Why the form comes back without having been acted on; the handler shows it again with this sentence.
    var notice: String?

    func text(_ name: String) -> String { values[name] ?? "" }
}

/// Where a form is posted to.
struct FormRoute: Sendable {
    let template: String
    /// True when the handler can show the form again with everything typed, and so survives the end of a session.
    let keeps: Bool
    let handler: @Sendable (PostedForm) async throws -> Response

    init(_ template: String, keeps: Bool = false, _ handler: @escaping @Sendable (PostedForm) async throws -> Response)
    {
        self.template = template
        self.keeps = keeps
        self.handler = handler
    }
}

extension StaffConsole {
    func formRoutes() -> [FormRoute] {
        operationFormRoutes() + meFormRoutes() + providerFormRoutes() + deviceFormRoutes() + approvalFormRoutes()
            + inboxFormRoutes() + slackFormRoutes() + [severalForm]
    }

    /// The guards of every form, in this order: it comes from this console's own pages; a session stands behind it; its
    /// token belongs to that session. What was typed survives the end of the session.
    func post(_ form: FormRoute, _ exchange: Exchange) async throws -> Response {
        try checkOrigin(exchange)
        let values = try await fields(exchange)
        guard let signed = try await session(exchange) else {
            return try signInKeeping(form, values, exchange)
        }
        try context.requests.spend(signed.session.id)
        var posted = PostedForm(exchange: exchange, parameters: exchange.parameters, values: values, signed: signed)
        if !constantTimeEqual(Array(posted.text("csrf").utf8), Array(signed.session.csrfToken.utf8)) {
            guard form.keeps else {
                throw Problem(.formRefused, "The form belongs to another session than the one you have now.")
            }
            if let author = posted.values["author"], author != context.forms.author(signed.session.staffID) {
                throw Problem(
                    .formRefused, "The form was opened by somebody else, who was signed in here before you.")
            }
            posted.notice =
                "You signed in anew since this form was opened. Nothing was done: look at it again, then confirm."
        }
        return try await form.handler(posted)
    }

    /// Refuses a post that another site caused.
    func checkOrigin(_ exchange: Exchange) throws {
        if let site = exchange.headers[.secFetchSite] {
            guard site == "same-origin" else {
                throw Problem(.formRefused, "Your browser says that this form was sent by another site.")
            }
            return
        }
        guard let origin = exchange.headers[.origin] else {
            throw Problem(.formRefused, "Your browser did not say which site sent this form.")
        }
        guard context.configuration.isOwn(origin: origin, authority: exchange.request.head.authority ?? "") else {
            throw Problem(.formRefused, "This form was sent by \(origin.prefix(100)).")
        }
    }

    /// The fields of a posted form, joined by name.
    func fields(_ exchange: Exchange) async throws -> [String: String] {
        guard exchange.mediaType == "application/x-www-form-urlencoded" else {
            throw Problem(.unsupportedMediaType, "Forms are sent as application/x-www-form-urlencoded.")
        }
        let bytes = try await exchange.body()
        guard let text = String(validating: bytes, as: UTF8.self), let fields = URLText.fields(text) else {
            throw Problem(.badRequest, "The form holds text that is not valid UTF-8.")
        }
        // Browsers send line ends as CR LF; what was typed has LF.
        return fields.mapValues { $0.joined(separator: "\n").replacing("\r\n", with: "\n") }
    }

    // MARK: A session that ended while a form was open

    /// Where sign-in leads when it carries a form; its fields follow, sealed.
    static let resumePrefix = "/resume?form="
    private static let largestKeptForm = 45_000

    private func signInKeeping(_ form: FormRoute, _ values: [String: String], _ exchange: Exchange) throws -> Response {
        var notice = "Your session ended. Sign in to go on."
        var next = exchange.path
        if form.keeps {
            var kept = values
            for name in ["csrf", "code", "action", "previewed"] { kept[name] = nil }
            let json: JSON = ["path": .string(exchange.path), "fields": .object(kept.mapValues(JSON.string))]
            if json.canonical.count <= Self.largestKeptForm {
                next = Self.resumePrefix + context.forms.seal(json, for: .form, lasting: .hours(1))
                notice = "Your session ended. What you typed is kept: sign in and go on where you were."
            } else {
                notice =
                    "Your session ended and the form is too large to be kept: go back, copy what you typed, then "
                    + "sign in."
            }
        } else {
            next = "/"
        }
        return signInPage(exchange, notice: notice, next: next, status: .unauthorized)
    }

    /// Shows a kept form again after sign-in, to the person who typed it.
    func resume(_ sealed: String, _ exchange: Exchange, _ signed: Signed) async throws -> Response {
        guard let kept = context.forms.open(sealed, for: .form), let path = kept["path"]?.string,
            let fields = kept["fields"]?.object, let author = fields["author"]?.string,
            constantTimeEqual(Array(author.utf8), Array(context.forms.author(signed.session.staffID).utf8))
        else { return .seeOther("/") }
        let forms = formRoutes().filter(\.keeps)
        let table = RouteTable(
            forms.map { Route(.post, $0.template, .page) { _ in throw Problem(.notFound, "") } })
        guard case .found(let route, let parameters) = table.match(.post, path.split(separator: "/").map(String.init)),
            let form = forms.first(where: { $0.template == route.template })
        else { return .seeOther("/") }
        return try await form.handler(
            PostedForm(
                exchange: exchange, parameters: parameters, values: fields.compactMapValues(\.string), signed: signed,
                notice: "You are signed in again and nothing you typed was lost. Nothing has been done yet."))
    }

    // MARK: Cookies

    func cookie(_ name: String, _ value: String, lasting span: Span?) -> String {
        var text = "\(name)=\(value); Path=/; HttpOnly; SameSite=Lax"
        if context.configuration.usesSecureCookies { text += "; Secure" }
        if let span { text += "; Max-Age=\(max(0, span.seconds))" }
        return text
    }

    func sessionCookie(_ session: NewSession) -> String {
        cookie(
            context.configuration.sessionCookie, session.token, lasting: session.info.expiresAt - context.clock.now)
    }

    /// A path of this console, or `nil`: redirects never lead elsewhere.
    static func localPath(_ text: String?) -> String? {
        guard let text, text.hasPrefix("/"), !text.hasPrefix("//"), !text.hasPrefix("/\\"), text.utf8.count <= 80_000,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        return text
    }
}
