import Crypto

/// A C2SP signed note: text, a blank line, and one signature a line.
public struct SignedNote: Sendable, Hashable {
    public struct Signature: Sendable, Hashable {
        public let name: String
        public let keyID: UInt32
        public let bytes: [UInt8]
        public init(name: String, keyID: UInt32, bytes: [UInt8]) {
            self.name = name
            self.keyID = keyID
            self.bytes = bytes
        }
    }

    /// The signed text; it ends with a newline.
    public let text: String
    public let signatures: [Signature]

    public init(text: String, signatures: [Signature]) {
        self.text = text
        self.signatures = signatures
    }

    public var encoded: String {
        var out = text + "\n"
        for signature in signatures {
            let id = withUnsafeBytes(of: signature.keyID.bigEndian) { Array($0) }
            out += "\u{2014} \(signature.name) \(Base64.encode(id + signature.bytes))\n"
        }
        return out
    }

    /// Longer notes are refused unread.
    public static let largest = 1_000_000

    public init(parsing note: String) throws(NoteError) {
        let bytes = Array(note.utf8)
        guard bytes.count <= Self.largest else { throw NoteError("The note is longer than \(Self.largest) bytes.") }
        guard bytes.allSatisfy({ $0 >= 0x20 || $0 == 0x0A }), !bytes.contains(0x7F) else {
            throw NoteError("The note holds a control character.")
        }
        guard bytes.last == 0x0A else { throw NoteError("The note does not end with a newline.") }
        // The last blank line ends the text; no signature line is empty.
        guard let split = bytes.indices.dropLast().last(where: { bytes[$0] == 0x0A && bytes[$0 + 1] == 0x0A }) else {
            throw NoteError("The note has no blank line before its signatures.")
        }
        text = String(decoding: bytes[...split], as: UTF8.self)
        let lines = bytes[(split + 2)...].split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
        guard !lines.isEmpty, lines.count <= 100 else {
            throw NoteError("The note has no signature, or more than 100.")
        }
        let dash = Array("\u{2014} ".utf8)
        var found: [Signature] = []
        for line in lines {
            guard line.starts(with: dash) else { throw NoteError("A signature line does not start with a dash.") }
            let parts = line.dropFirst(dash.count).split(separator: 0x20, omittingEmptySubsequences: false)
            guard parts.count == 2, let data = Base64.decode(String(decoding: parts[1], as: UTF8.self)), data.count > 4
            else {
                throw NoteError("A signature line is not a name and a base 64 signature.")
            }
            let name = String(decoding: parts[0], as: UTF8.self)
            guard VerifierKey.isValid(name: name) else { throw NoteError("A signature's key name is not acceptable.") }
            let id = data[0..<4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            found.append(Signature(name: name, keyID: id, bytes: Array(data.dropFirst(4))))
        }
        signatures = found
    }

    /// Checks that `key` signed this note. Signatures by others are ignored, as witnesses add theirs.
    public func verify(by key: VerifierKey) throws(NoteError) {
        guard let signature = signatures.first(where: { $0.name == key.name && $0.keyID == key.id }) else {
            throw NoteError("The note carries no signature by \(key.name)+\(key.hexID).")
        }
        guard key.isSignature(signature.bytes, of: text) else {
            throw NoteError("The signature by \(key.name)+\(key.hexID) is not valid.")
        }
    }
}

/// Why a note, key or checkpoint is not acceptable.
public struct NoteError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// An Ed25519 key that verifies notes: `name+hexid+base64(0x01‖key)`.
public struct VerifierKey: Sendable, Hashable {
    static let ed25519: UInt8 = 1

    public let name: String
    /// 32 bytes.
    public let publicKey: [UInt8]
    /// First 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key).
    public let id: UInt32

    public init(name: String, publicKey: [UInt8]) throws(NoteError) {
        guard Self.isValid(name: name) else {
            throw NoteError("A key name must not be empty, hold spaces, plus signs or control characters.")
        }
        guard publicKey.count == 32 else { throw NoteError("An Ed25519 public key has 32 bytes.") }
        self.name = name
        self.publicKey = publicKey
        let digest = sha256(Array(name.utf8) + [0x0A, Self.ed25519] + publicKey)
        id = digest[0..<4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }

    public init(_ text: String) throws(NoteError) {
        // Only the last part may hold a plus sign (base 64).
        let parts = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let data = Base64.decode(String(parts[2])), data.first == Self.ed25519 else {
            throw NoteError("The key is not of the form name+hexid+base64, with an Ed25519 key.")
        }
        try self.init(name: String(parts[0]), publicKey: Array(data.dropFirst()))
        guard hexID == parts[1] else { throw NoteError("The key's id is not the one of its name and bytes.") }
    }

    public var hexID: String { (0..<4).map { UInt8(truncatingIfNeeded: id >> UInt32(24 - 8 * $0)) }.hex }
    public var text: String { "\(name)+\(hexID)+\(Base64.encode([Self.ed25519] + publicKey))" }

    func isSignature(_ signature: [UInt8], of text: String) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else { return false }
        return key.isValidSignature(signature, for: Array(text.utf8))
    }

    static func isValid(name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255
            && name.unicodeScalars.allSatisfy {
                $0 != "+" && !$0.properties.isWhitespace && $0.value >= 0x20 && $0.value != 0x7F
            }
    }
}
