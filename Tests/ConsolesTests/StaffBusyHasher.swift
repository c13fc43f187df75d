import Kernel
import Synchronization
import TestSupport

/// A hasher whose queue is full when it is told so.
final class BusyHasher: PasswordHasher {
    private let inner = StaffFixture.cheapHasher()
    private let busy = Mutex(false)
    var isBusy: Bool {
        get { busy.withLock { $0 } }
        set { busy.withLock { $0 = newValue } }
    }

    private func admit() throws(OperationError) {
        if isBusy { throw .tooManyRequests(retryAfter: .seconds(2)) }
    }

    func hash(_ password: String) async throws(OperationError) -> String {
        try admit()
        return try await inner.hash(password)
    }
    func verify(_ password: String, against encoded: String) async throws(OperationError) -> Bool {
        try admit()
        return try await inner.verify(password, against: encoded)
    }
    func verifyDecoy(_ password: String) async throws(OperationError) {
        try admit()
        try await inner.verifyDecoy(password)
    }
}
