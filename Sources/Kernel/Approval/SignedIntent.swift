/// What somebody signed with a passkey before it was done: the canonical action itself, not merely that they were there
/// (spec: access §3, "Signed intent").
///
/// The authenticator signs the challenge `SHA-256(JCS(action) ‖ nonce)`. The action names rows, people and rules by id and
/// holds values only as commitments and digests, so that the signature can be verified for as long as the log is kept, also
/// after the people in it were erased.
public struct SignedIntent: Sendable, Hashable {
    /// The form of the action; raised when its members change.
    public static let form = "postern/1"

    public let person: String
    public let action: JSON
    public let nonce: [UInt8]
    /// What a request that is not carried out yet is made with; `nil` for a decision, and for what is read back.
    public let seed: IntentSeed?
    /// The passkey, as a factor.
    public let factor: String
    public let key: PasskeyKey
    public let assertion: PasskeyAssertion

    public init(
        person: String, action: JSON, nonce: [UInt8], seed: IntentSeed? = nil, factor: String, key: PasskeyKey,
        assertion: PasskeyAssertion
    ) {
        self.seed = seed
        self.person = person
        self.action = action
        self.nonce = nonce
        self.factor = factor
        self.key = key
        self.assertion = assertion
    }

    public static func challenge(_ action: JSON, nonce: [UInt8]) -> [UInt8] { sha256(action.canonical + nonce) }

    /// As it is kept with the event: all that an outsider needs, bytes as base 64.
    public var evidence: JSON {
        [
            "method": .string(FactorKind.webauthn.rawValue), "person": .string(person), "factor": .string(factor),
            "action": action, "nonce": .string(Base64.encode(nonce)), "public_key": .string(Base64.encode(key.cose)),
            "credential": .string(Base64.encode(assertion.credential)),
            "authenticator_data": .string(Base64.encode(assertion.authenticatorData)),
            "client_data": .string(Base64.encode(assertion.clientData)),
            "signature": .string(Base64.encode(assertion.signature)),
        ]
    }

    /// Reads what `evidence` wrote.
    public init(evidence: JSON) throws(PasskeyRefusal) {
        func bytes(_ name: String) throws(PasskeyRefusal) -> [UInt8] {
            guard let bytes = evidence[name]?.string.flatMap(Base64.decode) else {
                throw .malformed("\(name) is missing or is no base 64")
            }
            return bytes
        }
        guard let person = evidence["person"]?.string, let action = evidence["action"],
            let factor = evidence["factor"]?.string
        else { throw .malformed("it lacks person, action or factor") }
        self.init(
            person: person, action: action, nonce: try bytes("nonce"), factor: factor,
            key: try PasskeyKey(cose: try bytes("public_key")),
            assertion: PasskeyAssertion(
                credential: try bytes("credential"), clientData: try bytes("client_data"),
                authenticatorData: try bytes("authenticator_data"), signature: try bytes("signature"), userHandle: nil))
    }

    /// Whether the key signed this action, at the site the action names.
    /// - Parameter origin: the only one it may have been signed at; `nil`: any with the site's name.
    /// - Returns: the origin it was signed at.
    @discardableResult public func check(
        with cryptography: any PasskeyCryptography, origin: String? = nil
    ) throws(PasskeyRefusal) -> String {
        let client = try PasskeyClientData(assertion.clientData)
        guard client.challenge == Self.challenge(action, nonce: nonce) else { throw .otherAction }
        guard let id = action["rp_id"]?.string else { throw .malformed("the action names no site") }
        let site = PasskeySite(id: id, origin: origin ?? client.origin)
        try client.check(type: "webauthn.get", at: site)
        guard let own = try? PasskeySite(url: client.origin), own.id == id || own.id.hasSuffix(".\(id)") else {
            throw .origin(client.origin)
        }
        try PasskeyAuthenticatorData(assertion.authenticatorData).check(at: site)
        guard cryptography.isSigned(assertion, by: key, at: site) else { throw .signature }
        return client.origin
    }
}

/// What the ids and salts of a request are made of when its action is signed before it is sent: the same for the question and
/// for the answer, and known to the server alone, so that commitments stay unguessable when the nonce is published.
public struct IntentSeed: Sendable, Hashable {
    /// When the question was put. The plan that is signed is made with this clock reading.
    public let at: Instant
    private let secret: [UInt8]

    public init(at: Instant, secret: [UInt8]) {
        self.at = at
        self.secret = secret
    }

    private func derived(_ name: String) -> [UInt8] { sha256(secret + Array(name.utf8)) }

    func salt(_ member: String) -> [UInt8] { derived("salt:\(member)") }
    var eventID: String { id("evt") }
    var operationID: String { id("op") }

    private func id(_ prefix: String) -> String {
        Identifier.make(
            prefix, milliseconds: UInt64(at.microseconds / 1000), random: Array(derived("id:\(prefix)").prefix(10)))
    }
}

/// How a decision is signed where passkeys can be used.
struct Signing: Sendable {
    /// The site passkeys are bound to.
    let site: String
    /// Where the console is, which knows how to ask for a passkey.
    let console: String
    /// What was signed; `nil` before it is, and where it is not.
    let signed: SignedIntent?
    /// It is asked what there is to sign: nothing is decided yet.
    var isQuestion = false
}
