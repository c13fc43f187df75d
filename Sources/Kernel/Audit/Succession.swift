/// The signed record that a new log continues where an old one had to end: after a restored backup, or to change the key.
///
/// A note signed by both keys, so that neither can claim the succession alone. It says which checkpoint of the old log
/// was the last known and from which state of the database the new log goes on; what lies between is lost, openly.
public struct Succession: Sendable, Hashable {
    static let header = "postern-succession/v1"

    public let old: VerifierKey
    public let new: VerifierKey
    /// The largest checkpoint of the old log anybody knows of.
    public let lastKnown: (size: Int64, root: MerkleHash)
    /// The state the new log begins with.
    public let begins: (size: Int64, root: MerkleHash)
    public let at: Instant

    public init(
        old: VerifierKey, new: VerifierKey, lastKnown: (size: Int64, root: MerkleHash),
        begins: (size: Int64, root: MerkleHash), at: Instant
    ) {
        self.old = old
        self.new = new
        self.lastKnown = lastKnown
        self.begins = begins
        self.at = at
    }

    public static func == (a: Succession, b: Succession) -> Bool { a.text == b.text }
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }

    public var text: String {
        [
            Self.header, old.text, "\(lastKnown.size) \(lastKnown.root.base64)", new.text,
            "\(begins.size) \(begins.root.base64)", at.rfc3339,
        ].map { $0 + "\n" }.joined()
    }

    public func signed(by oldKey: LogKey, and newKey: LogKey) throws -> String {
        SignedNote(text: text, signatures: [try oldKey.sign(text), try newKey.sign(text)]).encoded
    }

    /// Reads a record and checks both signatures.
    public init(note: String) throws(NoteError) {
        let signed = try SignedNote(parsing: note)
        let lines = signed.text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count == 7, lines[0] == Self.header, lines[6].isEmpty, let at = Instant(rfc3339: lines[5]) else {
            throw NoteError("This is not a succession record.")
        }
        func state(_ line: String) throws(NoteError) -> (Int64, MerkleHash) {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let size = Int64(parts[0]), size >= 0,
                let root = MerkleHash(base64: String(parts[1]))
            else {
                throw NoteError("The succession record has a malformed size or root.")
            }
            return (size, root)
        }
        self.init(
            old: try VerifierKey(lines[1]), new: try VerifierKey(lines[3]), lastKnown: try state(lines[2]),
            begins: try state(lines[4]), at: at)
        try signed.verify(by: old)
        try signed.verify(by: new)
    }

    /// Ends the log of `oldKey` and opens the one of `newKey` on the same database. No server may be running.
    ///
    /// The record goes to `checkpoints.log` first, then the state changes hands, and an event in the new log carries the
    /// record, so that every copy of the log tells of it.
    /// - Returns: the record.
    public static func open(
        database: any Database, store: any LogStore, records: any Records, leadership: any Leadership,
        file: CheckpointFile,
        oldKey: LogKey, newKey: LogKey, clock: Clock
    ) async throws -> String {
        guard oldKey.name != newKey.name else {
            throw NoteError("A successor log needs an origin of its own; \(newKey.name) is the old one's.")
        }
        guard let lease = try await leadership.acquire(Sequencer.leaderName) else {
            throw NoteError("A server is running on this database. Stop it, then open the successor log.")
        }
        do {
            let note = try await handOver(
                database: database, store: store, records: records, file: file, oldKey: oldKey, newKey: newKey,
                clock: clock)
            await lease.release()
            return note
        } catch {
            await lease.release()
            throw error
        }
    }

    private static func handOver(
        database: any Database, store: any LogStore, records: any Records, file: CheckpointFile, oldKey: LogKey,
        newKey: LogKey, clock: Clock
    ) async throws -> String {
        let (state, published) = try await database.read { reader in
            (try store.state(reader), try store.newestCheckpoint(reader))
        }
        guard let state, state.origin == oldKey.name else {
            throw NoteError("The database does not hold the log \(oldKey.name).")
        }
        let frontier = try await database.read { try store.frontier(size: state.size, $0) }
        guard frontier.root == state.root else {
            throw NoteError(
                "The database contradicts itself; run postern verify, and restore a copy that verifies first.")
        }
        var last = Checkpoint(origin: state.origin, size: state.size, root: state.root)
        var notes = published.map { [$0.note] } ?? []
        try file.readAll { if case .checkpoint(let note) = $1 { notes.append(note) } }
        for note in notes {
            if let known = try? Checkpoint(note: note, key: oldKey.verifier), known.size > last.size { last = known }
        }
        let record = Succession(
            old: oldKey.verifier, new: newKey.verifier, lastKnown: (last.size, last.root),
            begins: (state.size, state.root), at: clock.now)
        let note = try record.signed(by: oldKey, and: newKey)
        var draft = EventDraft(at: clock.now, .system, "log.succeeded", actor: .system("audit"))
        draft.facts = ["record": .string(note)]
        let event = SealedEvent(draft)
        try file.append(.succession(note))
        try await database.write { writer in
            writer.enqueue(records.insert(event))
            writer.enqueue(
                store.advance(
                    state, to: LogState(origin: newKey.name, size: state.size, root: state.root, epoch: state.epoch + 1)
                ))
        }
        return note
    }
}
