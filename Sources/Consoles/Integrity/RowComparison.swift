import Kernel

/// A governed row beside what the newest event about it says.
public struct RowComparison: Sendable {
    let type: AnyEntityType
    let stored: StoredRow?
    /// The event, and whether the pointer names another one; `nil` when no event names the row.
    let event: String?
    let pointsElsewhere: Bool
    /// `nil` when the event is not what the tree holds.
    private let facts: EventFacts?
    private let said: EventFacts.Said

    /// The kinds of rows that are known here; those of the kernel's own are not among them.
    static func type(_ name: String) -> AnyEntityType? {
        Consoles.all.lazy.flatMap(\.entities).first { $0.type == name }
    }

    static func look(at id: String, of type: AnyEntityType, from reader: any Reader) throws -> RowComparison {
        let stored = try type.stored(id, reader)
        guard let row = try reader.first(DiscrepancyQueries.newestEvent(type.type, id)) else {
            return RowComparison(
                type: type, stored: stored, event: nil, pointsElsewhere: false, facts: nil, said: .nothing)
        }
        let event = try row.string("event_id")
        let erased = try reader.query(DiscrepancyQueries.erased(event)).map { try $0.string("member") }
        let leaf = try row.bytes("leaf")
        let isOfTree = try row.optionalBytes("hash").map { $0 == sha256([0] + leaf) } ?? true
        let sealed = try row.optionalString("members")
        let facts = isOfTree ? EventFacts(leaf: leaf, sealed: sealed, erased: Set(erased)) : nil
        return RowComparison(
            type: type, stored: stored, event: event, pointsElsewhere: try row.optionalString("head") != event,
            facts: facts, said: facts?.said(of: type.type, id) ?? .nothing)
    }

    /// Whether there is nothing left to settle.
    var agrees: Bool {
        guard !pointsElsewhere else { return false }
        guard let stored else { return event == nil }
        guard let entity = stored.entity, stored.edited.isEmpty, let facts, said != .nothing else { return false }
        switch facts.judge(type.type, entity.id, entity.document) {
        case .same, .erased: return true
        case .edited, .deleted, .notNamed: return false
        }
    }

    /// The staff whom the row is about, as it stands or as it was. They neither keep it nor sign for that: a row written by hand
    /// may be what they would sign with.
    var people: [String] {
        let rows = [stored?.entity, loggedEntity].compactMap(\.self)
        let named = rows.flatMap { row -> [String] in
            let others = [(row as? ApprovalSignature)?.person, (row as? Tenant)?.csmID].compactMap(\.self)
            return row.subjects + ((row as? ApprovalRequest)?.askers ?? []) + others
        }
        return Set(named.filter { $0.hasPrefix("\(Staff.idPrefix)_") }).sorted()
    }

    func concerns(_ person: String) -> Bool { people.contains(person) }

    /// Whether it names another manager of a tenant than the log does: that is who signs for it.
    var changesManager: Bool { (stored?.entity as? Tenant)?.csmID != (loggedEntity as? Tenant)?.csmID }

    var loggedDocument: JSON? { if case .document(let document) = said { document } else { nil } }
    var loggedEntity: (any Entity)? { loggedDocument.flatMap { type.restored($0, stored?.row) } }

    /// The version a settled row gets: above both.
    private func next(_ entity: any Entity) -> any Entity {
        var after = entity
        after.version = max(stored?.entity?.version ?? 0, loggedDocument?["version"]?.int ?? 0) + 1
        return after
    }

    /// The change that leaves the row as it is and says so in the log.
    var adoption: Change? {
        guard let entity = stored?.entity else { return nil }
        return Change(settling: loggedEntity, after: next(entity), storedVersion: entity.version)
    }

    /// The change that puts the row back as the log knew it.
    var restoration: Change? {
        guard let logged = loggedEntity else { return nil }
        guard let stored else { return Change(settling: nil, after: next(logged), storedVersion: nil) }
        guard let entity = stored.entity else { return nil }
        return Change(settling: entity, after: next(logged), storedVersion: entity.version)
    }

    /// Why the log has nothing to hold beside the row; `nil` when it has.
    var whyNothingLogged: String? {
        guard loggedEntity == nil else { return nil }
        return switch said {
        case .nothing where event == nil: "no event ever named it"
        case .nothing: "the event about it is not what the log holds"
        case .digest: "it came in a batch, of which the log keeps only a digest"
        case .erased: "what the log knew of it was erased"
        case .document: "it holds something the log keeps only as a digest, such as a secret, and that was changed too"
        }
    }

    /// Why it can't be adopted; `nil` when it can.
    var whyNotAdopted: String? {
        if stored == nil { return "the row is gone, and nothing governed is ever without a row: put it back" }
        if stored?.entity == nil { return "the row can't be read as it stands; correct it by hand, or put it back" }
        return nil
    }

    /// Why it can't be put back; `nil` when it can.
    var whyNotRestored: String? {
        switch said {
        case .nothing where event == nil:
            "no event ever named the row, so there is nothing to put back: adopt it, then end it by its own operation"
        case .nothing: "the event about it is not what the log holds; run postern verify"
        case .digest: "it came in a batch, of which the log keeps only a digest"
        case .erased: "what the log knew of it was erased"
        case .document where stored.map({ $0.entity == nil }) ?? false:
            "the row can't be read as it stands; correct it by hand"
        case .document where loggedEntity == nil:
            "it holds something the log keeps only as a digest, such as a secret, and that was changed too"
        case .document: nil
        }
    }
}
