import Kernel

/// What a token must say to be believed. Pure: keys and the time come from whoever asks.
struct TokenCheck: Sendable {
    let issuer: String
    let clientID: String
    /// How far apart the clocks of both servers may be.
    let skew: Span

    /// How old a sign-in at the provider may be. It is asked for with every question, so that the token must say when it was.
    static let longestSession = Span.hours(8)
    /// How long after it was made a logout token counts.
    static let logoutLifetime = Span.minutes(5)
    static let logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

    /// The claims of an ID token (OpenID Connect Core 1.0 §3.1.3.7).
    func claims(
        ofIDToken text: String, nonce: String, keys: ProviderKeys, at now: Instant
    ) throws(TokenFlaw) -> JSON {
        let token = try SignedToken(parsing: text)
        guard ["jwt", nil].contains(token.type) else { throw .kind }
        try keys.check(token)
        let claims = token.claims
        // A logout token is no proof of who somebody is.
        guard claims["events"] == nil else { throw .kind }
        try checkOrigin(claims)
        try checkTime(claims, at: now)
        guard Self.time(claims["exp"]) != nil else { throw .malformed("because it has no end") }
        guard let said = claims["nonce"]?.string, constantTimeEqual(Array(said.utf8), Array(nonce.utf8)) else {
            throw .nonce
        }
        guard let subject = claims["sub"]?.string, !subject.isEmpty, subject.utf8.count <= 255 else { throw .subject }
        if let proved = claims["auth_time"] {
            guard let proved = Self.time(proved) else { throw .malformed("because of a time") }
            guard now - proved <= Self.longestSession + skew else { throw .tooOld }
        }
        return claims
    }

    /// The claims of a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6).
    func claims(ofLogoutToken text: String, keys: ProviderKeys, at now: Instant) throws(TokenFlaw) -> JSON {
        let token = try SignedToken(parsing: text)
        guard ["logout+jwt", "jwt", nil].contains(token.type) else { throw .kind }
        try keys.check(token)
        let claims = token.claims
        guard claims["nonce"] == nil, claims["events"]?[Self.logoutEvent]?.object != nil else { throw .kind }
        try checkOrigin(claims)
        try checkTime(claims, at: now)
        guard let made = Self.time(claims["iat"]), now - made <= Self.logoutLifetime + skew else { throw .expired }
        guard claims["jti"]?.string?.isEmpty == false else { throw .malformed("because it has no id") }
        guard claims["sub"]?.string?.isEmpty == false || claims["sid"]?.string?.isEmpty == false else {
            throw .subject
        }
        return claims
    }

    private func checkOrigin(_ claims: JSON) throws(TokenFlaw) {
        guard claims["iss"]?.string == issuer else { throw .issuer }
        let audience: [String] =
            switch claims["aud"] {
            case .string(let one): [one]
            case .array(let several): several.compactMap(\.string)
            default: []
            }
        guard audience.contains(clientID) else { throw .audience }
        switch claims["azp"] {
        case nil: guard audience.count == 1 else { throw .authorizedParty }
        case .some(let party): guard party.string == clientID else { throw .authorizedParty }
        }
    }

    private func checkTime(_ claims: JSON, at now: Instant) throws(TokenFlaw) {
        func time(_ name: String) throws(TokenFlaw) -> Instant? {
            guard let value = claims[name] else { return nil }
            guard let time = Self.time(value) else { throw .malformed("because of a time") }
            return time
        }
        if let end = try time("exp"), now >= end + skew { throw .expired }
        if let start = try time("nbf"), now < start - skew { throw .notYet }
        guard let made = try time("iat") else { throw .malformed("because it does not say when it was made") }
        guard made <= now + skew else { throw .issuedLater }
    }

    /// A NumericDate (RFC 7519 §2), parts of a second left out.
    static func time(_ value: JSON?) -> Instant? {
        let seconds: Int64? =
            switch value {
            case .int(let number): number
            case .decimal(let text):
                text.wholeMatch(of: /([0-9]{1,12})\.[0-9]+/).flatMap { Int64($0.1) }
            default: nil
            }
        guard let seconds, (0...253_402_300_799).contains(seconds) else { return nil }
        return Instant(microseconds: seconds * 1_000_000)
    }
}
