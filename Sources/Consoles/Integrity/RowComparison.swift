import Kernel

/// A governed row beside what the newest event about it says.
public struct RowComparison: Sendable {
    enum Logged: Sendable {
        /// No event names it.
        case nothing
        /// Its document, which is the one the event commits to.
        case document(JSON)
        /// Only a digest of its document: it came in a batch.
        case digest(String)
        /// What the event said was erased.
        case erased
        /// The event itself is not what the tree holds, or its value is not what it commits to.
        case untrusted
    }

    let type: AnyEntityType
    let stored: StoredRow?
    let logged: Logged
    /// The event and the pointer to it.
    let event: String?
    let pointsElsewhere: Bool

    /// The kinds of rows that are known here; those of the kernel's own are not among them.
    static func type(_ name: String) -> AnyEntityType? {
        Consoles.all.lazy.flatMap(\.entities).first { $0.type == name }
    }

    static func look(at id: String, of type: AnyEntityType, from reader: any Reader) throws -> RowComparison {
        let stored = try type.stored(id, reader)
        guard let row = try reader.first(DiscrepancyQueries.newestEvent(type.type, id)) else {
            return RowComparison(type: type, stored: stored, logged: .nothing, event: nil, pointsElsewhere: false)
        }
        let event = try row.string("event_id")
        return RowComparison(
            type: type, stored: stored, logged: try logged(row, event, type.type, id, reader), event: event,
            pointsElsewhere: try row.optionalString("head") != event)
    }

    private static func logged(
        _ row: Row, _ event: String, _ type: String, _ id: String, _ reader: any Reader
    ) throws -> Logged {
        let bytes = try row.bytes("leaf")
        if let hash = try row.optionalBytes("hash"), hash != sha256([0] + bytes) { return .untrusted }
        guard let leaf = try? JSON(parsing: bytes) else { return .untrusted }
        let members = try row.optionalString("members").flatMap { try? JSON(parsing: $0) }
        func value(_ name: String, _ commitment: JSON?) throws -> Logged {
            guard let member = members?[name], let value = member["value"],
                let salt = member["salt"]?.string.flatMap(Base64.decode)
            else {
                return try reader.first(DiscrepancyQueries.erased(event, name)) == nil ? .untrusted : .erased
            }
            let computed = Base64.encode(SealedMember.commitment(salt: salt, value: value))
            return computed == commitment?.string ? .document(value) : .untrusted
        }
        let changes = leaf["changes"]?.array ?? []
        if let position = changes.lastIndex(where: { $0["type"]?.string == type && $0["id"]?.string == id }) {
            return try value("changes.\(position).after", changes[position]["after"])
        }
        switch try value("details", leaf["sealed"]?["details"]) {
        case .document(let details):
            let mine = details["rows"]?.array?.first { $0["type"]?.string == type && $0["id"]?.string == id }
            return (mine?["sha256"]?.string).map(Logged.digest) ?? .untrusted
        case let other: return other
        }
    }

    /// Whether there is nothing left to settle.
    var agrees: Bool {
        guard !pointsElsewhere else { return false }
        guard let stored else {
            if case .nothing = logged { return true }
            return false
        }
        guard let entity = stored.entity, stored.edited.isEmpty else { return false }
        switch logged {
        case .document(let document): return entity.document == document
        case .digest(let digest): return sha256(entity.document.canonical).hex == digest
        case .erased: return true
        case .nothing, .untrusted: return false
        }
    }

    var loggedDocument: JSON? { if case .document(let document) = logged { document } else { nil } }
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

    /// Why it can't be adopted; `nil` when it can.
    var whyNotAdopted: String? {
        if stored == nil { return "the row is gone, and nothing governed is ever without a row: put it back" }
        if stored?.entity == nil { return "the row can't be read as it stands; correct it by hand, or put it back" }
        return nil
    }

    /// Why it can't be put back; `nil` when it can.
    var whyNotRestored: String? {
        switch logged {
        case .nothing:
            "no event ever named the row, so there is nothing to put back: adopt it, then end it by its own operation"
        case .digest: "it came in a batch, of which the log keeps only a digest"
        case .erased: "what the log knew of it was erased"
        case .untrusted: "the event about it is not what the log holds; run postern verify"
        case .document where stored.map({ $0.entity == nil }) ?? false:
            "the row can't be read as it stands; correct it by hand"
        case .document where loggedEntity == nil:
            "it holds something the log keeps only as a digest, such as a secret, and that was changed too"
        case .document: nil
        }
    }
}
