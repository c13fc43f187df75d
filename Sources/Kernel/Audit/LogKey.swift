import Crypto
import Foundation

/// The key that signs checkpoints. Its file has mode 0600 and is never in the database.
///
/// The file holds one line in the form of other note tools: `PRIVATE+KEY+name+hexid+base64(0x01‖seed)`.
public struct LogKey: Sendable {
    private let privateKey: Curve25519.Signing.PrivateKey
    public let verifier: VerifierKey

    /// The log's origin.
    public var name: String { verifier.name }

    public init(name: String, seed: [UInt8]) throws {
        privateKey = try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        verifier = try VerifierKey(name: name, publicKey: Array(privateKey.publicKey.rawRepresentation))
    }

    public static func generate(name: String) throws -> LogKey {
        try LogKey(name: name, seed: SecureRandom.bytes(32))
    }

    /// Reads the text of a key file.
    public init(parsing text: String) throws {
        let prefix = "PRIVATE+KEY+"
        let line = text.trimmingCharacters(in: .whitespacesAndNewlines)
        let parts = line.dropFirst(prefix.count).split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard line.hasPrefix(prefix), parts.count == 3, let data = Base64.decode(String(parts[2])), data.count == 33,
            data[0] == VerifierKey.ed25519
        else { throw NoteError("The log key is not of the form PRIVATE+KEY+name+id+key.") }
        try self.init(name: String(parts[0]), seed: Array(data.dropFirst()))
        guard verifier.hexID == parts[1] else {
            throw NoteError("The log key's id is not the one of its name and bytes.")
        }
    }

    private var fileText: String {
        let seed = Array(privateKey.rawRepresentation)
        return "PRIVATE+KEY+\(name)+\(verifier.hexID)+\(Base64.encode([VerifierKey.ed25519] + seed))\n"
    }

    /// The key in the file at `path`, or a new one for `name` when there is no such file.
    /// - Throws: `NoteError` when the file may be read by others, is not a key, or is the key of another log.
    public static func loadOrMake(path: String, name: String) throws -> LogKey {
        if let key = try load(path: path) {
            guard key.name == name else {
                throw NoteError(
                    "The key in \(path) is the one of the log \(key.name), not of \(name). Set the log's origin back, or open a successor log with postern audit successor."
                )
            }
            return key
        }
        let key = try generate(name: name)
        try key.save(path: path)
        return key
    }

    /// The key in the file at `path`, or `nil` when there is no such file.
    public static func load(path: String) throws -> LogKey? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0 {
            if errno == ENOENT { return nil }
            throw NoteError("The log key \(path) can't be read: \(String(cString: strerror(errno))).")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw NoteError("The log key \(path) is not a file.")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw NoteError("Others may read the log key \(path). Set its mode to 0600, and consider it known to them.")
        }
        guard let data = try FileHandle(fileDescriptor: file, closeOnDealloc: false).read(upToCount: 4096) else {
            throw NoteError("The log key \(path) is empty.")
        }
        return try LogKey(parsing: String(decoding: data, as: UTF8.self))
    }

    /// Writes the key to a new file of mode 0600, durably.
    public func save(path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw NoteError("The log key \(path) can't be written: \(String(cString: strerror(errno))).")
        }
        defer { close(file) }
        let bytes = Array(fileText.utf8)
        guard write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else {
            throw NoteError("The log key \(path) can't be written: \(String(cString: strerror(errno))).")
        }
    }

    func sign(_ text: String) throws -> SignedNote.Signature {
        SignedNote.Signature(
            name: name, keyID: verifier.id, bytes: Array(try privateKey.signature(for: Array(text.utf8))))
    }
}
