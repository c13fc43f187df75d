import Foundation
import Kernel
import TestSupport
import Testing

@testable import Store

/// The schema as it was reviewed: a change to it is seen as one.
@Suite struct SchemaTests {
    @Test(arguments: Dialect.allCases)
    func `the schema is the one that was reviewed`(dialect: Dialect) throws {
        let steps = Migration.all.map { step in
            "-- \(step.number) \(step.name)\n\n" + step.statements(dialect).map { $0 + ";\n" }.joined(separator: "\n")
        }
        try Golden.expect("schema-\(dialect.rawValue).sql", steps.joined(separator: "\n"))
    }
}
