/// Why what an authenticator answered is not taken. Each has words of its own, for the person and for whoever looks into it.
public enum PasskeyRefusal: Error, Sendable, Hashable {
    /// Not in the form WebAuthn has; the text says what, as the end of a sentence.
    case malformed(String)
    /// Of another ceremony than the one that was asked for.
    case type(String)
    /// Signed a challenge that is not of this server, or of another session.
    case challengeForeign
    case challengeExpired
    case challengeUsed
    /// A challenge that was given out for something else.
    case challengePurpose
    /// What it signed is not what it is sent with.
    case otherAction
    case origin(String)
    /// Made in a frame of another site.
    case crossOrigin
    /// For another relying party.
    case site
    case notPresent
    case notVerified
    case algorithm(Int64)
    /// An attestation statement of a kind that is not read.
    case attestationFormat(String)
    case attestation
    case signature
    /// No passkey of anybody here.
    case unknown
    /// A passkey of somebody else.
    case otherPerson
    /// The counter did not rise: there may be a copy of the authenticator.
    case counter(stored: Int64, shown: Int64)
    case alreadyRegistered

    /// In a sentence or two, with what to do.
    public var sentence: String {
        switch self {
        case .malformed(let what): "The passkey’s answer can’t be used: \(what). Try again, or use another passkey."
        case .type(let type):
            "The passkey answered something else than it was asked (\(type.prefix(40))). Load the page again and repeat it."
        case .challengeForeign:
            "The passkey answered a question that was not asked in this session. Load the page again and repeat it."
        case .challengeExpired: "That took longer than 5 minutes. Use the passkey again."
        case .challengeUsed: "This answer was used already. Use the passkey again."
        case .challengePurpose: "The passkey was asked for something else. Load the page again and repeat it."
        case .otherAction:
            "What the passkey signed is not what would be done now. Look at it again, then sign again."
        case .origin(let origin):
            "The passkey was used at \(origin.prefix(100)), which is not this console. If you did not expect that, tell your security team."
        case .crossOrigin: "The passkey was used inside another site’s page. Open the console by itself and repeat it."
        case .site: "This passkey belongs to another site. Use the one you made here."
        case .notPresent: "The passkey says that nobody touched it. Use it again and confirm on the device."
        case .notVerified:
            "The passkey did not check who you are. Use one that asks for a PIN, a fingerprint or your face."
        case .algorithm(let code):
            "The passkey signs with an algorithm that is not taken here (COSE \(code)); taken are ES256, EdDSA and RS256."
        case .attestationFormat(let format):
            "The passkey came with a statement of its maker (\(format.prefix(40))) that is not read here. Use another passkey."
        case .attestation: "The statement of the passkey’s maker does not hold, so the passkey is not taken."
        case .signature: "The passkey’s signature is wrong."
        case .unknown:
            "This passkey is not known here, or was removed. Sign in with your password and remove it from the device."
        case .otherPerson: "This passkey belongs to another account."
        case .counter:
            "The passkey’s counter went back, as that of a copied device would. It was not accepted; use another factor, and tell your security team."
        case .alreadyRegistered: "This passkey is registered already."
        }
    }

    /// One word for events and tests.
    public var word: String {
        switch self {
        case .malformed: "malformed"
        case .type: "type"
        case .challengeForeign: "challenge_foreign"
        case .challengeExpired: "challenge_expired"
        case .challengeUsed: "challenge_used"
        case .challengePurpose: "challenge_purpose"
        case .otherAction: "other_action"
        case .origin: "origin"
        case .crossOrigin: "cross_origin"
        case .site: "site"
        case .notPresent: "not_present"
        case .notVerified: "not_verified"
        case .algorithm: "algorithm"
        case .attestationFormat: "attestation_format"
        case .attestation: "attestation"
        case .signature: "signature"
        case .unknown: "unknown"
        case .otherPerson: "other_person"
        case .counter: "counter"
        case .alreadyRegistered: "already_registered"
        }
    }
}
