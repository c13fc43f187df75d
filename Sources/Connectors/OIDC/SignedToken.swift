import Kernel

/// A JSON Web Token in its compact form (RFC 7515), taken apart and not believed yet.
struct SignedToken {
    enum Algorithm: String, Sendable, CaseIterable {
        case rs256 = "RS256"
        case es256 = "ES256"
        case edDSA = "EdDSA"
    }

    let algorithm: Algorithm
    /// Which key signed it, in the provider's words.
    let keyID: String?
    /// `JWT`, `logout+jwt`; in lower case.
    let type: String?
    let claims: JSON
    /// The bytes under the signature.
    let signed: [UInt8]
    let signature: [UInt8]

    /// Far more than providers send.
    static let mostBytes = 64 * 1024

    init(parsing text: String) throws(TokenFlaw) {
        guard text.utf8.count <= Self.mostBytes else { throw .malformed("because it is too long") }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 else { throw .malformed("because it has not three parts") }
        guard let header = Self.object(parts[0]) else { throw .malformed("because of its head") }
        // Before anything else of it is looked at: a token without a signature is none.
        guard let name = header["alg"]?.string else { throw .algorithm("") }
        guard let algorithm = Algorithm(rawValue: name) else { throw .algorithm(name) }
        guard header["crit"] == nil else { throw .extensions }
        guard let claims = Self.object(parts[1]) else { throw .malformed("because of what it says") }
        guard let signature = Base64.decodeURL(parts[2]), !signature.isEmpty else {
            throw .malformed("because of its signature")
        }
        self.algorithm = algorithm
        keyID = header["kid"]?.string
        type = header["typ"]?.string?.lowercased()
        self.claims = claims
        signed = Array("\(parts[0]).\(parts[1])".utf8)
        self.signature = signature
    }

    private static func object(_ part: String) -> JSON? {
        guard let bytes = Base64.decodeURL(part), let json = try? JSON(parsing: bytes), json.object != nil else {
            return nil
        }
        return json
    }
}
