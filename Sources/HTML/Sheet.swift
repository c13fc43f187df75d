import Foundation

/// Bytes that nodes are stretches of. Each thread writes on a sheet of its own, only behind what is there: what was written
/// never changes and never moves while a node needs it, so nodes may be read by any thread.
///
/// A sheet lives as long as a node of it. When none is left, its thread writes on it from the beginning again, so that pages
/// take no memory beyond one sheet a thread.
final class Sheet: @unchecked Sendable {
    let base: UnsafeMutablePointer<UInt8>
    let capacity: Int
    /// Looked at and changed by the thread that writes on it alone.
    @exclusivity(unchecked) var used = 0

    /// Holds two pages of the usual size.
    private static let usual = 1 << 17

    private init(_ capacity: Int) {
        base = .allocate(capacity: capacity)
        self.capacity = capacity
    }

    deinit { base.deallocate() }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let failure = pthread_key_create(&key) { sheet in
            if let sheet { Unmanaged<Sheet>.fromOpaque(sheet).release() }
        }
        precondition(failure == 0, "the system gives no room for a value of each thread")
        return key
    }()

    /// The sheet this thread writes on.
    static var current: Sheet {
        guard let held = pthread_getspecific(key) else { return new(for: 0) }
        let known = Unmanaged<Sheet>.fromOpaque(held)
        return known._withUnsafeGuaranteedRef { $0.used } < usual / 2
            ? known.takeUnretainedValue() : turned(known)
    }

    /// A sheet that is half full begins again when nobody reads it any more; one that was large goes.
    private static func turned(_ known: Unmanaged<Sheet>) -> Sheet {
        var sheet = known.takeRetainedValue()
        if isKnownUniquelyReferenced(&sheet) {
            guard sheet.capacity == usual else { return keep(Sheet(usual)) }
            sheet.used = 0
        }
        // What the thread holds was taken from it above.
        return Unmanaged.passRetained(sheet).takeUnretainedValue()
    }

    private static func keep(_ sheet: Sheet) -> Sheet {
        pthread_setspecific(key, Unmanaged.passRetained(sheet).toOpaque())
        return sheet
    }

    /// Another sheet for this thread, with room for `count` bytes and as many again.
    static func new(for count: Int) -> Sheet {
        if let held = pthread_getspecific(key) { Unmanaged<Sheet>.fromOpaque(held).release() }
        return keep(Sheet(max(usual, count * 2)))
    }
}
