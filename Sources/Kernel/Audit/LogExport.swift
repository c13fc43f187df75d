/// The JSONL export: verifiable by anyone who has the file and the log's public key.
///
///     {"postern_export":1,"checkpoint":"…note…","full":true,"key":"name+id+key","origin":"name"}
///     {"id":"evt_…","index":0,"leaf":"base64","sealed":{"details":{"salt":"base64","value":…}}}
///     {"count":1,"postern_export_end":1}
///
/// A full export holds every leaf below the checkpoint's size in order and needs no proofs; a filtered one carries the
/// inclusion proof of each event. `erased` names the erasure's event of members that are gone. Of an entry whose event is
/// in the archive stand its `hash` and the event of retention that let it go (`pruned_by`).
///
/// An archive is a filtered export without the sealed members: what has outlived its retention is kept as proof, not as
/// personal data.
public enum LogExport {
    static let page: Int64 = 1000

    static func header(
        origin: String, key: String, checkpoint: String, isFull: Bool, isArchive: Bool = false, _ filter: EventFilter
    ) -> [UInt8] {
        JSON.members([
            ("postern_export", 1), ("origin", .string(origin)), ("key", .string(key)),
            ("checkpoint", .string(checkpoint)),
            ("full", .bool(isFull)), ("filter", isFull || isArchive ? nil : filter.json),
            ("archive", isArchive ? true : nil),
        ]).canonical + [0x0A]
    }

    /// A sentence about an event that left.
    public static func archived(_ id: String, _ pruned: (index: Int64, by: String)) -> String {
        """
        The event \(id) is in the archive: its retention has ended. It is entry \(pruned.index) of the log; the event \
        \(pruned.by) names the file.
        """
    }

    static func footer(count: Int64) -> [UInt8] {
        JSON.object(["postern_export_end": 1, "count": .int(count)]).canonical + [0x0A]
    }

    static func append(
        pruned entry: StoredEntry, by event: String, erased: [String: String], to out: inout [UInt8]
    ) {
        let line = JSON.members([
            ("id", .string(entry.eventID)), ("index", .int(entry.index)), ("hash", .string(Base64.encode(entry.hash))),
            ("pruned_by", .string(event)),
            ("erased", erased.isEmpty ? nil : .object(erased.mapValues(JSON.string))),
        ])
        out.append(contentsOf: line.canonical + [0x0A])
    }

    static func append(
        _ entry: StoredEntry, proof: [MerkleHash]?, erased: [String: String], isArchive: Bool = false,
        to out: inout [UInt8]
    ) throws {
        guard let event = entry.event else {
            throw LogDamage("the event \(entry.eventID) at \(entry.index) is missing")
        }
        out.append(contentsOf: "{".utf8)
        if !erased.isEmpty {
            out.append(contentsOf: "\"erased\":".utf8)
            out.append(contentsOf: JSON.object(erased.mapValues(JSON.string)).canonical)
            out.append(contentsOf: ",".utf8)
        }
        out.append(contentsOf: "\"id\":".utf8)
        out.append(contentsOf: JSON.string(event.id).canonical)
        out.append(contentsOf: ",\"index\":\(entry.index),\"leaf\":\"".utf8)
        event.leaf.withUnsafeBytes { Base64.append($0, to: &out) }
        out.append(contentsOf: "\"".utf8)
        if let proof {
            out.append(contentsOf: ",\"proof\":[".utf8)
            for (position, step) in proof.enumerated() {
                out.append(contentsOf: (position == 0 ? "\"" : ",\"").utf8)
                withUnsafeBytes(of: step) { Base64.append($0, to: &out) }
                out.append(contentsOf: "\"".utf8)
            }
            out.append(contentsOf: "]".utf8)
        }
        if !isArchive, var sealed = entry.sealed {
            out.append(contentsOf: ",\"sealed\":".utf8)
            if erased.isEmpty, !sealed.withUTF8({ $0.contains(0x0A) }) {
                // As stored: canonical already, and not worth parsing.
                out.append(contentsOf: sealed.utf8)
            } else {
                guard let members = try? JSON(parsing: sealed).object else {
                    throw LogDamage("the sealed members of \(event.id) are malformed")
                }
                out.append(contentsOf: JSON.object(members.filter { erased[$0.key] == nil }).canonical)
            }
        }
        out.append(contentsOf: "}\n".utf8)
    }
}
