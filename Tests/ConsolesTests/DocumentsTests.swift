import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// Documents made from the declarations are the ones in the repository.
@Suite struct DocumentsTests {
    @Test(arguments: Documents.all.keys.sorted())
    func `the document is fresh`(name: String) throws {
        let make = try #require(Documents.all[name])
        let catalog = Catalog(Consoles.all)
        try Golden.expect("\(name).md", make(catalog), in: "docs/saas")
    }
}
