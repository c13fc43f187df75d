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
        @Param("Run", help: "The import it belongs to, whose progress is written with it.") public var run: String?
        @Param("Through", help: "The last staged row of the batch.") public var through: Int64?
        @Param("Ahead", help: "Rows from further down the file are among them.") public var ahead = false
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> RegistryFacts {
        try .gather(input.rows.rows, from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures {
        Measures(["rows": .int(Int64(call.input.rows.rows.count)), "reversible": false])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        var plan = try call.batchPlan(call.input.rows.rows.map(RegistryRecord.tenant), call.facts, isImport: true)
        if let run = call.input.run, let through = call.input.through {
            plan.plan.alsoWrite.append(ImportQueries.applied(run, through: through, plan.batch.counts, at: call.now))
            plan.plan.alsoWrite.append(ImportQueries.forgetAhead(run))
            if call.input.ahead {
                plan.plan.alsoWrite.append(
                    ImportQueries.appliedAhead(run, call.input.rows.rows.map(\.externalID), after: through))
            }
        }
        return plan.plan
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("An import is taken back customer by customer: archive those it created, edit those it changed.")
    }
}

/// Says once that an import has ended, however many customers it brought.
public enum FinishImport: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "registry.finish_import", "Finish an import",
        summary: "Records what an import came to and tells webhooks once, instead of customer by customer.",
        permission: "registry.import", risk: .low, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Digest", .length(1...64), help: "SHA-256 of the file and of how it was read, hexadecimal.")
        public var digest: String
        @Param("Created", .range(0...Int64.max), help: "Customers that are new.") public var created: Int64
        @Param("Updated", .range(0...Int64.max), help: "Customers that changed.") public var updated: Int64
        @Param("Unchanged", .range(0...Int64.max), help: "Customers that were as they are.") public var unchanged: Int64
        @Param("Rejected", .range(0...Int64.max), help: "Rows that could not be taken.") public var rejected: Int64
        public init() {}
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let input = call.input
        let counts: [String: JSON] = [
            "created": .int(input.created), "updated": .int(input.updated), "unchanged": .int(input.unchanged),
            "rejected": .int(input.rejected),
        ]
        return Plan(
            nil,
            effects: [
                Effect(
                    kind: "webhook", name: "registry.imported", summary: Effect.notice("registry.imported"),
                    payload: .object(counts), tenant: nil)
            ],
            facts: counts, details: (["digest": .string(input.digest)], []),
            consequence:
                "The import has ended: \(Grouped.digits(input.created)) customers are new, \(Grouped.digits(input.updated)) changed, \(Grouped.digits(input.rejected)) rows were rejected."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("What an import came to is a fact.") }
}
