/// A signed statement of the log's size and root (C2SP tlog-checkpoint).
public struct Checkpoint: Sendable, Hashable {
    /// The log's name, which is also the name of its key.
    public let origin: String
    public let size: Int64
    public let root: MerkleHash
    /// Extension lines, in order, each not empty.
    public let extensions: [String]

    public init(origin: String, size: Int64, root: MerkleHash, extensions: [String] = []) {
        self.origin = origin
        self.size = size
        self.root = root
        self.extensions = extensions
    }

    /// The text that is signed.
    public var text: String { ([origin, String(size), root.base64] + extensions).map { $0 + "\n" }.joined() }

    /// Reads a checkpoint's text, without its signatures.
    public init(text: String) throws(NoteError) {
        let bytes = Array(text.utf8)
        guard bytes.last == 0x0A else { throw NoteError("The checkpoint's text does not end with a newline.") }
        let lines = bytes.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard lines.count >= 3, !lines[0].isEmpty else {
            throw NoteError("The checkpoint does not have an origin, a size and a root.")
        }
        guard let size = Int64(lines[1]), size >= 0, String(size) == lines[1] else {
            throw NoteError("The checkpoint's size is not a whole number.")
        }
        guard let root = MerkleHash(base64: lines[2]) else {
            throw NoteError("The checkpoint's root is not the base 64 of 32 bytes.")
        }
        guard lines.dropFirst(3).allSatisfy({ !$0.isEmpty }) else {
            throw NoteError("The checkpoint holds an empty line.")
        }
        guard size > 0 || root == MerkleTree.emptyRoot else {
            throw NoteError("The checkpoint of an empty log does not have the empty root.")
        }
        self.init(origin: lines[0], size: size, root: root, extensions: Array(lines.dropFirst(3)))
    }

    /// Reads a note and checks that `key`, the log's own, signed it.
    public init(note: String, key: VerifierKey) throws(NoteError) {
        let signed = try SignedNote(parsing: note)
        try signed.verify(by: key)
        let checkpoint = try Checkpoint(text: signed.text)
        guard checkpoint.origin == key.name else {
            throw NoteError("The checkpoint is of the log \(checkpoint.origin), and the key of \(key.name).")
        }
        self = checkpoint
    }

    /// The signed note.
    public func signed(by key: LogKey) throws -> String {
        SignedNote(text: text, signatures: [try key.sign(text)]).encoded
    }
}
