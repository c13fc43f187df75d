import Kernel

/// What is wrong with a token of the provider's. One case for each thing that is checked.
enum TokenFlaw: Error, Sendable, Hashable {
    case malformed(String)
    /// One that is not taken: `none`, a keyed digest, anything unknown.
    case algorithm(String)
    /// An extension that must be understood, and is not.
    case extensions
    /// None of the provider's keys has this name.
    case key
    case signature
    /// It says that it is another kind of token.
    case kind
    case issuer
    case audience
    case authorizedParty
    case expired
    case notYet
    case issuedLater
    case tooOld
    case nonce
    case subject

    /// For events.
    var word: String {
        switch self {
        case .malformed: "token_malformed"
        case .algorithm: "token_algorithm"
        case .extensions: "token_extensions"
        case .key: "token_key"
        case .signature: "token_signature"
        case .kind: "token_kind"
        case .issuer: "token_issuer"
        case .audience: "token_audience"
        case .authorizedParty: "token_authorized_party"
        case .expired: "token_expired"
        case .notYet: "token_not_yet"
        case .issuedLater: "token_issued_later"
        case .tooOld: "token_too_old"
        case .nonce: "token_nonce"
        case .subject: "token_subject"
        }
    }

    /// After "The answer of … can't be believed: ".
    private var reason: String {
        switch self {
        case .malformed(let what): "its token can’t be read, \(what)"
        case .algorithm: "its token is not signed as it must be (RS256, ES256 or EdDSA)"
        case .extensions: "its token asks for something that is not known here"
        case .key: "its token was signed with a key it does not publish"
        case .signature: "the signature of its token is wrong"
        case .kind: "it is another kind of token"
        case .issuer: "its token comes from somebody else"
        case .audience: "its token is for another application"
        case .authorizedParty: "its token was given to another application"
        case .expired: "its token is over. Check the clocks of both servers"
        case .notYet: "its token is not valid yet. Check the clocks of both servers"
        case .issuedLater: "its token was made in the future. Check the clocks of both servers"
        case .tooOld: "the sign-in there is older than it may be. Sign in there again"
        case .nonce: "its token belongs to another sign-in"
        case .subject: "its token does not say who it is about"
        }
    }

    func refusal(of provider: String) -> ProviderRefusal {
        ProviderRefusal(word, "The answer of \(provider) can’t be believed: \(reason).")
    }
}
