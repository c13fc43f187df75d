import Crypto
import CryptoExtras
import Foundation
import Kernel

/// The public keys of a provider (RFC 7517).
struct ProviderKeys: Sendable {
    private enum Material: Sendable {
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)

        var algorithm: SignedToken.Algorithm {
            switch self {
            case .rsa: .rs256
            case .p256: .es256
            case .ed25519: .edDSA
            }
        }
    }

    private struct Key: Sendable {
        let id: String?
        let material: Material
    }

    private let keys: [Key]
    /// More than any provider publishes.
    private static let most = 100

    /// Those of the set that can check a signature here; others are passed over. `nil` when it is no key set.
    init?(_ json: JSON) {
        guard let list = json["keys"]?.array else { return nil }
        keys = list.prefix(Self.most).compactMap { json in
            guard ["sig", nil].contains(json["use"]?.string), let material = Self.material(json),
                [material.algorithm.rawValue, nil].contains(json["alg"]?.string)
            else { return nil }
            return Key(id: json["kid"]?.string, material: material)
        }
    }

    var count: Int { keys.count }

    private static func material(_ json: JSON) -> Material? {
        func bytes(_ name: String) -> [UInt8]? { json[name]?.string.flatMap(Base64.decodeURL) }
        switch (json["kty"]?.string, json["crv"]?.string) {
        case ("RSA", _):
            // At least 2048 bits, which the library demands.
            guard let n = bytes("n"), let e = bytes("e"), n.count <= 1024, e.count <= 8,
                let key = try? _RSA.Signing.PublicKey(n: n, e: e)
            else { return nil }
            return .rsa(key)
        case ("EC", "P-256"):
            guard let x = bytes("x"), let y = bytes("y"), x.count == 32, y.count == 32,
                let key = try? P256.Signing.PublicKey(x963Representation: [4] + x + y)
            else { return nil }
            return .p256(key)
        case ("OKP", "Ed25519"):
            guard let x = bytes("x"), let key = try? Curve25519.Signing.PublicKey(rawRepresentation: x) else {
                return nil
            }
            return .ed25519(key)
        default: return nil
        }
    }

    /// Checks who signed a token. The key decides what the algorithm must be, never the token alone.
    func check(_ token: SignedToken) throws(TokenFlaw) {
        let named = keys.filter { token.keyID == nil || $0.id == token.keyID }
        guard !named.isEmpty else { throw .key }
        let fitting = named.filter { $0.material.algorithm == token.algorithm }
        guard !fitting.isEmpty else { throw .algorithm(token.algorithm.rawValue) }
        guard fitting.contains(where: { Self.isSigned(token, by: $0.material) }) else {
            // Without a name it may be of a key that is not known yet.
            throw token.keyID == nil ? .key : .signature
        }
    }

    private static func isSigned(_ token: SignedToken, by material: Material) -> Bool {
        switch material {
        case .rsa(let key):
            return key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: token.signature), for: token.signed,
                padding: .insecurePKCS1v1_5)
        case .p256(let key):
            // Raw r ‖ s (RFC 7518 §3.4), not DER.
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: token.signature) else {
                return false
            }
            return key.isValidSignature(signature, for: token.signed)
        case .ed25519(let key): return key.isValidSignature(token.signature, for: token.signed)
        }
    }
}
