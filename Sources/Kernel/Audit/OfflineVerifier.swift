import Foundation

/// Verifies an export with nothing but the file and the log's public key.
public enum OfflineVerifier {
    /// Lines longer than this are refused: an event and its sealed members are far smaller.
    static let longestLine = 64 << 20

    /// - Parameters:
    ///   - key: the log's verifier key, from a source other than the file.
    ///   - against: signed notes of older checkpoints. A full export must be consistent with them.
    /// - Throws: `NoteError` when the file is not an export at all.
    public static func verify(
        path: String, key: VerifierKey, against: [String] = [], progress: (Int64) -> Void = { _ in }
    ) throws -> VerificationReport {
        guard let file = FileHandle(forReadingAtPath: path) else { throw NoteError("The file \(path) can't be read.") }
        defer { try? file.close() }
        var export = OfflineExport(key: key, against: against)
        var rest: [UInt8] = []
        while let chunk = try file.read(upToCount: 1 << 20), !chunk.isEmpty {
            rest.append(contentsOf: chunk)
            var start = 0
            while let end = rest[start...].firstIndex(of: 0x0A) {
                try export.line(Array(rest[start..<end]))
                start = end + 1
                if export.events % 10_000 == 0 { progress(export.events) }
            }
            rest.removeFirst(start)
            guard rest.count <= longestLine else {
                throw NoteError("A line of the export is longer than \(longestLine) bytes.")
            }
        }
        return try export.finish(hasRest: !rest.isEmpty)
    }
}

private struct OfflineExport {
    let key: VerifierKey
    var report = VerificationReport()
    var events: Int64 = 0

    private var known: [Int64: [Checkpoint]] = [:]
    private var checkpoint: Checkpoint?
    private var isFull = false
    private var isArchive = false
    private var tree = TileFrontier()
    private var lastAgreed: Int64 = 0
    private var isBroken = false
    private var count: Int64?
    private var number = 0
    private var seen: Set<Int64> = []
    private var claims = ErasureClaims()
    private var pruning = PruningClaims()

    init(key: VerifierKey, against: [String]) {
        self.key = key
        for (note, source) in against.flatMap(KnownCheckpoints.notes) {
            do {
                let checkpoint = try Checkpoint(note: note, key: key)
                known[checkpoint.size, default: []].append(checkpoint)
                report.checkpointsChecked += 1
            } catch {
                report.add(Finding(.checkpointReplaced, row: source, "\(error)"))
            }
        }
    }

    mutating func line(_ bytes: [UInt8]) throws {
        number += 1
        let json = try? JSON(parsing: bytes)
        if number == 1 {
            guard let json, json["postern_export"]?.int == 1, let note = json["checkpoint"]?.string,
                let full = json["full"]?.bool
            else { throw NoteError("The file is not an export of an audit log.") }
            isFull = full
            isArchive = json["archive"]?.bool == true
            do {
                let signed = try Checkpoint(note: note, key: key)
                checkpoint = signed
                report.size = signed.size
                report.root = signed.root
                report.checkpointsChecked += 1
                for older in known.keys where older > signed.size {
                    report.add(
                        Finding(
                            .logRewound, row: "line 1",
                            "A checkpoint of \(older) entries was given, but the export's covers only \(signed.size)."))
                }
            } catch {
                report.add(Finding(.checkpointReplaced, row: "line 1", "\(error)"))
            }
            return
        }
        guard count == nil else {
            report.add(Finding(.rowAdded, row: "line \(number)", "The line stands after the end of the export."))
            return
        }
        guard let json else {
            report.add(Finding(.leafMalformed, row: "line \(number)", "The line is not JSON."))
            return
        }
        if json["postern_export_end"]?.int == 1 {
            count = json["count"]?.int ?? -1
            return
        }
        entry(json)
    }

