/// The state of a verification between portions: it can be written down and taken up again.
struct LogWalk: Sendable {
    /// The size when the run began; what came later is not walked.
    let size: Int64
    /// The next index.
    var next: Int64 = 0
    /// Of the events' bytes, the stored hashes and the stored tiles; one while all agree.
    private var trees: [TileFrontier] = [TileFrontier()]
    /// Which of the three agree with every checkpoint so far.
    private var agrees = [true, true, true]
    /// Indexes where not all three have the same hash.
    private var suspects: [Suspect] = []
    private var lastAgreed: Int64 = 0
    private var broken: (size: Int64, source: String)?

    var namings = NamingSum()
    let namingKey: [UInt8]
    var unknownRows: [String: Int64] = [:]
    var claims = ErasureClaims()
    var pruning = PruningClaims()
    var checkpoints: Int64 = 0
    var report = VerificationReport()

    struct Suspect: Sendable {
        let index: Int64
        let event: String?
        /// Of the event's bytes, as stored, as in the tile.
        let hashes: [MerkleHash?]
    }

    init(size: Int64, key: [UInt8]) {
        self.size = size
        namingKey = key
        report.size = size
    }

    var isForked: Bool { trees.count == 3 }

    /// - Parameter isPruned: the event is in the archive, and the stored hash stands for it.
    mutating func append(
        leaf: MerkleHash?, stored: MerkleHash?, tile: MerkleHash?, isPruned: Bool, event: String?,
        completed: inout [FullTile]
    ) {
        let known = isPruned ? stored : leaf
        let same = known != nil && known == stored && (tile == nil || tile == known)
        if !same {
            if !isForked { trees = [trees[0], trees[0], trees[0]] }
            suspects.append(Suspect(index: trees[0].size, event: event, hashes: [leaf, stored, tile]))
        }
        if !isForked {
            trees[0].append(known!) { completed.append($0) }
            return
        }
        // What one source does not have is taken from another, so that one gap does not spoil its whole tree.
        let nothing = MerkleTree.emptyRoot
        trees[0].append(leaf ?? stored ?? tile ?? nothing) { completed.append($0) }
        trees[1].append(stored ?? tile ?? leaf ?? nothing) { _ in }
        trees[2].append(tile ?? stored ?? leaf ?? nothing) { _ in }
    }

    /// Compares the trees with checkpoints of the size they have now.
    mutating func compare(_ known: [KnownCheckpoint], at size: Int64) {
        let roots = trees.map(\.root)
        for checkpoint in known {
            let matches = (0..<3).map { agrees[$0] && roots[min($0, roots.count - 1)] == checkpoint.root }
            if matches.contains(true) {
                agrees = matches
                lastAgreed = size
            } else if broken == nil {
                broken = (size, checkpoint.source)
            }
        }
    }

    /// Compares with the stored state: the last word when no checkpoint covers the end.
    mutating func compare(state: LogState) {
        let roots = trees.map(\.root)
        let matches = (0..<3).map { agrees[$0] && roots[min($0, roots.count - 1)] == state.root }
        if matches.contains(true) {
            agrees = matches
        } else if broken == nil {
            report.add(
                Finding(
                    .stateEdited, row: "log_state:1",
                    "The stored root of \(state.size) entries is not the one the entries give."))
        }
    }

    /// Says of every index where the sources disagree which of them was edited.
    mutating func conclude() {
        if let broken {
            report.add(
                Finding(
                    .historyRewritten, index: lastAgreed, row: broken.source,
                    """
                    The signed root of \(broken.size) entries (\(broken.source)) is not the one the stored entries give: \
                    something from index \(lastAgreed) to \(broken.size - 1) was rewritten.
                    """))
        }
        let judge = isForked ? (agrees.firstIndex(of: true) ?? 1) : 0
        report.root = trees[isForked ? judge : 0].root
        for suspect in suspects {
            guard let right = suspect.hashes[judge] ?? suspect.hashes[1] ?? suspect.hashes[2] else { continue }
            let name = suspect.event
            if let leaf = suspect.hashes[0], leaf != right {
                report.add(
                    Finding(
                        .leafEdited, index: suspect.index, event: name, row: name.map { "events:\($0)" },
                        "The bytes of the event are not the ones in the tree."))
            }
            if suspect.hashes[1] != nil, suspect.hashes[1] != right {
                report.add(
                    Finding(
                        .leafHashEdited, index: suspect.index, event: name, row: "log_leaf:\(suspect.index)",
                        "The stored hash is not the one in the tree."))
            }
            if let tile = suspect.hashes[2], tile != right {
                report.add(
                    Finding(
                        .tileEdited, index: suspect.index, row: "log_tile:0/\(suspect.index / Int64(Tiles.width))",
                        "The hash of index \(suspect.index) in the tile is not the tree's."))
            }
        }
    }

