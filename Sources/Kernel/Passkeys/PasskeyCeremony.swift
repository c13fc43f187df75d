/// Signatures of authenticators. Implemented with libfido2 in `Credentials`.
public protocol PasskeyCryptography: Sendable {
    /// Whether the key signed `authenticatorData ‖ SHA-256(clientData)`.
    func isSigned(_ assertion: PasskeyAssertion, by key: PasskeyKey, at site: PasskeySite) -> Bool
    /// Whether a `packed` or `fido-u2f` statement of the maker holds for this credential.
    /// - Parameter statement: the CBOR of `attStmt`.
    func isAttested(
        format: String, statement: [UInt8], authenticatorData: [UInt8], clientData: [UInt8],
        algorithm: PasskeyKey.Algorithm, at site: PasskeySite
    ) -> Bool
}

/// A passkey as it is kept with its person's factors. Nothing in it is a secret.
public struct PasskeyCredential: Sendable, Hashable {
    public let id: [UInt8]
    public let key: PasskeyKey
    /// The kind of authenticator; 16 zeros when it does not say.
    public let model: [UInt8]
    public let transports: [String]
    public let isBackedUp: Bool
    /// `none`, `packed` or `fido-u2f`: what the maker said of it, verified.
    public let attestation: String

    public init(
        id: [UInt8], key: PasskeyKey, model: [UInt8], transports: [String], isBackedUp: Bool, attestation: String
    ) {
        self.id = id
        self.key = key
        self.model = model
        self.transports = transports
        self.isBackedUp = isBackedUp
        self.attestation = attestation
    }

    /// All but the id, which has a column of its own.
    public var json: JSON {
        [
            "algorithm": .string(key.algorithm.name), "public_key": .string(Base64.encodeURL(key.cose)),
            "model": .string(Base64.encodeURL(model)), "transports": .array(transports.map(JSON.string)),
            "backed_up": .bool(isBackedUp), "attestation": .string(attestation),
        ]
    }

    public init(id: [UInt8], _ json: JSON) throws(PasskeyRefusal) {
        guard let cose = json["public_key"]?.string.flatMap(Base64.decodeURL) else {
            throw .malformed("its public key can't be read")
        }
        let model = json["model"]?.string.flatMap(Base64.decodeURL) ?? []
        self.init(
            id: id, key: try PasskeyKey(cose: cose), model: model,
            transports: (json["transports"]?.array ?? []).compactMap(\.string),
            isBackedUp: json["backed_up"]?.bool ?? false, attestation: json["attestation"]?.string ?? "none")
    }
}

/// What is checked of an authenticator's answer, in the order of WebAuthn level 3 §7. The challenge is whoever asked's to
/// check: it is looked at first.
public enum PasskeyCeremony {
    /// Checks a new passkey.
    /// - Returns: what is to be kept, and the counter it starts from.
    public static func register(
        _ answer: PasskeyRegistration, at site: PasskeySite, with cryptography: any PasskeyCryptography
    ) throws(PasskeyRefusal) -> (credential: PasskeyCredential, counter: Int64) {
        try PasskeyClientData(answer.clientData).check(type: "webauthn.create", at: site)
        let (format, statement, bytes) = try attestation(answer.attestation)
        let data = try PasskeyAuthenticatorData(bytes)
        try data.check(at: site)
        guard let attested = data.attested else { throw .malformed("it names no credential") }
        guard attested.credential == answer.credential else { throw .malformed("it names two different credentials") }
        switch format {
        case "none":
            // An empty map; anything else would be a statement nobody asked for under a false name.
            guard statement == [0xA0] else { throw .attestation }
        case "packed", "fido-u2f":
            guard
                cryptography.isAttested(
                    format: format, statement: statement, authenticatorData: bytes, clientData: answer.clientData,
                    algorithm: attested.key.algorithm, at: site)
            else { throw .attestation }
        default: throw .attestationFormat(format)
        }
        return (
            PasskeyCredential(
                id: answer.credential, key: attested.key, model: attested.model, transports: answer.transports,
                isBackedUp: data.isBackedUp, attestation: format), data.counter
        )
    }

    /// Checks that a known passkey was used here, now, by its owner.
    /// - Returns: the counter it shows.
    public static func use(
        _ answer: PasskeyAssertion, of credential: PasskeyCredential, at site: PasskeySite,
        with cryptography: any PasskeyCryptography
    ) throws(PasskeyRefusal) -> Int64 {
        guard answer.credential == credential.id else { throw .unknown }
        try PasskeyClientData(answer.clientData).check(type: "webauthn.get", at: site)
        let data = try PasskeyAuthenticatorData(answer.authenticatorData)
        try data.check(at: site)
        guard cryptography.isSigned(answer, by: credential.key, at: site) else { throw .signature }
        return data.counter
    }

    /// Whether a counter may follow another: it rises, unless the authenticator keeps none and both are 0
    /// (WebAuthn level 3 §6.1.1).
    public static func check(counter shown: Int64, after stored: Int64) throws(PasskeyRefusal) {
        guard shown > stored || (shown == 0 && stored == 0) else { throw .counter(stored: stored, shown: shown) }
    }

    private static func attestation(
        _ bytes: [UInt8]
    ) throws(PasskeyRefusal) -> (format: String, statement: [UInt8], data: [UInt8]) {
        var reader = CBORReader(bytes)
        var format: String?
        var statement: [UInt8]?
        var data: [UInt8]?
        do {
            for _ in 0..<(try reader.map()) {
                guard case .text(let name) = try reader.value() else { throw CBORReader.Malformed() }
                let start = reader.position
                let value = try reader.value()
                switch (name, value) {
                case ("fmt", .text(let text)): format = text
                case ("attStmt", _): statement = reader.slice(from: start)
                case ("authData", .bytes(let bytes)): data = bytes
                default: break
                }
            }
        } catch {
            throw .malformed("its attestation object can’t be read")
        }
        guard reader.isAtEnd, let format, let statement, let data else {
            throw .malformed("its attestation object is not complete")
        }
        return (format, statement, data)
    }
}