    private mutating func entry(_ json: JSON) {
        events += 1
        let row = "line \(number)"
        if let event = json["pruned_by"]?.string {
            pruned(json, by: event, row)
            return
        }
        guard let index = json["index"]?.int, let leaf = json["leaf"]?.string.flatMap(Base64.decode) else {
            report.add(Finding(.leafMalformed, row: row, "The line has no index or no leaf."))
            return
        }
        let hash = MerkleTree.leafHash(leaf)
        let name = json["id"]?.string
        if isFull {
            grow(hash, index, name, row)
        } else if let checkpoint {
            if !seen.insert(index).inserted {
                report.add(
                    Finding(.duplicate, index: index, event: name, row: row, "The entry stands in the file twice."))
            }
            let proof = (json["proof"]?.array ?? []).compactMap { $0.string.flatMap { MerkleHash(base64: $0) } }
            guard
                MerkleTree.verifyInclusion(
                    of: hash, index: index, size: checkpoint.size, proof: proof, root: checkpoint.root)
            else {
                report.add(
                    Finding(
                        .leafEdited, index: index, event: name, row: row,
                        "The proof does not lead from the entry to the signed root."))
                return
            }
        }
        guard let event = try? LeafReader(leaf) else {
            report.add(
                Finding(.leafMalformed, index: index, event: name, row: row, "The leaf is not an event of version 1."))
            return
        }
        if event.json["id"]?.string != name {
            report.add(
                Finding(.projectionEdited, index: index, event: name, row: row, "The line's id is not the event's."))
        }
        report.eventsChecked += 1
        if let name {
            claims.meet(name, event.json)
            pruning.meet(name, event.json)
        }
        let sealed = json["sealed"]?.object ?? [:]
        let erased = json["erased"]?.object ?? [:]
        for (member, commitment) in event.commitments {
            if let value = sealed[member] {
                report.valuesChecked += 1
                guard let opened = SealedMember(name: member, json: value),
                    Base64.encode(opened.commitment) == commitment
                else {
                    report.add(
                        Finding(
                            .valueEdited, index: index, event: name, row: row,
                            "The sealed member \(member) is not the value the event commits to."))
                    continue
                }
            } else if let erasure = erased[member]?.string {
                report.erasedValues += 1
                claims.claim(name ?? "", member, by: erasure)
            } else if !isArchive {
                report.add(
                    Finding(
                        .valueDeleted, index: index, event: name, row: row,
                        "The sealed member \(member) is missing, and no erasure is named."))
            }
        }
        for member in sealed.keys where event.commitments[member] == nil {
            report.add(
                Finding(
                    .valueAdded, index: index, event: name, row: row,
                    "The event knows nothing of the sealed member \(member)."))
        }
    }

    private mutating func grow(_ hash: MerkleHash, _ index: Int64, _ name: String?, _ row: String) {
        if index != tree.size {
            report.add(
                Finding(
                    index > tree.size ? .rowDeleted : .duplicate, index: tree.size, event: name, row: row,
                    "The entry \(tree.size) should stand here, but it is \(index)."))
        }
        tree.append(hash) { _ in }
        for older in known[tree.size] ?? [] { compare(older) }
    }

    /// An entry whose event is in the archive: its hash stands for it.
    private mutating func pruned(_ json: JSON, by event: String, _ row: String) {
        guard isFull, let index = json["index"]?.int, let name = json["id"]?.string,
            let hash = json["hash"]?.string.flatMap({ MerkleHash(base64: $0) })
        else {
            report.add(Finding(.leafMalformed, row: row, "The line has no index or no hash, or does not belong here."))
            return
        }
        grow(hash, index, name, row)
        pruning.claim(index: index, hash: hash, by: event)
        report.eventsArchived += 1
        for (member, erasure) in json["erased"]?.object ?? [:] {
            claims.claim(name, member, by: erasure.string ?? "")
        }
    }

    private mutating func compare(_ other: Checkpoint) {
        if tree.root == other.root {
            lastAgreed = tree.size
        } else if !isBroken {
            isBroken = true
            report.add(
                Finding(
                    .historyRewritten, index: lastAgreed, row: "checkpoint of \(other.size)",
                    """
                    The signed root of \(other.size) entries is not the one these entries give: something from index \
                    \(lastAgreed) to \(other.size - 1) was rewritten.
                    """))
        }
    }

    mutating func finish(hasRest: Bool) throws -> VerificationReport {
        guard number > 0 else { throw NoteError("The file is not an export of an audit log.") }
        if hasRest || count == nil {
            report.add(
                Finding(.rowDeleted, row: "line \(number + 1)", "The export was cut off: its last line is missing."))
        } else if count != events {
            report.add(
                Finding(
                    .rowDeleted, row: "line \(number)",
                    "The export says it holds \(count ?? 0) events; it holds \(events)."))
        }
        if isFull, let checkpoint {
            if tree.size == checkpoint.size {
                compare(checkpoint)
            } else {
                report.add(
                    Finding(
                        tree.size < checkpoint.size ? .rowDeleted : .rowAdded, index: tree.size,
                        "The export holds \(tree.size) entries; its checkpoint covers \(checkpoint.size)."))
            }
        }
        if isFull {
            for finding in claims.findings() + pruning.findings() { report.add(finding) }
        } else if isArchive {
            report.notes.append("An archive: events whose retention has ended, without their sealed values.")
        } else {
            report.notes.append("A filtered export: what it leaves out can't be seen from it.")
            if report.erasedValues > 0 {
                report.notes.append("Whether its erasures are in the log can be seen from a full export only.")
            }
        }
        return report
    }
}