    // MARK: Written down

    var json: JSON {
        JSON.members([
            ("postern_verify", 1), ("size", .int(size)), ("next", .int(next)),
            ("key", .string(Base64.encode(namingKey))),
            (
                "trees",
                .array(
                    trees.map { .array($0.levels.map { .string(Base64.encode(MerkleHash.concatenate($0))) }) })
            ),
            ("agrees", .array(agrees.map(JSON.bool))), ("last_agreed", .int(lastAgreed)),
            ("broken", broken.map { ["size": .int($0.size), "source": .string($0.source)] }),
            (
                "suspects",
                .array(
                    suspects.map { suspect in
                        .object([
                            "index": .int(suspect.index), "event": JSON(suspect.event),
                            "hashes": .array(suspect.hashes.map { JSON($0?.base64) }),
                        ])
                    })
            ),
            ("namings", namings.json), ("unknown_rows", .object(unknownRows.mapValues(JSON.int))),
            ("claims", claims.json), ("pruning", pruning.json), ("checkpoints", .int(checkpoints)),
            ("report", report.json),
        ])
    }

    init?(_ json: JSON) {
        guard json["postern_verify"]?.int == 1, let size = json["size"]?.int, let next = json["next"]?.int,
            next >= 0, next <= size, let key = json["key"]?.string.flatMap(Base64.decode), key.count == 32,
            let trees = json["trees"]?.array, trees.count == 1 || trees.count == 3,
            let agrees = json["agrees"]?.array?.compactMap(\.bool), agrees.count == 3,
            let lastAgreed = json["last_agreed"]?.int, let namings = json["namings"].flatMap({ NamingSum($0) }),
            let checkpoints = json["checkpoints"]?.int, let suspects = json["suspects"]?.array,
            let claims = json["claims"].flatMap({ ErasureClaims($0) }),
            let pruning = json["pruning"].flatMap({ PruningClaims($0) }), let report = json["report"],
            let findings = report["findings"]?.array
        else { return nil }
        self.size = size
        self.next = next
        namingKey = key
        self.agrees = agrees
        self.lastAgreed = lastAgreed
        self.namings = namings
        self.claims = claims
        self.pruning = pruning
        self.checkpoints = checkpoints
        self.trees = []
        for tree in trees {
            let levels = (tree.array ?? []).compactMap {
                $0.string.flatMap(Base64.decode).flatMap { MerkleHash.split($0) }
            }
            guard let frontier = TileFrontier(size: next, levels: levels) else { return nil }
            self.trees.append(frontier)
        }
        if let broken = json["broken"], let size = broken["size"]?.int, let source = broken["source"]?.string {
            self.broken = (size, source)
        }
        self.suspects = suspects.map { suspect in
            Suspect(
                index: suspect["index"]?.int ?? 0, event: suspect["event"]?.string,
                hashes: (suspect["hashes"]?.array ?? []).map { $0.string.flatMap { MerkleHash(base64: $0) } })
        }
        guard self.suspects.allSatisfy({ $0.hashes.count == 3 }) else { return nil }
        unknownRows = (json["unknown_rows"]?.object ?? [:]).compactMapValues(\.int)
        self.report.size = size
        self.report.findings = findings.compactMap { Finding($0) }
        self.report.more = report["more_findings"]?.int ?? 0
        self.report.eventsChecked = report["events"]?.int ?? 0
        self.report.valuesChecked = report["sealed_values"]?.int ?? 0
        self.report.erasedValues = report["erased_values"]?.int ?? 0
    }
}

/// A signed checkpoint and where it was found.
struct KnownCheckpoint: Sendable {
    let size: Int64
    let root: MerkleHash
    let source: String
}

/// The checkpoints known outside the tables, and the keys they are checked with.
public struct KnownCheckpoints: Sendable {
    private let key: VerifierKey
    private var successions: [String: Succession] = [:]
    private var seen: Set<String> = []
    private(set) var bySize: [Int64: [KnownCheckpoint]] = [:]
    private(set) var count: Int64 = 0
    var findings: [Finding] = []

