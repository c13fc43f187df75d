import Crypto

/// SHA-256 over bytes that come in pieces, such as a file.
public struct RunningDigest: Sendable {
    private var hasher = SHA256()
    public init() {}

    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) }
    }

    /// The digest of everything so far.
    public var bytes: [UInt8] { Array(hasher.finalize()) }
    public var hex: String { bytes.hex }
}
