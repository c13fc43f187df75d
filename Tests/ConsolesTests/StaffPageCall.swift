import Consoles
import HTML
import Kernel

/// A page call as the web makes it.
enum PageCallFixture {
    static func make(
        _ caller: Caller, path: [String: String] = [:], query: [String: [String]] = [:]
    ) -> PageCall {
        PageCall(
            path: path, query: query, caller: caller, cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)),
            catalog: Catalog(Consoles.all, kernelEntities: []), csrf: "csrf-token")
    }
}
