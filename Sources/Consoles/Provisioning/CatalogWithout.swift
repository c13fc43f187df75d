import Kernel

extension Catalog {
    /// Without some operations, for a page on which there is nothing to use them on.
    func without(_ names: String...) -> Catalog {
        Catalog(
            operations: operations.filter { !names.contains($0.spec.name) }, reads: reads, entities: entities,
            uniqueRules: uniqueRules, eventFilter: eventFilter)
    }
}
