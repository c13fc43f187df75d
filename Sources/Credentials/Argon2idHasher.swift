import CArgon2
import Foundation
import Kernel

/// argon2id with a fresh 16-byte salt per password, on two threads of its own: hashing never holds up a request that
/// needs none, and memory stays bounded (two times `memoryKiB`).
public final class Argon2idHasher: PasswordHasher {
    /// What a hash costs. Stored in each PHC string, so that old hashes stay readable after a change.
    public struct Parameters: Sendable, Hashable {
        public let memoryKiB: UInt32
        public let passes: UInt32
        public let lanes: UInt32

        public init(memoryKiB: UInt32, passes: UInt32, lanes: UInt32) {
            self.memoryKiB = memoryKiB
            self.passes = passes
            self.lanes = lanes
        }

        /// OWASP's recommendation: m = 19 MiB, t = 2, p = 1.
        public static let standard = Parameters(memoryKiB: 19_456, passes: 2, lanes: 1)
        /// For tests only: microseconds instead of tens of milliseconds.
        public static let cheap = Parameters(memoryKiB: 8, passes: 1, lanes: 1)
    }

    private let parameters: Parameters
    private let threads: HashingThreads
    private let decoy: String

    /// - Parameter queue: how many may wait for one of the two threads before `.tooManyRequests`.
    public init(_ parameters: Parameters = .standard, queue: Int = 32) throws(OperationError) {
        self.parameters = parameters
        self.threads = HashingThreads(count: 2, queue: queue)
        // Nobody's password: random, and forgotten here.
        self.decoy = try Self.encode(SecureRandom.bytes(32), parameters)
    }

    deinit { threads.stop() }

    public func hash(_ password: String) async throws(OperationError) -> String {
        let parameters = parameters
        return try await threads.run { () throws(OperationError) in try Self.encode(Array(password.utf8), parameters) }
    }

    public func verify(_ password: String, against encoded: String) async throws(OperationError) -> Bool {
        try await threads.run { () throws(OperationError) in try Self.matches(Array(password.utf8), encoded) }
    }

    public func verifyDecoy(_ password: String) async throws(OperationError) {
        _ = try await verify(password, against: decoy)
    }

    private static func encode(_ password: [UInt8], _ parameters: Parameters) throws(OperationError) -> String {
        let salt = SecureRandom.bytes(16)
        let length = argon2_encodedlen(
            parameters.passes, parameters.memoryKiB, parameters.lanes, UInt32(salt.count), 32, Argon2_id)
        var out = [CChar](repeating: 0, count: length)
        let code = argon2id_hash_encoded(
            parameters.passes, parameters.memoryKiB, parameters.lanes, password, password.count, salt, salt.count, 32,
            &out, length)
        guard code == ARGON2_OK.rawValue else { throw failure(code) }
        return String(decoding: out.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func matches(_ password: [UInt8], _ encoded: String) throws(OperationError) -> Bool {
        let code = argon2id_verify(encoded, password, password.count)
        switch code {
        case ARGON2_OK.rawValue: return true
        case ARGON2_VERIFY_MISMATCH.rawValue: return false
        default: throw failure(code)
        }
    }

    private static func failure(_ code: Int32) -> OperationError {
        .internalError("argon2: \(String(cString: argon2_error_message(code)))")
    }
}
