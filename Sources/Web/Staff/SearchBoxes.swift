import HTML
import Kernel
import Synchronization

/// The search box of the frame by what a person may do. It is on every page, and what it says is looked for in all
/// operations.
final class SearchBoxes: Sendable {
    private let make: (@Sendable (Permissions, Catalog) -> SearchBox?)?
    private let catalog: Catalog
    private let known = Mutex<[Set<String>: SearchBox?]>([:])
    /// Sets of roles that people really hold are few.
    private static let limit = 200

    init(_ make: (@Sendable (Permissions, Catalog) -> SearchBox?)?, _ catalog: Catalog) {
        self.make = make
        self.catalog = catalog
    }

    func box(_ permissions: Permissions) -> SearchBox? {
        guard let make else { return nil }
        let key = Set(permissions.granted.keys)
        if let known = known.withLock({ $0[key] }) { return known }
        let box = make(permissions, catalog)
        known.withLock { known in
            if known.count >= Self.limit { known = [:] }
            known[key] = .some(box)
        }
        return box
    }
}
