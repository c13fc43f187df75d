import Foundation
import Kernel
import Synchronization

/// Leaders chosen by a locked file beside the database; the lock ends with the process.
public struct SQLiteLeadership: Leadership {
    private let path: String

    /// - Parameter path: of the database.
    public init(path: String) { self.path = path }

    public func acquire(_ name: String) async throws -> (any Lease)? {
        let file = path + "." + name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" } + ".lock"
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError.unavailable("The lock file \(file) can't be opened.", mayHaveCommitted: false)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            close(descriptor)
            if reason == EWOULDBLOCK { return nil }
            throw StoreError.unavailable("The lock file \(file) can't be locked.", mayHaveCommitted: false)
        }
        return SQLiteLease(descriptor, file: file)
    }
}

private final class SQLiteLease: Lease {
    private let descriptor: Mutex<Int32?>
    private let file: String

    init(_ descriptor: Int32, file: String) {
        self.descriptor = Mutex(descriptor)
        self.file = file
    }

    deinit { descriptor.withLock { if let open = $0 { close(open) } } }

    func isHeld() async -> Bool {
        descriptor.withLock { descriptor in
            guard let descriptor else { return false }
            // Somebody who removed the file could lock a new one of the same name.
            var ours = stat()
            var named = stat()
            return fstat(descriptor, &ours) == 0 && stat(file, &named) == 0 && ours.st_ino == named.st_ino
                && ours.st_dev == named.st_dev
        }
    }

    func release() async {
        descriptor.withLock { descriptor in
            if let open = descriptor { close(open) }
            descriptor = nil
        }
    }
}
