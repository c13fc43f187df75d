import HTML
import HTTPTypes
import Hummingbird
import Kernel

extension StaffConsole {
    /// The pages before a session: sign-in, code, enrolment.
    func doorRoutes() -> [Route] {
        [
            Route(.get, "/signin", .page) { exchange in
                let next = Self.localPath(exchange.first("next"))
                if try await session(exchange) != nil { return .seeOther(next ?? "/") }
                return signInPage(
                    exchange, notice: exchange.first("out") == nil ? nil : "You are signed out.", next: next)
            },
            Route(.post, "/signin", .page) { exchange in try await begin(exchange) },
            Route(.get, "/signin/code", .page) { _ in .seeOther("/signin") },
            Route(.post, "/signin/code", .page) { exchange in try await finish(exchange) },
            Route(.post, "/signin/passkey", .page) { exchange in try await finishWithPasskey(exchange) },
            passkeyQuestion("/signin/passkey/options") { exchange, passkeys in
                let values = try await fields(exchange)
                guard carriesToken(exchange, values), let visitor = exchange.cookie(context.configuration.formCookie)
                else { throw Problem(.formRefused, Self.cookieMissing) }
                try context.links.spend(exchange.client.source)
                return try await passkeys.signInOptions(visitor: visitor)
            },
            passkeyQuestion("/enrol/options") { exchange, passkeys in
                let values = try await fields(exchange)
                guard carriesToken(exchange, values) else { throw Problem(.formRefused, Self.cookieMissing) }
                try context.links.spend(exchange.client.source)
                return try await passkeys.enrolmentOptions(token: values["token"] ?? "")
            },
            Route(.get, "/enrol", .page) { exchange in
                let token = exchange.first("token") ?? ""
                try context.links.spend(exchange.client.source)
                let offer = try await context.signIn.enrolmentOffer(token: token)
                return enrolmentPage(exchange, token: token, offer: sealed(offer))
            },
            Route(.post, "/enrol", .page) { exchange in try await enrol(exchange) },
            signedPage("/step-up") { exchange, signed in
                let model = StepUpModel(
                    next: Self.localPath(exchange.first("next")) ?? "/", csrf: signed.session.csrfToken,
                    maxAge: signed.session.limits.stepUpAge, hasPasskey: await context.hasPasskey(signed.session))
                return framed("Use your authenticator again", SignInViews.stepUp(model), signed)
            },
        ]
    }

    // MARK: The token of forms without a session

    /// The answer with the cookie that forms without a session need, where the browser lacks it.
    func withFormCookie(_ response: Response, _ exchange: Exchange) -> Response {
        var response = response
        if let setCookie = formToken(exchange).setCookie { response.headers[values: .setCookie].append(setCookie) }
        return response
    }

    /// Double submit: a random cookie, and in the form what only this server can derive from it.
    private func formToken(_ exchange: Exchange) -> (token: String, setCookie: String?) {
        let name = context.configuration.formCookie
        if let value = exchange.cookie(name), value.utf8.count >= 20 { return (context.forms.token(for: value), nil) }
        let value = Base64.encodeURL(SecureRandom.bytes(18))
        return (context.forms.token(for: value), cookie(name, value, lasting: nil))
    }

    func carriesToken(_ exchange: Exchange, _ values: [String: String]) -> Bool {
        guard let value = exchange.cookie(context.configuration.formCookie) else { return false }
        return constantTimeEqual(Array(context.forms.token(for: value).utf8), Array((values["csrf"] ?? "").utf8))
    }

    // MARK: Sign-in

    func signInPage(
        _ exchange: Exchange, email: String = "", error: String? = nil, notice: String? = nil, next: String?,
        status: HTTPResponse.Status = .ok
    ) -> Response {
        let (token, setCookie) = formToken(exchange)
        let model = SignInModel(
            deployment: context.configuration.deployment, email: email, error: error, notice: notice, next: next,
            csrf: token, offersPasskey: context.offersPasskeys, provider: context.provider?.provider,
            isProviderRequired: context.provider?.isProviderRequired ?? false)
        var response = door("Sign in", SignInViews.signIn(model), exchange, status: status)
        if let setCookie { response.headers[values: .setCookie].append(setCookie) }
        return response
    }

