/// A proof that an event is in the log, for an outsider who has only the log's public key.
public struct Receipt: Sendable, Hashable {
    /// The exact bytes of the event.
    public let leaf: [UInt8]
    public let index: Int64
    public let size: Int64
    public let proof: [MerkleHash]
    /// The signed note for `size`.
    public let checkpoint: String
    /// The sealed members that still exist, by name.
    public let sealed: [String: SealedMember]
    /// Members that were erased: name → the erasure's event.
    public let erased: [String: String]

    public init(
        leaf: [UInt8], index: Int64, size: Int64, proof: [MerkleHash], checkpoint: String,
        sealed: [String: SealedMember], erased: [String: String]
    ) {
        self.leaf = leaf
        self.index = index
        self.size = size
        self.proof = proof
        self.checkpoint = checkpoint
        self.sealed = sealed
        self.erased = erased
    }

    public var json: JSON {
        JSON.members([
            ("leaf", .string(Base64.encode(leaf))), ("index", .int(index)), ("size", .int(size)),
            ("proof", .array(proof.map { .string($0.base64) })), ("checkpoint", .string(checkpoint)),
            ("sealed", .object(sealed.mapValues(\.json))),
            ("erased", erased.isEmpty ? nil : .object(erased.mapValues(JSON.string))),
            ("notice", sealed.isEmpty ? nil : .string(Self.notice)),
        ])
    }

    /// What whoever hands a receipt out should know (spec: audit-log §3).
    public static let notice =
        "The sealed values in this receipt may be about people. They can still be erased from the log, but not from a receipt "
        + "that was handed out."

    public init(_ json: JSON) throws(NoteError) {
        guard let leaf = json["leaf"]?.string.flatMap(Base64.decode), let index = json["index"]?.int,
            let size = json["size"]?.int, let proof = json["proof"]?.array, let checkpoint = json["checkpoint"]?.string
        else { throw NoteError("The receipt lacks leaf, index, size, proof or checkpoint.") }
        var hashes: [MerkleHash] = []
        for step in proof {
            guard let hash = step.string.flatMap({ MerkleHash(base64: $0) }) else {
                throw NoteError("A step of the receipt's proof is not a hash.")
            }
            hashes.append(hash)
        }
        var sealed: [String: SealedMember] = [:]
        for (name, value) in json["sealed"]?.object ?? [:] {
            guard let member = SealedMember(name: name, json: value) else {
                throw NoteError("The receipt's sealed member \(name) has no salt and value.")
            }
            sealed[name] = member
        }
        let erased = (json["erased"]?.object ?? [:]).compactMapValues(\.string)
        self.init(
            leaf: leaf, index: index, size: size, proof: hashes, checkpoint: checkpoint, sealed: sealed, erased: erased)
    }

    /// Checks the signature, the path from the leaf to the signed root, and every sealed value against its commitment.
    public func verify(key: VerifierKey) throws(NoteError) {
        let signed = try Checkpoint(note: checkpoint, key: key)
        guard signed.size == size else { throw NoteError("The receipt and its checkpoint are of different sizes.") }
        guard
            MerkleTree.verifyInclusion(
                of: MerkleTree.leafHash(leaf), index: index, size: size, proof: proof, root: signed.root)
        else { throw NoteError("The proof does not lead from the event to the signed root.") }
        guard let event = try? LeafReader(leaf) else { throw NoteError("The leaf is not an event of version 1.") }
        for (name, member) in sealed {
            guard let commitment = event.commitments[name] else {
                throw NoteError("The event has no sealed member \(name).")
            }
            guard commitment == Base64.encode(member.commitment) else {
                throw NoteError("The sealed member \(name) is not the value the event commits to.")
            }
        }
    }
}

extension SealedMember {
    /// `{"salt": base64, "value": …}`; `nil` when it is anything else.
    public init?(name: String, json: JSON) {
        guard let salt = json["salt"]?.string.flatMap(Base64.decode), let value = json["value"] else { return nil }
        self.init(name: name, salt: salt, value: value, subjects: [])
    }

    /// `{"salt": base64, "value": …}`
    public var json: JSON { ["salt": .string(Base64.encode(salt)), "value": value] }
}

/// A leaf, read back.
public struct LeafReader: Sendable {
    public let json: JSON
    /// Sealed member name → base 64 of its commitment.
    public let commitments: [String: String]
    /// The governed rows recorded one by one: type, id, and whether the row exists afterwards.
    public let changes: [(type: String, id: String, exists: Bool)]

    /// - Throws: `NoteError` when the bytes are not an event of version 1.
    public init(_ leaf: [UInt8]) throws(NoteError) {
        guard let json = try? JSON(parsing: leaf), json.object != nil else {
            throw NoteError("The leaf is not a JSON object.")
        }
        guard let version = json["v"]?.int else { throw NoteError("The leaf has no version.") }
        guard version == 1 else {
            throw NoteError("The leaf is of version \(version), which this program does not know.")
        }
        var commitments: [String: String] = [:]
        var changes: [(type: String, id: String, exists: Bool)] = []
        for (index, change) in (json["changes"]?.array ?? []).enumerated() {
            guard let type = change["type"]?.string, let id = change["id"]?.string else {
                throw NoteError("Change \(index) of the leaf has no type or no id.")
            }
            for side in ["before", "after"] {
                if let commitment = change[side]?.string { commitments["changes.\(index).\(side)"] = commitment }
            }
            changes.append((type, id, change["after"] != nil))
        }
        for (name, value) in json["sealed"]?.object ?? [:] {
            guard let commitment = value.string else {
                throw NoteError("The leaf's sealed member \(name) is not a commitment.")
            }
            commitments[name] = commitment
        }
        self.json = json
        self.commitments = commitments
        self.changes = changes
    }
}
