/// What a browser answers to `navigator.credentials.create`.
public struct PasskeyRegistration: Sendable, Hashable {
    public let credential: [UInt8]
    public let clientData: [UInt8]
    public let attestation: [UInt8]
    /// How the authenticator can be reached, in the browser's words.
    public let transports: [String]

    public init(credential: [UInt8], clientData: [UInt8], attestation: [UInt8], transports: [String]) {
        self.credential = credential
        self.clientData = clientData
        self.attestation = attestation
        self.transports = transports
    }

    /// Reads `{"id","client_data","attestation","transports"}`, bytes as base 64 of the URL alphabet.
    public init(_ json: JSON) throws(PasskeyRefusal) {
        credential = try json.passkeyBytes("id", atMost: 1023)
        clientData = try json.passkeyBytes("client_data", atMost: 4096)
        attestation = try json.passkeyBytes("attestation", atMost: 32_768)
        transports = (json["transports"]?.array ?? []).compactMap(\.string).filter {
            ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"].contains($0)
        }
    }
}

/// What a browser answers to `navigator.credentials.get`.
public struct PasskeyAssertion: Sendable, Hashable {
    public let credential: [UInt8]
    public let clientData: [UInt8]
    public let authenticatorData: [UInt8]
    public let signature: [UInt8]
    /// Whose passkey it is, as the authenticator remembers.
    public let userHandle: [UInt8]?

    public init(
        credential: [UInt8], clientData: [UInt8], authenticatorData: [UInt8], signature: [UInt8], userHandle: [UInt8]?
    ) {
        self.credential = credential
        self.clientData = clientData
        self.authenticatorData = authenticatorData
        self.signature = signature
        self.userHandle = userHandle
    }

    /// Reads `{"id","client_data","authenticator_data","signature","user_handle"}`.
    public init(_ json: JSON) throws(PasskeyRefusal) {
        credential = try json.passkeyBytes("id", atMost: 1023)
        clientData = try json.passkeyBytes("client_data", atMost: 4096)
        authenticatorData = try json.passkeyBytes("authenticator_data", atMost: 4096)
        signature = try json.passkeyBytes("signature", atMost: 1024)
        userHandle = json["user_handle"]?.string == nil ? nil : try json.passkeyBytes("user_handle", atMost: 64)
    }
}

extension JSON {
    fileprivate func passkeyBytes(_ name: String, atMost most: Int) throws(PasskeyRefusal) -> [UInt8] {
        guard let text = self[name]?.string, let bytes = Base64.decodeURL(text), !bytes.isEmpty else {
            throw .malformed("\(name) is missing or is no base64url")
        }
        guard bytes.count <= most else { throw .malformed("\(name) has more than \(most) bytes") }
        return bytes
    }
}

/// What the browser put around the challenge: `clientDataJSON`.
public struct PasskeyClientData: Sendable, Hashable {
    public let type: String
    public let challenge: [UInt8]
    public let origin: String
    public let isCrossOrigin: Bool

    public init(_ bytes: [UInt8]) throws(PasskeyRefusal) {
        guard let json = try? JSON(parsing: bytes), let type = json["type"]?.string,
            let challenge = json["challenge"]?.string.flatMap(Base64.decodeURL), let origin = json["origin"]?.string
        else { throw .malformed("its client data can’t be read") }
        self.type = type
        self.challenge = challenge
        self.origin = origin
        isCrossOrigin = json["crossOrigin"]?.bool ?? false
    }

    /// Whether it is of this ceremony and was made at the console itself.
    public func check(type: String, at site: PasskeySite) throws(PasskeyRefusal) {
        guard self.type == type else { throw .type(self.type) }
        guard origin == site.origin else { throw .origin(origin) }
        guard !isCrossOrigin else { throw .crossOrigin }
    }
}

/// What an authenticator signs beside the client data's hash.
public struct PasskeyAuthenticatorData: Sendable, Hashable {
    public struct Attested: Sendable, Hashable {
        /// The kind of authenticator, when it says so.
        public let model: [UInt8]
        public let credential: [UInt8]
        public let key: PasskeyKey
    }

    public let siteHash: [UInt8]
    public let flags: UInt8
    public let counter: Int64
    public let attested: Attested?

    public var isPresent: Bool { flags & 1 != 0 }
    public var isVerified: Bool { flags & 4 != 0 }
    /// Kept by a service of the maker, so that it outlives the device.
    public var isBackedUp: Bool { flags & 16 != 0 }

    public init(_ bytes: [UInt8]) throws(PasskeyRefusal) {
        guard bytes.count >= 37 else { throw .malformed("its authenticator data is too short") }
        siteHash = Array(bytes[0..<32])
        flags = bytes[32]
        counter = bytes[33..<37].reduce(0) { $0 << 8 | Int64($1) }
        var rest = Array(bytes[37...])
        if flags & 64 != 0 {
            guard rest.count >= 18 else { throw .malformed("its authenticator data is cut off") }
            let size = Int(rest[16]) << 8 | Int(rest[17])
            guard size > 0, size <= 1023, rest.count > 18 + size else {
                throw .malformed("its authenticator data is cut off")
            }
            let model = Array(rest[0..<16])
            let credential = Array(rest[18..<18 + size])
            rest = Array(rest[(18 + size)...])
            let key = try Self.item(&rest)
            attested = Attested(model: model, credential: credential, key: try PasskeyKey(cose: key))
        } else {
            attested = nil
        }
        if flags & 128 != 0 { _ = try Self.item(&rest) }
        guard rest.isEmpty else { throw .malformed("its authenticator data has something behind it") }
    }

    /// Takes one CBOR value from the front.
    private static func item(_ bytes: inout [UInt8]) throws(PasskeyRefusal) -> [UInt8] {
        var reader = CBORReader(bytes)
        do {
            _ = try reader.value()
        } catch {
            throw .malformed("its authenticator data can’t be read")
        }
        let item = reader.slice(from: 0)
        bytes = Array(bytes[reader.position...])
        return item
    }

    /// Whether it is for this site, and a person was there and proved to be its owner.
    public func check(at site: PasskeySite) throws(PasskeyRefusal) {
        guard siteHash == sha256(Array(site.id.utf8)) else { throw .site }
        guard isPresent else { throw .notPresent }
        guard isVerified else { throw .notVerified }
    }
}