    /// - Parameter after: what came before: `nil` for a password, `oidc` or `link` for the identity provider.
    func codePage(
        _ exchange: Exchange, challenge: String, usesRecovery: Bool = false, after: String? = nil, error: String? = nil,
        next: String?,
        status: HTTPResponse.Status = .ok
    ) -> Response {
        let model = CodeStepModel(
            challenge: challenge, usesRecovery: usesRecovery, error: error, next: next, csrf: formToken(exchange).token,
            offersPasskey: context.offersPasskeys, provider: after == nil ? nil : context.provider?.provider,
            links: after == "link")
        return door("Enter your code", SignInViews.code(model), exchange, status: status)
    }

    static let cookieMissing =
        "The form was too old, or your browser keeps no cookies for this site. Try again; if it happens again, "
        + "allow cookies."

    private func begin(_ exchange: Exchange) async throws -> Response {
        try checkOrigin(exchange)
        let values = try await fields(exchange)
        let next = Self.localPath(values["next"])
        let email = values["email"] ?? ""
        guard carriesToken(exchange, values) else {
            return signInPage(exchange, email: email, error: Self.cookieMissing, next: next, status: .forbidden)
        }
        do throws(OperationError) {
            try context.signIns.spend(exchange.client.source)
            let (challenge, _) = try await context.signIn.begin(
                email: email, password: values["password"] ?? "", from: exchange.source(.console))
            return codePage(exchange, challenge: challenge, next: next)
        } catch {
            guard let sentence = Self.sentence(error) else { throw error }
            return marked(
                signInPage(exchange, email: email, error: sentence, next: next, status: Problem(error).status), error)
        }
    }

    private func finish(_ exchange: Exchange) async throws -> Response {
        try checkOrigin(exchange)
        let values = try await fields(exchange)
        let next = Self.localPath(values["next"])
        guard carriesToken(exchange, values), let challenge = values["challenge"], !challenge.isEmpty else {
            return signInPage(exchange, error: Self.cookieMissing, next: next, status: .forbidden)
        }
        let after = values["after"]
        if let other = values["switch"] {
            return codePage(exchange, challenge: challenge, usesRecovery: other == "recovery", after: after, next: next)
        }
        let recovery = values["recovery"]
        do throws(OperationError) {
            try context.signIns.spend(exchange.client.source)
            let source = exchange.source(.console)
            let session =
                if let recovery {
                    try await context.signIn.finish(challenge: challenge, recovery: recovery, from: source)
                } else {
                    try await context.signIn.finish(challenge: challenge, totp: values["code"] ?? "", from: source)
                }
            return try await welcome(session, next: next, exchange)
        } catch {
            if case .unauthenticated = error {
                // One sentence for every cause: it must not tell whether the password was right.
                return codePage(
                    exchange, challenge: challenge, usesRecovery: recovery != nil, after: after,
                    error: after == nil
                        ? "That did not work: the e-mail, the password or the code is wrong, or the code was used "
                            + "before. Wait for the next code, or start again." : Self.wrongFactor,
                    next: next, status: .unauthorized)
            }
            guard let sentence = Self.sentence(error) else { throw error }
            return marked(
                codePage(
                    exchange, challenge: challenge, usesRecovery: recovery != nil, after: after, error: sentence,
                    next: next, status: Problem(error).status), error)
        }
    }

    /// After the identity provider: who it is, is known.
    private static let wrongFactor =
        "That did not work: the factor is not yours, the code is wrong or was used before, or this step took too long. "
        + "Wait for the next code, or start again."