    init(key: VerifierKey) { self.key = key }

    /// Every record of `checkpoints.log`.
    mutating func read(_ file: CheckpointFile) throws {
        // Successions first: they say with which keys older checkpoints are checked.
        do {
            try file.readAll { line, record in
                guard case .succession(let note) = record else { return }
                do {
                    let succession = try Succession(note: note)
                    successions[succession.old.name] = succession
                } catch {
                    findings.append(
                        Finding(
                            .checkpointReplaced, row: "\(file.path):\(line)",
                            "The succession record is not valid: \(error)"))
                }
            }
            try file.readAll { line, record in
                if case .checkpoint(let note) = record { add(note, source: "\(file.path):\(line)") }
            }
        } catch let damage as LogDamage {
            findings.append(Finding(.checkpointReplaced, row: file.path, damage.description))
        }
    }

    /// True for a signed note of a checkpoint and for the text of a `checkpoints.log` with at least one, whoever signed them.
    public static func isReadable(_ text: String) -> Bool {
        let notes = notes(in: text)
        return !notes.isEmpty
            && notes.allSatisfy { (try? Checkpoint(text: try SignedNote(parsing: $0.note).text)) != nil }
    }

    /// A signed note, or the text of a `checkpoints.log`.
    mutating func read(text: String) {
        for (note, source) in Self.notes(in: text) { add(note, source: source) }
    }

    static func notes(in text: String) -> [(note: String, source: String)] {
        guard text.utf8.first == UInt8(ascii: "{") else { return [(text, "the given checkpoint")] }
        // A last line without its end was never served (see CheckpointFile).
        let whole = text.lastIndex(of: "\n").map { text[..<$0] } ?? ""
        return whole.split(separator: "\n").enumerated().compactMap { line, record in
            let json = try? JSON(parsing: String(record))
            if json?["succession"] != nil { return nil }
            // A line that is neither stands as it is, and is then found to be no note.
            return (json?["note"]?.string ?? String(record), "the given checkpoints, line \(line + 1)")
        }
    }

    private mutating func add(_ note: String, source: String) {
        count += 1
        do {
            let (checkpoint, _) = try verified(note)
            if let checkpoint { bySize[checkpoint.size, default: []].append(known(checkpoint, source)) }
            seen.insert(note)
        } catch {
            findings.append(Finding(.checkpointReplaced, row: source, "\(error)"))
        }
    }

    private func known(_ checkpoint: Checkpoint, _ source: String) -> KnownCheckpoint {
        KnownCheckpoint(size: checkpoint.size, root: checkpoint.root, source: source)
    }

    /// The checkpoint when its signature is right; the first is `nil` for one of an older log beyond the point where
    /// this one took over, which is lost as the succession record says.
    private func verified(_ note: String) throws(NoteError) -> (Checkpoint?, Checkpoint) {
        let origin = try Checkpoint(text: try SignedNote(parsing: note).text).origin
        guard origin != key.name, let succession = successions[origin] else {
            let checkpoint = try Checkpoint(note: note, key: key)
            return (checkpoint, checkpoint)
        }
        let checkpoint = try Checkpoint(note: note, key: succession.old)
        return (checkpoint.size <= succession.begins.size ? checkpoint : nil, checkpoint)
    }

    /// A row of `log_checkpoint`: what it says when it is right, and a finding when it is not.
    func check(_ stored: StoredCheckpoint, _ report: inout VerificationReport) -> KnownCheckpoint? {
        let row = "log_checkpoint:\(stored.size)"
        do {
            let checkpoint: Checkpoint
            if seen.contains(stored.note) {
                checkpoint = try Checkpoint(text: try SignedNote(parsing: stored.note).text)
            } else {
                checkpoint = try verified(stored.note).1
            }
            guard checkpoint.size == stored.size, checkpoint.root.bytes == stored.root else {
                throw NoteError("The row's size or root is not the one of its note.")
            }
            return known(checkpoint, row)
        } catch {
            report.add(Finding(.checkpointReplaced, row: row, "\(error)"))
            return nil
        }
    }

    func larger(than size: Int64) -> [KnownCheckpoint] {
        bySize.values.flatMap { $0 }.filter { $0.size > size }.sorted { $0.size > $1.size }.prefix(1).map { $0 }
    }
}
