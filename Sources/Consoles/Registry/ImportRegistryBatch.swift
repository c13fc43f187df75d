import HTML
import Kernel

/// Takes over a batch of customers from the product, each whole with its members.
public enum ImportRegistryBatch: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "registry.import_batch", "Import customers",
        summary: "Creates and updates up to 1,000 customers with their members, as your product knows them.",
        permission: "registry.import", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Rows", help: "The customers, at most 1,000.") public var rows: RegistryRows
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> RegistryFacts {
        try .gather(input.rows.rows, from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures {
        Measures(["rows": .int(Int64(call.input.rows.rows.count)), "reversible": false])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        var batch = RegistryBatch(
            call.facts, now: call.now, person: call.person, event: call.eventID,
            id: { call.fresh.id($0, slot: $1) })
        for (index, row) in call.input.rows.rows.enumerated() {
            do throws(RegistryBatch.Problem) {
                try batch.add(row, at: index)
            } catch {
                throw .field(
                    "rows/\(index)/\(error.column)", "Row \(index + 1): \(error.column) \(error.sentence)")
            }
        }
        guard !batch.changes.isEmpty else {
            throw .conflict("Every row of this batch is registered already, as it is here.")
        }
        return Plan(
            nil, also: batch.changes, alsoWrite: batch.history,
            facts: [
                "created": .int(Int64(batch.created)), "updated": .int(Int64(batch.updated)),
                "unchanged": .int(Int64(batch.unchanged)), "owners_differ": .int(Int64(batch.drifted)),
            ],
            recordsDigests: true,
            consequence:
                "\(Grouped.digits(batch.created)) customers are created and \(Grouped.digits(batch.updated)) updated; \(Grouped.digits(batch.unchanged)) are as they were."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("An import is taken back customer by customer: archive those it created, edit those it changed.")
    }
}
