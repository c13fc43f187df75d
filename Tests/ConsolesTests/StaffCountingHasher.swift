import Kernel
import Synchronization
import TestSupport

/// Counts how many verifications were asked for, real and decoy alike.
final class CountingHasher: PasswordHasher {
    private let inner = StaffFixture.cheapHasher()
    private let count = Mutex(0)
    var verifications: Int { count.withLock { $0 } }

    func hash(_ password: String) async throws(OperationError) -> String { try await inner.hash(password) }
    func verify(_ password: String, against encoded: String) async throws(OperationError) -> Bool {
        count.withLock { $0 += 1 }
        return try await inner.verify(password, against: encoded)
    }
    func verifyDecoy(_ password: String) async throws(OperationError) {
        count.withLock { $0 += 1 }
        try await inner.verifyDecoy(password)
    }
}
