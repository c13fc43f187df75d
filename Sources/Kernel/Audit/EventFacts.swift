/// What an event says about the rows it names. Whether the event itself is what the tree holds is another question.
public struct EventFacts: Sendable {
    public enum Judgement: Sendable { case same, edited, deleted, erased, notNamed }

    /// What there is to put beside a row, or to put back in its place.
    public enum Said: Sendable, Hashable {
        /// The document the event commits to.
        case document(JSON)
        /// Only a digest of its document: it came in a batch.
        case digest(String)
        case erased
        /// The value that is kept is not the one it commits to, or it says nothing of the row.
        case nothing
    }

    let leafBytes: [UInt8]
    let sealed: String?
    /// Members that were erased.
    let erased: Set<String>
    private let leaf: LeafReader
    private let members: [String: JSON]
    /// type/id → digest
    private let digests: [String: String]
    private let digestsErased: Bool

    /// `nil` when the leaf can't be read.
    public init?(leaf bytes: [UInt8], sealed: String?, erased: Set<String>) {
        guard let leaf = try? LeafReader(bytes) else { return nil }
        self.leaf = leaf
        leafBytes = bytes
        self.sealed = sealed
        members = sealed.flatMap { try? JSON(parsing: $0).object } ?? [:]
        self.erased = erased
        var digests: [String: String] = [:]
        let hasDigests = leaf.json["facts"]?["rows"]?.int != nil
        if hasDigests, let rows = DigestRows(members["details"]?["value"]) {
            for row in rows.rows { digests["\(row.type)/\(row.id)"] = row.sha256 }
        }
        self.digests = digests
        digestsErased = hasDigests && members["details"] == nil && erased.contains("details")
    }

    /// Compares a row with it; `nil` when there is none.
    public func judge(_ type: String, _ rowID: String, _ document: JSON?) -> Judgement {
        if let position = position(type, rowID) {
            guard leaf.changes[position].exists else { return document == nil ? .same : .edited }
            guard let document else { return .deleted }
            if document.isNull { return .same }
            let name = "changes.\(position).after"
            // Only what is gone can have been erased.
            if members[name] == nil, erased.contains(name) { return .erased }
            // Straight against the leaf: salt and row must give the commitment.
            return commits(name, to: document) ? .same : .edited
        }
        if digestsErased { return .erased }
        guard let digest = digests["\(type)/\(rowID)"] else { return .notNamed }
        guard let document else { return .deleted }
        if document.isNull { return .same }
        return sha256(document.canonical).hex == digest ? .same : .edited
    }

    /// What it says a row is.
    public func said(of type: String, _ rowID: String) -> Said {
        let position = position(type, rowID)
        let name = position.map { "changes.\($0).after" } ?? "details"
        guard let value = members[name]?["value"] else { return erased.contains(name) ? .erased : .nothing }
        guard commits(name, to: value) else { return .nothing }
        if position != nil { return .document(value) }
        return digests["\(type)/\(rowID)"].map(Said.digest) ?? .nothing
    }

    private func position(_ type: String, _ rowID: String) -> Int? {
        leaf.changes.lastIndex { $0.type == type && $0.id == rowID }
    }

    private func commits(_ name: String, to value: JSON) -> Bool {
        guard let salt = members[name]?["salt"]?.string.flatMap(Base64.decode) else { return false }
        return Base64.encode(SealedMember.commitment(salt: salt, value: value)) == leaf.commitments[name]
    }
}
