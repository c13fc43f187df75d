import Crypto
import Foundation
import Kernel

/// An authenticator in software. What it answers is made of its properties, so that a test can make any of them wrong.
public struct SoftPasskey: Sendable {
    public enum Key: Sendable {
        case es256(P256.Signing.PrivateKey)
        case eddsa(Curve25519.Signing.PrivateKey)
    }

    public var key: Key
    public var credential = SecureRandom.bytes(32)
    public var site = "localhost"
    public var origin = "http://localhost:8080"
    /// Somebody was there, and proved to be its owner.
    public var flags: UInt8 = 0x05
    public var counter: UInt32 = 0
    public var handle: [UInt8]?
    public var isCrossOrigin = false
    /// In the place of the ceremony's own.
    public var type: String?
    public var algorithm: UInt8?
    public var format = "none"

    public init(_ key: Key = .es256(P256.Signing.PrivateKey())) { self.key = key }

    public static var eddsa: SoftPasskey { SoftPasskey(.eddsa(Curve25519.Signing.PrivateKey())) }

    /// The COSE key.
    public var cose: [UInt8] {
        switch key {
        case .es256(let key):
            let point = [UInt8](key.publicKey.rawRepresentation)
            return [0xA5, 0x01, 0x02, 0x03, algorithm ?? 0x26, 0x20, 0x01, 0x21, 0x58, 0x20] + point[..<32]
                + [0x22, 0x58, 0x20] + point[32...]
        case .eddsa(let key):
            return [0xA4, 0x01, 0x01, 0x03, algorithm ?? 0x27, 0x20, 0x06, 0x21, 0x58, 0x20]
                + [UInt8](key.publicKey.rawRepresentation)
        }
    }

    public func sign(_ bytes: [UInt8]) throws -> [UInt8] {
        switch key {
        case .es256(let key): [UInt8](try key.signature(for: bytes).derRepresentation)
        case .eddsa(let key): [UInt8](try key.signature(for: bytes))
        }
    }

    private func client(_ type: String, _ challenge: [UInt8]) -> [UInt8] {
        JSON.object([
            "type": .string(self.type ?? type), "challenge": .string(Base64.encodeURL(challenge)),
            "origin": .string(origin), "crossOrigin": .bool(isCrossOrigin),
        ]).canonical
    }

    private func data(attested: Bool) -> [UInt8] {
        let head =
            sha256(Array(site.utf8)) + [flags | (attested ? 0x40 : 0)]
            + withUnsafeBytes(of: counter.bigEndian) { Array($0) }
        guard attested else { return head }
        return head + [UInt8](repeating: 0, count: 16)
            + [UInt8(credential.count >> 8), UInt8(credential.count & 255)] + credential + cose
    }

    private static func text(_ text: String) -> [UInt8] { [0x60 | UInt8(text.utf8.count)] + Array(text.utf8) }
    private static func bytes(_ bytes: [UInt8]) -> [UInt8] {
        [0x59, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
    }

    /// What the browser sends for a new passkey; `packed` is attested by its own key.
    public func make(challenge: [UInt8]) throws -> JSON {
        let client = client("webauthn.create", challenge)
        let data = data(attested: true)
        var statement: [UInt8] = [0xA0]
        if format != "none" {
            statement =
                [0xA2] + Self.text("alg") + [0x26] + Self.text("sig") + Self.bytes(try sign(data + sha256(client)))
        }
        let attestation =
            [0xA3] + Self.text("fmt") + Self.text(format) + Self.text("attStmt") + statement
            + Self.text("authData") + Self.bytes(data)
        return [
            "id": .string(Base64.encodeURL(credential)), "client_data": .string(Base64.encodeURL(client)),
            "attestation": .string(Base64.encodeURL(attestation)), "transports": ["internal"],
        ]
    }

    /// What the browser sends when it was used.
    public func use(challenge: [UInt8]) throws -> JSON {
        let client = client("webauthn.get", challenge)
        let data = data(attested: false)
        return .members([
            ("id", .string(Base64.encodeURL(credential))), ("client_data", .string(Base64.encodeURL(client))),
            ("authenticator_data", .string(Base64.encodeURL(data))),
            ("signature", .string(Base64.encodeURL(try sign(data + sha256(client))))),
            ("user_handle", handle.map { .string(Base64.encodeURL($0)) }),
        ])
    }

    /// Answers a question of the server's.
    public func make(_ options: JSON) throws -> JSON { try make(challenge: Self.challenge(options)) }
    public func use(_ options: JSON) throws -> JSON { try use(challenge: Self.challenge(options)) }

    private static func challenge(_ options: JSON) -> [UInt8] {
        options["challenge"]?.string.flatMap(Base64.decodeURL) ?? []
    }
}
