import Crypto
import Foundation

/// Seals secrets at rest with AES-256-GCM. It lives in a file of mode 0600 or is printed by a command (a KMS client),
/// never in the database.
///
/// The text form has one line per key, `postern-master:<id>:<base64 of 32 bytes>`; the first seals, all of them open, so
/// that a new key can be put in front without downtime.
public struct MasterKey: Sendable {
    /// Why a key can't be used: a sentence for the person who starts the server.
    public struct Invalid: Error, Sendable, CustomStringConvertible {
        public let description: String
        init(_ description: String) { self.description = description }
    }

    private let keys: [(id: String, key: SymmetricKey)]

    /// The id of the key that seals: the first 8 hexadecimal digits of its SHA-256; safe to show.
    public var fingerprint: String { keys[0].id }

    public init(parsing text: String) throws(Invalid) {
        var keys: [(id: String, key: SymmetricKey)] = []
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.trimmingCharacters(in: .whitespaces).split(
                separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0] == "postern-master", let bytes = Base64.decode(String(parts[2])),
                bytes.count == 32
            else {
                throw Invalid("The master key must have lines of the form postern-master:<id>:<base64 of 32 bytes>.")
            }
            guard parts[1] == Self.id(of: bytes) else {
                throw Invalid("The master key's id \(parts[1]) does not belong to its bytes; the file may be damaged.")
            }
            keys.append((String(parts[1]), SymmetricKey(data: bytes)))
        }
        guard !keys.isEmpty else { throw Invalid("The master key is empty; make one with `postern migrate`.") }
        self.keys = keys
    }

    /// Text of a new key, to be written to a file of mode 0600.
    public static func generate() -> String {
        let bytes = SecureRandom.bytes(32)
        return "postern-master:\(id(of: bytes)):\(Base64.encode(bytes))\n"
    }

    /// `<key id>.<base64url of nonce ‖ ciphertext ‖ tag>`. `context` is authenticated with it: a sealed value moved to
    /// another row does not open.
    ///
    /// - Parameter nonce: 12 bytes that are never used for another text or context; drawn when `nil`.
    public func seal(_ bytes: [UInt8], context: String, nonce: [UInt8]? = nil) -> String {
        let (id, key) = keys[0]
        guard
            let box = try? AES.GCM.seal(
                bytes, using: key, nonce: nonce.map { try AES.GCM.Nonce(data: $0) } ?? AES.GCM.Nonce(),
                authenticating: Array("\(id).\(context)".utf8)),
            let combined = box.combined
        else { preconditionFailure("AES-GCM seals any plaintext with a 96-bit nonce") }
        return "\(id).\(Base64.encodeURL(combined))"
    }

    /// `nil` when the text was not sealed by one of these keys for this context, or was altered.
    public func open(_ text: String, context: String) -> [UInt8]? {
        guard let dot = text.firstIndex(of: "."),
            let (id, key) = keys.first(where: { $0.id == text[..<dot] }),
            let combined = Base64.decodeURL(String(text[text.index(after: dot)...])),
            let box = try? AES.GCM.SealedBox(combined: combined),
            let plain = try? AES.GCM.open(box, using: key, authenticating: Array("\(id).\(context)".utf8))
        else { return nil }
        return Array(plain)
    }

    private static func id(of bytes: [UInt8]) -> String {
        String(sha256(Array("postern-master:".utf8) + bytes).hex.prefix(8))
    }
}
