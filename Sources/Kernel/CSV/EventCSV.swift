/// The log as a table: one record for each entry, with the index and the hash of its leaf. A record says nothing that its
/// leaf and sealed members don't; the JSONL export of the same entries holds these and the proofs.
public enum EventCSV {
    /// Sealed members that are one line of text.
    private static let sealed = ["justification", "ticket", "actor_ip", "user_agent"]

    private static let columns: [CSV.Column] =
        [
            .member("id"), .member("at"), .member("class"), .member("action"), .member("outcome"),
            CSV.Column("actor_type") { CSV.Cell($0["actor"]?["type"]) },
            CSV.Column("actor_id") { CSV.Cell($0["actor"]?["id"]) }, .member("acting_as"), .member("client"),
            .member("tenant"), CSV.Column("target_type") { CSV.Cell($0["target"]?["type"]) },
            CSV.Column("target_id") { CSV.Cell($0["target"]?["id"]) }, .member("reason_code"),
            .member("request_id"), .member("operation_id"), .member("approval_id"), .member("linked"),
            .member("retention_class"), .member("facts"),
        ]

    public static let names = ["index"] + columns.map(\.name) + sealed + ["erased", "pruned_by", "leaf_hash"]

    /// - Parameters:
    ///   - leaf: the parsed leaf; `nil` of an entry in the archive.
    ///   - sealed: member → `{"salt", "value"}`.
    ///   - erased: member → the erasure's event.
    static func append(
        index: Int64, id: String, leaf: JSON?, hash: MerkleHash, sealed values: JSON?, erased: [String: String],
        prunedBy: String?, to out: inout [UInt8]
    ) {
        var cells: [CSV.Cell] = [.number(index)]
        if let leaf {
            cells += columns.map { $0.cell(leaf) }
        } else {
            cells += columns.map { $0.name == "id" ? .text(id) : .empty }
        }
        cells += sealed.map { name in erased[name] == nil ? CSV.Cell(values?[name]?["value"]) : .empty }
        cells.append(erased.isEmpty ? .empty : .text(erased.keys.sorted().joined(separator: " ")))
        cells += [CSV.Cell(prunedBy), .text(hash.bytes.hex)]
        CSV.append(cells, to: &out)
    }

    /// The record of a line of a JSONL export; `nil` for its first and last, which are about the file.
    /// - Throws: `NoteError` when it is not a line of an export.
    public static func record(ofLine line: [UInt8]) throws(NoteError) -> [UInt8]? {
        guard let json = try? JSON(parsing: line) else { throw NoteError("A line of the export is not JSON.") }
        if json["postern_export"] != nil || json["postern_export_end"] != nil { return nil }
        let leaf = json["leaf"]?.string.flatMap(Base64.decode)
        let hash = leaf.map { MerkleTree.leafHash($0) } ?? json["hash"]?.string.flatMap { MerkleHash(base64: $0) }
        guard let index = json["index"]?.int, let id = json["id"]?.string, let hash else {
            throw NoteError("A line of the export has no index, or neither leaf nor hash.")
        }
        let event = leaf.flatMap { try? JSON(parsing: $0) }
        guard leaf == nil || event != nil else { throw NoteError("The leaf of entry \(index) is not JSON.") }
        var out: [UInt8] = []
        append(
            index: index, id: id, leaf: event, hash: hash, sealed: json["sealed"],
            erased: (json["erased"]?.object ?? [:]).compactMapValues(\.string), prunedBy: json["pruned_by"]?.string,
            to: &out)
        return out
    }
}
