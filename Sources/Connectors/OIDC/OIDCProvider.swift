import AsyncHTTPClient
import Foundation
import Kernel
import NIOCore

/// An OpenID Connect provider: authorization code with PKCE, token verification, keys that change, logout.
///
/// It follows no redirect. Discovery and keys are kept for an hour; a key that is not known is looked for at once, at most
/// once in half a minute.
public actor OIDCProvider: IdentityProvider {
    public struct Settings: Sendable {
        /// Exactly as the provider's tokens say it.
        public var issuer: String
        public var clientID: String
        public var secret: String
        /// What people call it.
        public var name: String
        /// Words of `amr` that say a second factor was used.
        public var methods: Set<String> = ["mfa"]
        /// Values of `acr` that say so; asked for.
        public var contexts: [String] = []
        /// The claim that says what somebody belongs to; `nil`: none is looked at. A name with dots also leads into objects.
        public var rolesClaim: String?
        /// PEM file of the authorities to trust instead of the system's.
        public var authorities: String?
        public var skew = Span.seconds(60)
        public var timeout = Span.seconds(10)
        public init(issuer: String, clientID: String, secret: String, name: String) {
            self.issuer = issuer
            self.clientID = clientID
            self.secret = secret
            self.name = name
        }
    }

    private let settings: Settings
    private let clock: Clock
    private let check: TokenCheck

    /// How long discovery and keys are good without being asked for again.
    private static let kept = Duration.seconds(3600)
    /// How often keys are asked for because of a token nobody knows the key of.
    private static let keysAgain = Duration.seconds(30)

    private var discovery: (value: ProviderDiscovery, at: ContinuousClock.Instant)?
    private var keys: (value: ProviderKeys, at: ContinuousClock.Instant)?
    private var keysAskedAt: ContinuousClock.Instant?
    /// Several who need them at once wait for one answer.
    private var asking: Task<Result<ProviderKeys, ProviderRefusal>, Never>?

    public init(_ settings: Settings, clock: Clock = .system) {
        self.settings = settings
        self.clock = clock
        check = TokenCheck(issuer: settings.issuer, clientID: settings.clientID, skew: settings.skew)
        // Read now, not with the first who signs in: a file that takes its place meanwhile would be told by nobody. What is wrong
        // with it is said when it is needed.
        if settings.authorities != nil { _ = try? ProviderClient.trusting(settings.authorities) }
    }

    public nonisolated var name: String { settings.name }
    public nonisolated var issuer: String { settings.issuer }

    // MARK: - Signing in

    public func address(of question: ProviderQuestion) async throws(ProviderRefusal) -> String {
        let found = try await known()
        let challenge = Base64.encodeURL(sha256(Array(question.verifier.utf8)))
        var fields = [
            ("response_type", "code"), ("client_id", settings.clientID), ("redirect_uri", question.redirect),
            ("scope", "openid email"), ("state", question.state), ("nonce", question.nonce),
            ("code_challenge", challenge), ("code_challenge_method", "S256"),
            // With it the token must say when the person proved who they are.
            ("max_age", String(TokenCheck.longestSession.seconds)),
        ]
        if !settings.contexts.isEmpty { fields.append(("acr_values", settings.contexts.joined(separator: " "))) }
        return Self.adding(fields, to: found.authorization)
    }

    public func identity(
        from answer: ProviderAnswer, to question: ProviderQuestion
    ) async throws(ProviderRefusal) -> ProviderIdentity {
        let found = try await known()
        // Before the code goes anywhere: it may be another provider's (RFC 9207).
        if found.namesItself || answer.issuer != nil, answer.issuer != settings.issuer {
            throw TokenFlaw.issuer.refusal(of: name)
        }
        if let error = answer.error { throw declined(error) }
        guard let code = answer.code, !code.isEmpty else {
            throw ProviderRefusal("no_code", "\(name) sent you back without an answer. Try again.")
        }
        let tokens = try await redeem(code, question, found)
        guard let text = tokens["id_token"]?.string else {
            throw ProviderRefusal("no_token", "\(name) answered without saying who you are.", isOutage: true)
        }
        let claims = try await verified { [check] keys, now throws(TokenFlaw) in
            try check.claims(ofIDToken: text, nonce: question.nonce, keys: keys, at: now)
        }
        var saying = settings.rolesClaim.map { Claim.read($0, in: claims) }
        let asksForRoles = saying == .nothing
        var more: JSON?
        var isMoreKnown = true
        if claims["email"] == nil || asksForRoles, let place = found.userInfo,
            let access = tokens["access_token"]?.string
        {
            more = try await person(at: place, access, is: claims["sub"]?.string)
            isMoreKnown = more != nil
        }
        if let name = settings.rolesClaim, asksForRoles {
            if let more { saying = Claim.read(name, in: more) }
            // Who belongs to nothing has no such claim; who belongs to too much has another in its place.
            let isLeftOut = [claims, more ?? [:]].contains { Claim.isLeftOut(name, of: $0) }
            if saying == .nothing, isMoreKnown, !isLeftOut { saying = .values([]) }
        }
        var claimed: Set<String>?
        if case .values(let values)? = saying { claimed = values }
        return identity(claims, claims["email"] == nil ? more ?? [:] : claims, token: text, claimed: claimed)
    }

    private func identity(
        _ claims: JSON, _ contact: JSON, token: String, claimed: Set<String>?
    ) -> ProviderIdentity {
        let methods: Set<String> =
            switch claims["amr"] {
            case .array(let words): Set(words.compactMap(\.string))
            case .string(let word): [word]
            default: []
            }
        let context = claims["acr"]?.string
        let verified = contact["email_verified"]
        return ProviderIdentity(
            issuer: settings.issuer, subject: claims["sub"]?.string ?? "", email: contact["email"]?.string,
            // Some providers write their booleans as text.
            isEmailVerified: verified?.bool == true || verified?.string == "true", session: claims["sid"]?.string,
            usedSecondFactor: !methods.isDisjoint(with: settings.methods)
                || context.map(settings.contexts.contains) ?? false,
            authenticatedAt: TokenCheck.time(claims["auth_time"]), token: token, claimed: claimed)
    }

    /// RFC 6749 §4.1.3
    private func redeem(
        _ code: String, _ question: ProviderQuestion, _ found: ProviderDiscovery
    ) async throws(ProviderRefusal) -> JSON {
        var fields = [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", question.redirect),
            ("code_verifier", question.verifier),
        ]
        var headers = [("content-type", "application/x-www-form-urlencoded")]
        if found.takesSecretInForm {
            fields += [("client_id", settings.clientID), ("client_secret", settings.secret)]
        } else {
            // Each part is form-encoded first (RFC 6749 §2.3.1).
            let pair = "\(Self.encode(settings.clientID)):\(Self.encode(settings.secret))"
            headers.append(("authorization", "Basic \(Base64.encode(Array(pair.utf8)))"))
        }
        let answer = try await fetch(found.token, form: fields, headers: headers)
        if answer.status == 200, let json = answer.json { return json }
        switch answer.json?["error"]?.string {
        case "invalid_grant":
            throw ProviderRefusal(
                "code_refused", "\(name) says that this sign-in was used already or took too long. Begin again.")
        case "invalid_client", "unauthorized_client":
            throw ProviderRefusal(
                "client_refused",
                "\(name) does not know this deployment. Whoever runs it should look at oidc_client_id and its secret.",
                isOutage: true)
        default:
            throw ProviderRefusal(
                "unreachable", "\(name) could not finish the sign-in (it answered \(answer.status)).", isOutage: true)
        }
    }

    /// What the token left out, from where it may be asked (OpenID Connect Core 1.0 §5.3); `nil` when it does not answer.
    private func person(
        at place: String, _ access: String, is subject: String?
    ) async throws(ProviderRefusal) -> JSON? {
        let answer = try await fetch(place, headers: [("authorization", "Bearer \(access)")])
        guard answer.status == 200, let json = answer.json else { return nil }
        // It may be about somebody else.
        guard let subject, json["sub"]?.string == subject else { throw TokenFlaw.subject.refusal(of: name) }
        return json
    }

    /// Only words of the standards are understood; the provider's own text is never repeated.
    private func declined(_ error: String) -> ProviderRefusal {
        switch error {
        case "access_denied":
            ProviderRefusal("declined", "\(name) did not let you in, or you pressed Cancel there.")
        case "login_required", "interaction_required", "account_selection_required", "consent_required":
            ProviderRefusal("interaction_required", "\(name) needs you to sign in there first. Try again.")
        case "temporarily_unavailable", "server_error":
            ProviderRefusal("unreachable", "\(name) has a problem of its own right now.", isOutage: true)
        case "unmet_authentication_requirements":
            ProviderRefusal("unmet", "\(name) could not check your second factor as this deployment asks for.")
        case "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_response_type":
            ProviderRefusal(
                "client_refused",
                "\(name) does not accept how this deployment asks. Whoever runs it should compare the redirect address.",
                isOutage: true)
        default: ProviderRefusal("declined", "\(name) refused, without a reason that is known here.")
        }
    }

    // MARK: - Ending

    public func farewell(to token: String, returningTo place: String) async -> String? {
        guard let end = try? await known().endSession else { return nil }
        return Self.adding(
            [("id_token_hint", token), ("client_id", settings.clientID), ("post_logout_redirect_uri", place)], to: end)
    }

    public func logout(_ token: String) async throws(ProviderRefusal) -> ProviderLogout {
        let claims = try await verified { [check] keys, now throws(TokenFlaw) in
            try check.claims(ofLogoutToken: token, keys: keys, at: now)
        }
        let made = TokenCheck.time(claims["iat"]) ?? clock.now
        return ProviderLogout(
            issuer: settings.issuer, subject: claims["sub"]?.string, session: claims["sid"]?.string,
            id: claims["jti"]?.string ?? "", expiresAt: made + TokenCheck.logoutLifetime + settings.skew)
    }

    // MARK: - What the provider publishes

    private func known() async throws(ProviderRefusal) -> ProviderDiscovery {
        if let discovery, ContinuousClock.now - discovery.at < Self.kept { return discovery.value }
        do throws(ProviderRefusal) {
            let answer = try await fetch(ProviderDiscovery.address(of: settings.issuer))
            let value = try discovered(answer)
            discovery = (value, .now)
            return value
        } catch {
            // What was true an hour ago most likely still is.
            if let discovery { return discovery.value }
            throw error
        }
    }

    private func discovered(_ answer: Answer) throws(ProviderRefusal) -> ProviderDiscovery {
        guard answer.status == 200, let json = answer.json else {
            throw ProviderRefusal(
                "unreachable", "\(name) does not publish how to sign in (it answered \(answer.status)).", isOutage: true
            )
        }
        do throws(ProviderDiscovery.Unfit) {
            return try ProviderDiscovery(json, issuer: settings.issuer)
        } catch {
            throw ProviderRefusal("unfit", "\(name) can’t be used: \(error.reason).", isOutage: true)
        }
    }

    /// Runs a check with the keys as they are known, and once more with new ones if a key was missing.
    private func verified(
        _ body: (ProviderKeys, Instant) throws(TokenFlaw) -> JSON
    ) async throws(ProviderRefusal) -> JSON {
        let first = try await currentKeys()
        do throws(TokenFlaw) {
            return try body(first, clock.now)
        } catch {
            guard error == .key, let newer = try await newerKeys() else { throw error.refusal(of: name) }
            do throws(TokenFlaw) { return try body(newer, clock.now) } catch { throw error.refusal(of: name) }
        }
    }

    private func currentKeys() async throws(ProviderRefusal) -> ProviderKeys {
        if let keys, ContinuousClock.now - keys.at < Self.kept { return keys.value }
        do throws(ProviderRefusal) { return try await askForKeys() } catch {
            if let keys { return keys.value }
            throw error
        }
    }

    /// Keys asked for anew; `nil` when they were only just.
    private func newerKeys() async throws(ProviderRefusal) -> ProviderKeys? {
        if asking == nil {
            if let last = keysAskedAt, ContinuousClock.now - last < Self.keysAgain { return nil }
            keysAskedAt = .now
        }
        return try await askForKeys()
    }

    private func askForKeys() async throws(ProviderRefusal) -> ProviderKeys {
        let task =
            asking
            ?? Task { () -> Result<ProviderKeys, ProviderRefusal> in
                do throws(ProviderRefusal) { return .success(try await self.fetchKeys()) } catch {
                    return .failure(error)
                }
            }
        asking = task
        let result = await task.value
        asking = nil
        return try result.get()
    }

    private func fetchKeys() async throws(ProviderRefusal) -> ProviderKeys {
        let answer = try await fetch(try await known().keys)
        guard answer.status == 200, let found = answer.json.flatMap(ProviderKeys.init) else {
            throw ProviderRefusal("unreachable", "\(name) does not publish its keys right now.", isOutage: true)
        }
        keys = (found, .now)
        return found
    }

    // MARK: - Looking, for the doctor

    /// What stands in the way of signing in by this provider, and what is good to know.
    public func examination() async -> (problems: [String], notes: [String]) {
        var problems: [String] = []
        var notes: [String] = []
        do throws(ProviderRefusal) {
            let asked = clock.now
            let answer = try await fetch(ProviderDiscovery.address(of: settings.issuer))
            let found = try discovered(answer)
            discovery = (found, .now)
            if let there = answer.date {
                let apart = abs((there - asked).microseconds) / 1_000_000
                if apart > max(settings.skew.seconds, 5) {
                    problems.append("The clocks of \(name) and of this machine are \(apart) s apart. Set both by NTP.")
                }
            }
            let keys = try await fetchKeys()
            if keys.count == 0 { problems.append("\(name) publishes no key that can be used here.") }
            if let claim = settings.rolesClaim, let published = found.claims, !published.contains(claim) {
                notes.append(
                    "\(name) does not list the claim \(claim) among those it publishes. Look at a token whether it is there."
                )
            }
            notes.append(
                "\(name) answers; \(keys.count) \(keys.count == 1 ? "key" : "keys"). "
                    + (found.endSession == nil
                        ? "It has no address to sign out at. " : "Signing out there is offered. ")
                    + (found.endsSessions
                        ? "It says when its sessions end." : "It does not say when its sessions end."))
        } catch {
            problems.append(error.sentence)
        }
        return (problems, notes)
    }

    // MARK: - HTTP

    private struct Answer: Sendable {
        let status: Int
        let json: JSON?
        let date: Instant?
    }

    private static let mostBytes = 512 * 1024

    private func fetch(
        _ address: String, form: [(String, String)]? = nil, headers: [(String, String)] = []
    ) async throws(ProviderRefusal) -> Answer {
        let client: HTTPClient
        do throws(ProviderClient.Unfit) {
            client = try ProviderClient.trusting(settings.authorities)
        } catch {
            throw ProviderRefusal("authorities", "\(name) can’t be asked: \(error.reason).", isOutage: true)
        }
        do {
            var request = HTTPClientRequest(url: address)
            request.headers.add(name: "accept", value: "application/json")
            request.headers.add(name: "user-agent", value: "Postern")
            for (name, value) in headers { request.headers.add(name: name, value: value) }
            if let form {
                request.method = .POST
                request.body = .bytes(Array(Self.query(form).utf8))
            }
            let response = try await client.execute(
                request, timeout: .microseconds(settings.timeout.microseconds))
            let body = try await response.body.collect(upTo: Self.mostBytes)
            return Answer(
                status: Int(response.status.code), json: try? JSON(parsing: Array(buffer: body)),
                date: response.headers.first(name: "date").flatMap(RetryAfter.date))
        } catch {
            throw ProviderRefusal(
                "unreachable", "\(name) can’t be reached right now (\(Self.note(error))).", isOutage: true)
        }
    }

    private static func note(_ error: any Error) -> String {
        let text = "\(error)"
        let known = [
            ("Connection refused", "the connection was refused"), ("Timeout", "no answer in time"),
            ("deadlineExceeded", "no answer in time"), ("remoteConnectionClosed", "it closed without an answer"),
            ("reset by peer", "it closed without an answer"), ("CERTIFICATE", "its certificate is not trusted"),
            ("handshake", "no TLS connection"), ("getaddrinfo", "its name is not known"),
            ("NIOTooManyBytes", "it answers too much"),
        ]
        return known.first { text.contains($0.0) }?.1 ?? "no connection"
    }

    // MARK: - Addresses

    private static func adding(_ fields: [(String, String)], to address: String) -> String {
        address + (address.contains("?") ? (address.hasSuffix("?") || address.hasSuffix("&") ? "" : "&") : "?")
            + query(fields)
    }

    private static func query(_ fields: [(String, String)]) -> String {
        fields.map { "\(encode($0.0))=\(encode($0.1))" }.joined(separator: "&")
    }

    /// Everything but RFC 3986's unreserved characters.
    private static func encode(_ text: String) -> String {
        text.addingPercentEncoding(
            withAllowedCharacters: CharacterSet(
                charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")) ?? ""
    }
}