    private func finishWithPasskey(_ exchange: Exchange) async throws -> Response {
        try checkOrigin(exchange)
        let values = try await fields(exchange)
        let next = Self.localPath(values["next"])
        guard carriesToken(exchange, values), let visitor = exchange.cookie(context.configuration.formCookie) else {
            return signInPage(exchange, error: Self.cookieMissing, next: next, status: .forbidden)
        }
        let challenge = values["challenge"] ?? ""
        do throws(OperationError) {
            try context.signIns.spend(exchange.client.source)
            let source = exchange.source(.console)
            let session =
                if let provider = context.provider, !challenge.isEmpty {
                    try await provider.finish(
                        challenge: challenge, passkey: Self.passkeyAnswer(values), visitor: visitor, from: source)
                } else {
                    try await passkeys().signIn(Self.passkeyAnswer(values), visitor: visitor, from: source)
                }
            return try await welcome(session, next: next, exchange)
        } catch {
            if case .unauthenticated = error, !challenge.isEmpty {
                return codePage(
                    exchange, challenge: challenge, after: values["after"], error: Self.wrongFactor, next: next,
                    status: .unauthorized)
            }
            guard let sentence = Self.sentence(error) else { throw error }
            return marked(signInPage(exchange, error: sentence, next: next, status: Problem(error).status), error)
        }
    }

    // MARK: Passkeys

    func passkeys() throws(OperationError) -> any Passkeys {
        guard let passkeys = context.passkeys else { throw .notFound("Passkeys are not offered here.") }
        return passkeys
    }

    /// What the browser's passkey answered; what can't be read is refused by whoever looks into it.
    static func passkeyAnswer(_ values: [String: String]) -> JSON {
        (try? JSON(parsing: Array((values["passkey"] ?? "").utf8))) ?? .null
    }

    /// What a passkey is to be asked, for the page's script.
    private func passkeyQuestion(
        _ path: String, _ options: @escaping @Sendable (Exchange, any Passkeys) async throws -> JSON
    ) -> Route {
        Route(.post, path, .page) { exchange in
            try await Self.question(exchange) {
                try checkOrigin(exchange)
                return ["publicKey": try await options(exchange, try passkeys())]
            }
        }
    }

    /// A script reads problems as JSON, not as a page.
    static func question(
        _ exchange: Exchange, _ options: () async throws -> JSON
    ) async throws -> Response {
        do {
            return .json(try await options())
        } catch {
            let problem = Problem(error)
            guard problem.defect == nil else { throw error }
            return problem.response(instance: exchange.path)
        }
    }

    /// A new session's first answer: where the person wanted to go, or the form that was kept.
    func welcome(_ session: NewSession, next: String?, _ exchange: Exchange) async throws(OperationError)
        -> Response
    {
        var response = Response.seeOther(next ?? "/")
        if let next, next.hasPrefix(Self.resumePrefix) {
            let sealed = String(next.dropFirst(Self.resumePrefix.count))
            do {
                if let signed = try await self.session(token: session.token, exchange) {
                    response = try await resume(sealed, exchange, signed)
                }
            } catch {
                // The session stands all the same; only the form could not be shown.
                response = await errorPage(Problem(error), exchange)
            }
        }
        response.headers[values: .setCookie].append(sessionCookie(session))
        return response
    }

    func marked(_ response: Response, _ error: OperationError) -> Response {
        guard let retryAfter = Problem(error).retryAfter else { return response }
        var response = response
        response.headers[.retryAfter] = String(retryAfter)
        return response
    }

    /// What a form says of an error the person can do something about.
    static func sentence(_ error: OperationError) -> String? {
        switch error {
        case .invalid(let errors): errors.map(\.detail).joined(separator: " ")
        case .tooManyRequests, .forbidden, .conflict, .unauthenticated: Problem(error).detail
        default: nil
        }
    }

    // MARK: Enrolment

