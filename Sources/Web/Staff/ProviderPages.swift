import HTML
import HTTPTypes
import Hummingbird
import Kernel

extension StaffConsole {
    /// Where the provider says who signed out there. It is believed by its signature alone.
    static let providerLogout = "/signin/oidc/logout"

    /// Signing in through the identity provider: the way there, the way back, and what it says by itself.
    func providerRoutes() -> [Route] {
        guard let provider = context.provider else { return [] }
        return [
            Route(.post, "/signin/oidc/start", .page) { exchange in try await leave(exchange, provider) },
            Route(.get, "/signin/oidc", .page) { exchange in try await comeBack(exchange, provider) },
            // Between servers: no session, no cookie, no form of this console's.
            Route(.post, Self.providerLogout, .api) { exchange in
                try await context.links.limiting(exchange.client.source) {
                    let values = try await fields(exchange)
                    do throws(OperationError) {
                        try await provider.endByProvider(values["logout_token"] ?? "", from: exchange.source(.api))
                        return Response(status: .ok, headers: [.cacheControl: "no-store"])
                    } catch {
                        guard case .invalid(let errors) = error else { throw error }
                        // As its standard has it (OpenID Connect Back-Channel Logout 1.0 §2.8).
                        return .json(
                            [
                                "error": "invalid_request",
                                "error_description": .string(errors.map(\.detail).joined(separator: " ")),
                            ], status: .badRequest)
                    }
                }
            },
        ]
    }

    /// What is posted about one's own link.
    func providerFormRoutes() -> [FormRoute] {
        guard let provider = context.provider else { return [] }
        return [
            FormRoute("/me/oidc") { posted in
                guard let visitor = posted.exchange.cookie(context.configuration.formCookie) else {
                    // Whoever has a session came by the sign-in, which sets the cookie; it may have been cleared since.
                    return withFormCookie(.seeOther("/me"), posted.exchange)
                }
                return try await aboutMe(posted, at: "/provider") { () throws(OperationError) in
                    let address = try await provider.startLinking(
                        posted.signed.session, by: posted.signed.caller, visitor: visitor)
                    return onTheWay(address, provider, isLink: true, posted.exchange)
                }
            },
            FormRoute("/me/oidc/{id}/unlink") { posted in
                try await aboutMe(posted, at: "/provider") { () throws(OperationError) in
                    try await provider.unlink(
                        posted.parameters["id"] ?? "", of: posted.signed.session, by: posted.signed.caller)
                    return .seeOther("/me?done=unlinked")
                }
            },
        ]
    }

    private func leave(_ exchange: Exchange, _ provider: any SingleSignOn) async throws -> Response {
        try checkOrigin(exchange)
        let values = try await fields(exchange)
        let next = keepable(Self.localPath(values["next"]))
        guard carriesToken(exchange, values), let visitor = exchange.cookie(context.configuration.formCookie) else {
            return signInPage(exchange, error: Self.cookieMissing, next: next, status: .forbidden)
        }
        do throws(OperationError) {
            try context.signIns.spend(exchange.client.source)
            let address = try await provider.startAtProvider(
                visitor: visitor, next: next, from: exchange.source(.console))
            return onTheWay(address, provider, exchange)
        } catch {
            return try refused(error, next: next, exchange)
        }
    }

    /// A place to return to that may be kept on the server meanwhile: a short one, or a form that was sealed here.
    private func keepable(_ next: String?) -> String? {
        guard let next, next.utf8.count > 2000 else { return next }
        guard next.hasPrefix(Self.resumePrefix),
            context.forms.open(String(next.dropFirst(Self.resumePrefix.count)), for: .form) != nil
        else { return nil }
        return next
    }

    /// A page that leaves by itself. A redirect in answer to a form would be held to the form's own site at every further hop,
    /// of which providers have several.
    private func onTheWay(
        _ address: String, _ provider: any SingleSignOn, isLink: Bool = false, _ exchange: Exchange
    ) -> Response {
        let name = provider.provider ?? ""
        var response = door(
            "On to \(name)", SignInViews.leaving(to: name, address: address, isLink: isLink), exchange)
        response.headers[.refresh] = "0;url=\(address)"
        return response
    }

    private func comeBack(_ exchange: Exchange, _ provider: any SingleSignOn) async throws -> Response {
        guard let visitor = exchange.cookie(context.configuration.formCookie) else {
            return signInPage(exchange, error: Self.cookieMissing, next: nil, status: .forbidden)
        }
        // Nothing can be said of an answer to no question, whatever it says itself.
        guard let state = exchange.first("state") else {
            return signInPage(
                exchange, error: "\(provider.provider ?? "") sent you back without letting you in. Begin again.",
                next: nil,
                status: .forbidden)
        }
        let signed = try await session(exchange)
        do throws(OperationError) {
            try context.signIns.spend(exchange.client.source)
            let outcome = try await provider.finishAtProvider(
                ProviderAnswer(
                    state: state, code: exchange.first("code"), error: exchange.first("error"),
                    issuer: exchange.first("iss")),
                visitor: visitor, session: signed?.session, from: exchange.source(.console))
            switch outcome {
            case .session(let session, let next): return try await welcome(session, next: next, exchange)
            case .challenge(let challenge, let links, let next):
                return codePage(exchange, challenge: challenge, after: links ? "link" : "oidc", next: next)
            case .linked: return .seeOther("/me?done=linked")
            case .refused(let sentence, forLink: true, _):
                guard let signed, let page = context.consoles.lazy.flatMap(\.pages).first(where: { $0.path == "/me" })
                else { return signInPage(exchange, error: sentence, next: "/me", status: .forbidden) }
                do {
                    return try await show(
                        page, exchange, signed, errors: [FieldError(pointer: "/provider", detail: sentence)],
                        status: .conflict)
                } catch {
                    return await errorPage(Problem(error), exchange)
                }
            case .refused(let sentence, _, let next):
                return signInPage(exchange, error: sentence, next: next, status: .forbidden)
            }
        } catch {
            return try refused(error, next: nil, exchange)
        }
    }

    private func refused(_ error: OperationError, next: String?, _ exchange: Exchange) throws -> Response {
        guard let sentence = Self.sentence(error) ?? Self.outage(error) else { throw error }
        return marked(signInPage(exchange, error: sentence, next: next, status: Problem(error).status), error)
    }

    /// The provider is away: the other ways in are on the same page.
    private static func outage(_ error: OperationError) -> String? {
        if case .unavailable(let detail) = error { detail } else { nil }
    }

    /// Ends the session here, and offers to end the provider's too where it came from there.
    func signOut(_ posted: PostedForm) async throws -> Response {
        try await context.signIn.end(posted.signed.session, from: posted.exchange.source(.console))
        // Asked afterwards: a provider that does not answer keeps nobody signed in here.
        let farewell = await context.provider?.farewell(posted.signed.session)
        var response: Response
        if let farewell, let name = context.provider?.provider {
            response = door("Signed out", SignInViews.signedOut(of: name, address: farewell), posted.exchange)
        } else {
            response = .seeOther("/signin?out=1")
        }
        response.headers[values: .setCookie].append(
            cookie(context.configuration.sessionCookie, "", lasting: .seconds(0)))
        return response
    }
}

extension HTTPField.Name {
    /// Goes elsewhere after a time (HTML, "shared declarative refresh").
    static let refresh = Self("Refresh")!
}
