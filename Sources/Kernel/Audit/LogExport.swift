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
    /// Entries and bytes of a portion at most: large enough that its way to the database and out is of no account, small
    /// enough that a few of them are.
    static let page: Int64 = 1000
    static let pageBytes = 2 << 20

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
        pruned entry: ExportRows.Entry, in rows: ExportRows, by event: String, erased: [String: String],
        to out: inout [UInt8]
    ) {
        let line = JSON.members([
            ("id", .string(rows.text(entry.id))), ("index", .int(entry.index)),
            ("hash", .string(Base64.encode(rows.bytes[entry.hash]))), ("pruned_by", .string(event)),
            ("erased", erased.isEmpty ? nil : .object(erased.mapValues(JSON.string))),
        ])
        out.append(contentsOf: line.canonical + [0x0A])
    }

    /// - Parameter proof: writes the member `proof`, comma and all, or nothing.
    static func append(
        _ entry: ExportRows.Entry, in rows: ExportRows, erased: [String: String], to out: inout [UInt8],
        proof: (inout [UInt8]) throws -> Void
    ) throws {
        guard entry.at != nil else {
            throw LogDamage("the event \(rows.text(entry.id)) at \(entry.index) is missing")
        }
        try rows.bytes.withUnsafeBytes { bytes in
            func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { .init(rebasing: bytes[range]) }
            try append(
                id: part(entry.id), index: entry.index, leaf: part(entry.leaf), sealed: entry.sealed.map(part),
                erased: erased, to: &out, proof: proof)
        }
    }

    /// A line of an archive.
    static func append(_ entry: StoredEntry, proof: [MerkleHash], to out: inout [UInt8]) throws {
        guard let event = entry.event else {
            throw LogDamage("the event \(entry.eventID) at \(entry.index) is missing")
        }
        let id = Array(event.id.utf8)
        try id.withUnsafeBytes { id in
            try event.leaf.withUnsafeBytes { leaf in
                try append(id: id, index: entry.index, leaf: leaf, sealed: nil, erased: [:], to: &out) { out in
                    out.append(contentsOf: ",\"proof\":[".utf8)
                    out.append(contentsOf: proof.map { "\"\($0.base64)\"" }.joined(separator: ",").utf8)
                    out.append(UInt8(ascii: "]"))
                }
            }
        }
    }

    private static func append(
        id: UnsafeRawBufferPointer, index: Int64, leaf: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer?,
        erased: [String: String], to out: inout [UInt8], proof: (inout [UInt8]) throws -> Void
    ) throws {
        out.append(UInt8(ascii: "{"))
        if !erased.isEmpty {
            append("\"erased\":", to: &out)
            out.append(contentsOf: JSON.object(erased.mapValues(JSON.string)).canonical)
            out.append(UInt8(ascii: ","))
        }
        append("\"id\":", to: &out)
        if id.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            out.append(UInt8(ascii: "\""))
            out.append(contentsOf: id)
            out.append(UInt8(ascii: "\""))
        } else {
            out.append(contentsOf: JSON.string(String(decoding: id, as: UTF8.self)).canonical)
        }
        append(",\"index\":", to: &out)
        out.append(contentsOf: String(index).utf8)
        append(",\"leaf\":\"", to: &out)
        Base64.append(leaf, to: &out)
        out.append(UInt8(ascii: "\""))
        try proof(&out)
        if let sealed {
            append(",\"sealed\":", to: &out)
            if erased.isEmpty, !sealed.contains(0x0A) {
                // As stored: canonical already, and not worth parsing.
                out.append(contentsOf: sealed)
            } else {
                guard let members = try? JSON(parsing: Array(sealed)).object else {
                    throw LogDamage(
                        "the sealed members of \(String(decoding: id, as: UTF8.self)) are malformed")
                }
                out.append(contentsOf: JSON.object(members.filter { erased[$0.key] == nil }).canonical)
            }
        }
        append("}\n", to: &out)
    }

    private static func append(_ text: StaticString, to out: inout [UInt8]) {
        out.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
