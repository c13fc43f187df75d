import Foundation

/// How the C library keeps memory that is free at the moment. GNU's allocator is made for speed at any size: it opens up to eight
/// arenas a core, and after the first large block is freed (the memory that hashes a password) it keeps twice its size at
/// the end of each. Here they are as many as can be at work, and what is large goes back when it is freed (decision 22).
enum Allocator {
    /// A block this large is a mapping of its own. Buffers of requests, pages and batches are smaller; hashing and large
    /// answers are not.
    private static let largeBlock: Int32 = 1 << 20

    /// What `malloc.h` calls them.
    private static let trimThreshold: Int32 = -1
    private static let mapThreshold: Int32 = -3
    private static let mostArenas: Int32 = -8

    /// To be called before there is a second thread. Who sets the allocator up by the environment (`MALLOC_ARENA_MAX`, …)
    /// is left alone, and other C libraries have nothing to set.
    static func settle(_ environment: [String: String]) {
        let isSet = environment.contains { name, value in
            name.hasPrefix("MALLOC_") || name == "GLIBC_TUNABLES" && value.contains("glibc.malloc")
        }
        guard !isSet, let symbol = dlsym(nil, "mallopt") else { return }
        let set = unsafeBitCast(symbol, to: (@convention(c) (_ parameter: Int32, _ value: Int32) -> Int32).self)
        // Setting a threshold also ends its growth.
        _ = set(mapThreshold, largeBlock)
        _ = set(trimThreshold, 2 * largeBlock)
        _ = set(mostArenas, Int32(max(2, ProcessInfo.processInfo.activeProcessorCount)))
    }

    /// Gives the system back what lies free between blocks in use: a moment of load is not held for ever.
    static func giveBack() {
        guard let symbol = dlsym(nil, "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (_ kept: Int) -> Int32).self)(0)
    }
}