    /// The offer with everything needed to draw the page again, so that a mistyped code does not cost the person the
    /// secret that is already in the authenticator.
    func sealed(_ offer: EnrolmentOffer, for purpose: FormSeal.Purpose = .enrolment) -> EnrolmentOffer {
        let kept: JSON = [
            "sealed": .string(offer.sealedSecret), "secret": .string(offer.totpSecret), "uri": .string(offer.totpURI),
        ]
        return EnrolmentOffer(
            staffID: offer.staffID, email: offer.email, name: offer.name, totpSecret: offer.totpSecret,
            totpURI: offer.totpURI, sealedSecret: context.forms.seal(kept, for: purpose, lasting: .hours(2)))
    }

    private func enrolmentPage(
        _ exchange: Exchange, token: String, offer: EnrolmentOffer, errors: [String: String] = [:],
        status: HTTPResponse.Status = .ok
    ) -> Response {
        let (csrf, setCookie) = formToken(exchange)
        let model = EnrolmentModel(
            token: token, offer: offer, qrSVG: context.qrSVG(offer.totpURI), errors: errors, csrf: csrf,
            offersPasskey: context.offersPasskeys)
        var response = door("Welcome", SignInViews.enrolment(model), exchange, status: status)
        if let setCookie { response.headers[values: .setCookie].append(setCookie) }
        return response
    }

    private func enrol(_ exchange: Exchange) async throws -> Response {
        try checkOrigin(exchange)
        let values = try await fields(exchange)
        let token = values["token"] ?? ""
        guard carriesToken(exchange, values),
            let kept = context.forms.open(values["sealed_secret"] ?? "", for: .enrolment),
            let secret = kept["secret"]?.string, let uri = kept["uri"]?.string, let inner = kept["sealed"]?.string
        else {
            try context.links.spend(exchange.client.source)
            let offer = try await context.signIn.enrolmentOffer(token: token)
            return enrolmentPage(
                exchange, token: token, offer: sealed(offer),
                errors: [
                    "code": "The page was too old. Remove the entry from the authenticator and scan the new code."
                ],
                status: .forbidden)
        }
        do throws(OperationError) {
            try context.signIns.spend(exchange.client.source)
            let source = exchange.source(.console)
            let password = values["password"] ?? ""
            let (codes, session) =
                if values["passkey"]?.isEmpty ?? true {
                    try await context.signIn.enrol(
                        token: token, password: password, sealedSecret: inner, code: values["code"] ?? "", from: source)
                } else {
                    try await passkeys().enrol(
                        token: token, password: password, passkey: Self.passkeyAnswer(values),
                        named: values["passkey_name"] ?? "", from: source)
                }
            var response = door(
                "Recovery codes", SignInViews.recoveryCodes(RecoveryCodesModel(codes: codes)), exchange)
            response.headers[values: .setCookie].append(sessionCookie(session))
            return response
        } catch {
            guard let errors = Self.enrolmentErrors(error) else { throw error }
            let fresh = try await context.signIn.enrolmentOffer(token: token)
            let offer = EnrolmentOffer(
                staffID: fresh.staffID, email: fresh.email, name: fresh.name, totpSecret: secret, totpURI: uri,
                sealedSecret: values["sealed_secret"] ?? "")
            return enrolmentPage(
                exchange, token: token, offer: offer, errors: errors, status: Problem(error).status)
        }
    }

    private static func enrolmentErrors(_ error: OperationError) -> [String: String]? {
        switch error {
        case .invalid(let errors):
            var out: [String: String] = [:]
            for error in errors {
                let last = error.pointer.split(separator: "/").last.map(String.init) ?? ""
                let name = ["password", "passkey", "name"].contains(last) ? last : "code"
                out[name] = [out[name], error.detail].compactMap { $0 }.joined(separator: " ")
            }
            return out
        case .unauthenticated: return ["code": "The code did not fit. Type the one the app shows now."]
        case .tooManyRequests: return ["code": Problem(error).detail]
        default: return nil
        }
    }
}
