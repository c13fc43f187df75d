import Kernel

/// One event with everything that is kept about it.
struct EventDetail: Sendable {
    /// What is left of a sealed member, compared with its commitment in the leaf.
    enum Member: Sendable {
        /// The stored value, and whether SHA-256(salt ‖ JCS(value)) is what the leaf says.
        case present(JSON, salt: [UInt8], matches: Bool)
        /// Erased under that event.
        case erased(by: String)
        /// Neither there nor erased by anybody: somebody went around the log.
        case missing
    }

    let row: EventRow
    let leaf: JSON
    let leafBytes: [UInt8]
    /// Whether the hash of the leaf is the one in the log; `nil` while it waits for the sequencer.
    let hashMatches: Bool?
    let members: [String: Member]
    let linked: [EventRow]
    let previous: String?
    let next: String?

    /// - Throws: `OperationError.notFound`.
    static func load(_ id: String, from reader: any Reader) throws -> EventDetail {
        guard Identifier.isValid(id, prefix: "evt") else {
            throw OperationError.notFound("There is no event \(id.prefix(60)).")
        }
        guard let stored = try reader.first(EventQueries.event(id)) else {
            guard let gone = try reader.first(EventQueries.archived(id)) else {
                throw OperationError.notFound("There is no event \(id).")
            }
            throw OperationError.notFound(
                LogExport.archived(id, (try gone.int("idx"), try gone.string("pruned_by"))))
        }
        let row = try EventRow(stored)
        let bytes = try stored.bytes("leaf")
        let leaf = (try? JSON(parsing: bytes)) ?? .null
        let found = try reader.query([
            EventQueries.sealed(id), EventQueries.erasures(id), EventQueries.linked(to: id),
            EventQueries.neighbours(of: row.index ?? -2),
        ])
        let values = try found[0].first?.json("members") ?? .object([:])
        var erased: [String: String] = [:]
        for entry in found[1] { erased[try entry.string("member")] = try entry.string("erased_by") }

        var members: [String: Member] = [:]
        for (name, commitment) in commitments(in: leaf) {
            if let entry = values[name], let value = entry["value"],
                let salt = entry["salt"]?.string.flatMap({ Base64.decode($0) })
            {
                let computed = Base64.encode(SealedMember.commitment(salt: salt, value: value))
                members[name] = .present(value, salt: salt, matches: computed == commitment)
            } else {
                members[name] = erased[name].map(Member.erased) ?? .missing
            }
        }

        var beside: [Int64: String] = [:]
        for entry in found[3] { beside[try entry.int("idx")] = try entry.string("event_id") }
        let named = try EventRow.name([row] + found[2].map { try EventRow($0) }, from: reader)
        let hash = try stored.optionalBytes("hash")
        return EventDetail(
            row: named[0], leaf: leaf, leafBytes: bytes, hashMatches: hash.map { $0 == sha256([0] + bytes) },
            members: members, linked: Array(named.dropFirst()), previous: row.index.flatMap { beside[$0 - 1] },
            next: row.index.flatMap { beside[$0 + 1] })
    }

    /// Every commitment of a leaf by the name of its member: `justification`, `changes.0.before`.
    private static func commitments(in leaf: JSON) -> [String: String] {
        var out: [String: String] = [:]
        for (name, value) in leaf["sealed"]?.object ?? [:] { out[name] = value.string }
        for (index, change) in (leaf["changes"]?.array ?? []).enumerated() {
            for side in ["before", "after"] { out["changes.\(index).\(side)"] = change[side]?.string }
        }
        return out
    }

    func value(_ member: String) -> JSON? {
        if case .present(let value, _, _) = members[member] { value } else { nil }
    }

    /// A sealed value with its salt.
    func salted(_ member: String) -> (salt: [UInt8], value: JSON)? {
        if case .present(let value, let salt, _) = members[member] { (salt, value) } else { nil }
    }

    /// What happened to one entity, with the documents that still exist.
    struct RecordedChange: Sendable {
        let type: String
        let id: String
        let before: JSON?
        let after: JSON?
        /// Before or after was there and is gone.
        let isErased: Bool
    }

    var changes: [RecordedChange] {
        (leaf["changes"]?.array ?? []).enumerated().map { index, change in
            let names = ["before", "after"].filter { change[$0] != nil }.map { "changes.\(index).\($0)" }
            return RecordedChange(
                type: change["type"]?.string ?? "", id: change["id"]?.string ?? "",
                before: value("changes.\(index).before"), after: value("changes.\(index).after"),
                isErased: names.contains { value($0) == nil })
        }
    }

    /// False when any stored value or the leaf itself differs from what the log committed to.
    var isIntact: Bool {
        hashMatches != false
            && members.values.allSatisfy {
                switch $0 {
                case .present(_, _, let matches): matches
                case .erased: true
                case .missing: false
                }
            }
    }

    var json: JSON {
        var body = row.json.object ?? [:]
        body["leaf"] = leaf
        body["leaf_base64"] = .string(Base64.encode(leafBytes))
        body["leaf_matches"] = hashMatches.map(JSON.bool) ?? .null
        body["sealed"] = .object(
            members.mapValues { member in
                switch member {
                case .present(let value, _, let matches): ["value": value, "matches": .bool(matches)]
                case .erased(let event): ["erased_by": .string(event)]
                case .missing: ["missing": true]
                }
            })
        body["linked_events"] = .array(linked.map { .string($0.id) })
        body["previous"] = JSON(previous)
        body["next"] = JSON(next)
        return .object(body)
    }

    var disclosure: Disclosure {
        Disclosure("audit.view", target: ("event", row.id), tenant: row.tenantID, count: 1, ids: [row.id])
    }
}
