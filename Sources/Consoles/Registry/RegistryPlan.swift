import HTML
import Kernel

extension RegistryBatch {
    struct Counts: Sendable, Hashable {
        var created = 0
        var updated = 0
        var unchanged = 0

        mutating func count(_ result: Result) {
            switch result {
            case .created: created += 1
            case .updated: updated += 1
            case .unchanged: unchanged += 1
            }
        }

        static func + (a: Counts, b: Counts) -> Counts {
            Counts(created: a.created + b.created, updated: a.updated + b.updated, unchanged: a.unchanged + b.unchanged)
        }
    }

    var counts: Counts { Counts(created: created, updated: updated, unchanged: unchanged) }

    /// What webhooks hear of these changes, in their order: one notice for each tenant, person and membership.
    func notices(of changes: [Change]) -> [Effect] {
        let tenants = tenantsByID
        return changes.compactMap { change in
            change.tenantNotice ?? change.userNotice(in: change.after.tenantID.flatMap { tenants[$0] })
        }
    }

    /// Everything the records come to, and what can't be taken; nothing is written.
    /// - Parameter people: whom records before these bring or change, where those are not in yet.
    static func rehearse(
        _ records: [RegistryRecord], for person: String, isImport: Bool = false,
        after people: ImportedPeople = ImportedPeople(), in reader: any Reader
    ) throws -> (batch: RegistryBatch, problems: [Problem]) {
        let facts = try RegistryFacts.gather(records, after: people, from: reader)
        var batch = RegistryBatch(
            facts, records, now: reader.now, person: person, event: "", isImport: isImport, id: { "\($0)_\($1)" })
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
    private func batch(
        _ records: [RegistryRecord], _ facts: RegistryFacts, isImport: Bool = false
    ) -> RegistryBatch {
        RegistryBatch(
            facts, records, now: now, person: person, actor: actor, event: eventID, isImport: isImport,
            id: { fresh.id($0, slot: $1) })
    }

    /// A batch recorded by the digests of its rows.
    func batchPlan(
        _ records: [RegistryRecord], _ facts: RegistryFacts, isImport: Bool = false
    ) throws(Refusal) -> (plan: Plan<Op.Target>, batch: RegistryBatch) {
        var batch = batch(records, facts, isImport: isImport)
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
                nil, also: batch.changes, firstWrite: batch.freeing, alsoWrite: batch.history,
                // An import tells of itself once, when it has ended.
                effects: isImport ? [] : batch.notices(of: batch.changes), facts: counted(batch),
                recordsDigests: true,
                consequence:
                    "\(Grouped.digits(batch.created)) records are new and \(Grouped.digits(batch.updated)) changed; \(Grouped.digits(batch.unchanged)) are as they were."
            ), batch
        )
    }

    /// One record with what comes along, each change with its before and after.
    func recordPlan(
        _ record: RegistryRecord, field: String, _ facts: RegistryFacts
    ) throws(Refusal) -> Plan<Op.Target> {
        var batch = batch([record], facts)
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
        let name = changes.first?.after.displayName ?? ""
        return Plan(
            nil, also: changes, alsoWrite: batch.history, effects: batch.notices(of: changes), facts: counted(batch),
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

extension Change {
    /// What webhooks hear of a tenant that was put; `nil` where nothing that they hear of changed.
    fileprivate var tenantNotice: Effect? {
        guard let tenant = after as? Tenant else { return nil }
        guard let before = before as? Tenant else { return .webhook("created", tenant) }
        return before.name != tenant.name || before.slug != tenant.slug || before.metadata != tenant.metadata
            ? .webhook("updated", tenant) : nil
    }
}
