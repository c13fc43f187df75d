import HTML
import Kernel

extension RegistryBatch {
    struct Counts: Sendable, Hashable {
        var created = 0
        var updated = 0
        var unchanged = 0

        static func + (a: Counts, b: Counts) -> Counts {
            Counts(created: a.created + b.created, updated: a.updated + b.updated, unchanged: a.unchanged + b.unchanged)
        }
    }

    var counts: Counts { Counts(created: created, updated: updated, unchanged: unchanged) }

    /// Everything the records come to, and what can't be taken; nothing is written.
    static func rehearse(_ records: [RegistryRecord], for person: String, in reader: any Reader) throws -> (
        batch: RegistryBatch, problems: [Problem]
    ) {
        let facts = try RegistryFacts.gather(records, from: reader)
        var batch = RegistryBatch(facts, now: reader.now, person: person, event: "", id: { "\($0)_\($1)" })
        var problems: [Problem] = []
        for (index, record) in records.enumerated() {
            do throws(Problem) {
                try batch.add(record, at: index)
            } catch {
                problems.append(error)
            }
        }
        return (batch, problems)
    }
}

extension Call {
    private func batch(_ facts: RegistryFacts) -> RegistryBatch {
        RegistryBatch(facts, now: now, person: person, event: eventID, id: { fresh.id($0, slot: $1) })
    }

    /// A batch recorded by the digests of its rows.
    func batchPlan(
        _ records: [RegistryRecord], _ facts: RegistryFacts
    ) throws(Refusal) -> (plan: Plan<Op.Target>, batch: RegistryBatch) {
        var batch = batch(facts)
        for (index, record) in records.enumerated() {
            do throws(RegistryBatch.Problem) {
                try batch.add(record, at: index)
            } catch {
                throw .field(
                    "rows/\(index)/\(error.column)", "Row \(index + 1): \(error.column) \(error.sentence)")
            }
        }
        guard !batch.changes.isEmpty else {
            throw .conflict("Every row of this batch is registered already, as it is here.")
        }
        return (
            Plan(
                nil, also: batch.changes, alsoWrite: batch.history, facts: counted(batch), recordsDigests: true,
                consequence:
                    "\(Grouped.digits(batch.created)) records are new and \(Grouped.digits(batch.updated)) changed; \(Grouped.digits(batch.unchanged)) are as they were."
            ), batch
        )
    }

    /// One record with what comes along, each change with its before and after.
    func recordPlan(
        _ record: RegistryRecord, field: String, _ facts: RegistryFacts
    ) throws(Refusal) -> Plan<Op.Target> {
        var batch = batch(facts)
        do throws(RegistryBatch.Problem) {
            try batch.add(record, at: 0)
        } catch {
            throw error.isMissing
                ? .notFound("\(error.column) \(error.sentence)")
                : .field("\(field)/\(error.column)", "\(error.column) \(error.sentence)")
        }
        guard !batch.changes.isEmpty, let outcome = batch.outcomes[0] else {
            throw .conflict("This is registered already, as it is here.")
        }
        // The event is about what was put, not about what came along.
        let changes = batch.changes.filter { $0.id == outcome.id } + batch.changes.filter { $0.id != outcome.id }
        var effects: [Effect] = []
        if let tenant = changes.first?.after as? Tenant {
            let before = changes.first?.before as? Tenant
            if before == nil {
                effects.append(.webhook("created", tenant))
            } else if before?.name != tenant.name || before?.slug != tenant.slug || before?.metadata != tenant.metadata
            {
                effects.append(.webhook("updated", tenant))
            }
        }
        let name = changes.first?.after.displayName ?? ""
        return Plan(
            nil, also: changes, alsoWrite: batch.history, effects: effects, facts: counted(batch),
            consequence: "\(name) is \(outcome.result == .created ? "registered" : "as the product says").")
    }

    private func counted(_ batch: RegistryBatch) -> [String: JSON] {
        var facts: [String: JSON] = [
            "created": .int(Int64(batch.created)), "updated": .int(Int64(batch.updated)),
            "unchanged": .int(Int64(batch.unchanged)),
        ]
        if batch.opened > 0 { facts["drift_opened"] = .int(Int64(batch.opened)) }
        if batch.closed > 0 { facts["drift_closed"] = .int(Int64(batch.closed)) }
        return facts
    }
}
