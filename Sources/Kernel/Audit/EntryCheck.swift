import Crypto

/// An order-independent digest of a set of namings: equal sums mean equal sets. The key is fresh for every verification,
/// so that nobody can prepare rows that cancel out.
struct NamingSum: Sendable, Equatable {
    private(set) var low: UInt64 = 0
    private(set) var high: UInt64 = 0
    private(set) var count: Int64 = 0

    init() {}
    init?(_ json: JSON) {
        guard let low = json["low"]?.string.flatMap({ UInt64($0) }),
            let high = json["high"]?.string.flatMap({ UInt64($0) }),
            let count = json["count"]?.int
        else { return nil }
        (self.low, self.high, self.count) = (low, high, count)
    }
    var json: JSON { ["low": .string(String(low)), "high": .string(String(high)), "count": .int(count)] }

    mutating func add(_ type: String, _ id: String, _ event: String, key: [UInt8]) {
        var hasher = SHA256()
        var text: [UInt8] = []
        text.reserveCapacity(key.count + 128)
        text += key
        for part in [type, id, event] {
            text += part.utf8
            text.append(0)
        }
        text.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        let (first, second) = hasher.finalize().withUnsafeBytes {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        low &+= first
        high &+= second &+ (low < first ? 1 : 0)
        count += 1
    }

    mutating func add(_ other: NamingSum) {
        low &+= other.low
        high &+= other.high &+ (low < other.low ? 1 : 0)
        count += other.count
    }
}

/// What one portion of the log gave.
struct PortionCheck: Sendable {
    /// Per index: the event of retention that let the entry go.
    var pruned: [Int64: String] = [:]
    /// Per index: the hash of the leaf's bytes and the stored hash, where there are any.
    var hashes: [(leaf: MerkleHash?, stored: MerkleHash?)] = []
    /// The events' ids, in the same order.
    var ids: [String?] = []
    /// Stored level 0 tiles by index.
    var tiles: [Int64: [UInt8]] = [:]
    var checkpoints: [StoredCheckpoint] = []
    var findings: [Finding] = []
    var namings = NamingSum()
    /// Events that recorded rows by digest and whose digests were erased: event → number of rows.
    var unknownRows: [String: Int64] = [:]
    var events: Int64 = 0
    var values: Int64 = 0
    var erased: Int64 = 0
    var claims = ErasureClaims()
    /// Only the events of retention that were met; what left is claimed in order when portions are joined.
    var pruning = PruningClaims()
}

/// Checks one stored event against its own leaf: projections, commitments, named rows.
struct EntryCheck {
    let key: [UInt8]
    var result = PortionCheck()
    /// Members that are not there; whether they were erased is asked once per portion.
    private var missing: [(index: Int64, event: String, member: String)] = []
    private var subjects: [(index: Int64, naming: SubjectNaming)] = []
    /// Events with digests that could not be read.
    private var digestsMissing: [String: Int64] = [:]

    init(key: [UInt8]) { self.key = key }

    /// `index` is `nil` for an event that waits for the tree.
    mutating func check(_ event: StoredEvent, index: Int64?, sealed: String?) {
        let at = index ?? -1
        let leaf: LeafReader
        do {
            leaf = try LeafReader(event.leaf)
        } catch {
            result.findings.append(Finding(.leafMalformed, index: index, event: event.id, error.description))
            return
        }
        result.events += 1
        result.claims.meet(event.id, leaf.json)
        result.pruning.meet(event.id, leaf.json)
        checkProjections(event, leaf.json, index)

        var members: [String: JSON] = [:]
        if let sealed {
            if let parsed = try? JSON(parsing: sealed).object {
                members = parsed
            } else {
                result.findings.append(
                    Finding(
                        .valueEdited, index: index, event: event.id, row: "sealed:\(event.id)",
                        "The sealed row is not JSON."))
            }
        }
        for (name, commitment) in leaf.commitments {
            guard let json = members[name] else {
                missing.append((at, event.id, name))
                continue
            }
            result.values += 1
            guard let member = SealedMember(name: name, json: json), Base64.encode(member.commitment) == commitment
            else {
                result.findings.append(
                    Finding(
                        .valueEdited, index: index, event: event.id, row: "sealed:\(event.id)",
                        "The sealed member \(name) is not the value the event commits to."))
                continue
            }
            expectSubject(of: name, leaf, event.id, at)
        }
        for name in members.keys where leaf.commitments[name] == nil {
            result.findings.append(
                Finding(
                    .valueAdded, index: index, event: event.id, row: "sealed:\(event.id)",
                    "The event knows nothing of the sealed member \(name)."))
        }

        let named = EntityNaming.named(in: leaf, event.id, details: members["details"])
        for naming in named ?? [] { result.namings.add(naming.type, naming.id, naming.eventID, key: key) }
        if named == nil, members["details"] == nil {
            digestsMissing[event.id] = leaf.json["facts"]?["rows"]?.int ?? 0
        }
    }

    /// Types whose own id is the person or customer their documents are about.
    private static let selfSubjects: Set<String> = ["staff", "tenant", "user"]

    /// What the event itself tells of whose data a member is; the rest only the table knows.
    private mutating func expectSubject(of member: String, _ leaf: LeafReader, _ event: String, _ at: Int64) {
        func id(_ part: String, of types: Set<String>) -> String? {
            leaf.json[part]?["type"]?.string.map(types.contains) == true ? leaf.json[part]?["id"]?.string : nil
        }
        let expected: [String?]
        switch member {
        case "actor_ip", "user_agent": expected = [id("actor", of: ["staff"])]
        case "justification": expected = [id("actor", of: ["staff"]), id("target", of: Self.selfSubjects)]
        case "ticket": expected = [id("target", of: Self.selfSubjects)]
        default:
            let parts = member.split(separator: ".")
            guard parts.count == 3, parts[0] == "changes", let position = Int(parts[1]), position < leaf.changes.count
            else { return }
            let change = leaf.changes[position]
            // A tombstone is nobody's data.
            let isTombstone =
                parts[2] == "after" && leaf.json["facts"]?[EventDraft.erasureFact] == true
                && leaf.json["target"]?["id"]?.string == change.id
            expected = [Self.selfSubjects.contains(change.type) && !isTombstone ? change.id : nil]
        }
        for subject in expected.compactMap(\.self) {
            subjects.append((at, SubjectNaming(subject: subject, eventID: event, member: member)))
        }
    }

    private mutating func checkProjections(_ event: StoredEvent, _ leaf: JSON, _ index: Int64?) {
        func differ(_ a: String?, _ b: String?) -> Bool {
            guard let a, let b else { return a != nil || b != nil }
            return !a.hasSameBytes(as: b)
        }
        let expected: [String?] = [
            leaf["class"]?.string, leaf["action"]?.string, leaf["outcome"]?.string, leaf["actor"]?["type"]?.string,
            leaf["actor"]?["id"]?.string, leaf["tenant"]?.string, leaf["target"]?["type"]?.string,
            leaf["target"]?["id"]?.string, leaf["request_id"]?.string, leaf["operation_id"]?.string,
            leaf["approval_id"]?.string, leaf["linked"]?.string, leaf["retention_class"]?.string,
        ]
        var wrong: [String] = []
        for position in expected.indices where differ(event.projections[position], expected[position]) {
            wrong.append(StoredEvent.projectionNames[position])
        }
        if differ(event.id, leaf["id"]?.string) { wrong.append("id") }
        if leaf["at"]?.string.flatMap(Instant.init(exactly:))?.microseconds != event.at { wrong.append("at") }
        if !wrong.isEmpty {
            result.findings.append(
                Finding(
                    .projectionEdited, index: index, event: event.id, row: "events:\(event.id)",
                    "Columns that are not what the event says: \(wrong.joined(separator: ", "))."))
        }
    }

    /// Settles what needs other tables, with few queries for the whole portion.
    mutating func settle(_ store: any LogStore, _ reader: any Reader) throws {
        if !missing.isEmpty {
            var erasures: [String: [String: String]] = [:]
            for erasure in try store.erasures(Array(Set(missing.map(\.event))).sorted(), reader) {
                erasures[erasure.event, default: [:]][erasure.member] = erasure.erasedBy
            }
            let doors = try store.events(Array(Set(erasures.values.flatMap(\.values))).sorted(), reader)
            for (at, event, member) in missing {
                let index = at < 0 ? nil : at
                guard let door = erasures[event]?[member] else {
                    result.findings.append(
                        Finding(
                            .valueDeleted, index: index, event: event, row: "sealed:\(event)",
                            "The sealed member \(member) is gone, and no erasure says so."))
                    continue
                }
                guard let leaf = doors[door].flatMap({ try? LeafReader($0.leaf) }),
                    leaf.json["action"]?.string?.hasPrefix("erasure.") == true
                else {
                    result.findings.append(
                        Finding(
                            .valueDeleted, index: index, event: event, row: "sealed_erasure:\(event)",
                            "The sealed member \(member) is gone, and what stands as its erasure is none."))
                    result.claims.report(event, member)
                    continue
                }
                result.erased += 1
                result.claims.claim(event, member, by: door)
                if member == "details", let rows = digestsMissing[event] { result.unknownRows[event] = rows }
            }
        }
        if !subjects.isEmpty {
            let present = try store.subjects(subjects.map(\.naming), reader)
            for (at, naming) in subjects where !present.contains(naming) {
                result.findings.append(
                    Finding(
                        .subjectEdited, index: at < 0 ? nil : at, event: naming.eventID,
                        row: "sealed_subject:\(naming.eventID)",
                        "The sealed member \(naming.member) is not recorded as \(naming.subject)'s data."))
            }
        }
    }
}

extension EntityNaming {
    /// Every governed row an event names; `nil` when it recorded rows by digest and the digests can't be read.
    /// - Parameter details: the sealed member with salt and value.
    static func named(in leaf: LeafReader, _ event: String, details: JSON?) -> Set<EntityNaming>? {
        var named: Set<EntityNaming> = []
        for change in leaf.changes { named.insert(EntityNaming(type: change.type, id: change.id, eventID: event)) }
        guard leaf.json["facts"]?["rows"]?.int != nil, leaf.commitments["details"] != nil else { return named }
        guard let rows = DigestRows(details?["value"]) else { return nil }
        for row in rows.rows { named.insert(EntityNaming(type: row.type, id: row.id, eventID: event)) }
        return named
    }
}

/// Governed rows recorded by digest: the `rows` of the sealed details.
struct DigestRows {
    let rows: [(type: String, id: String, sha256: String)]

    init?(_ details: JSON?) {
        guard let array = details?["rows"]?.array else { return nil }
        var rows: [(type: String, id: String, sha256: String)] = []
        rows.reserveCapacity(array.count)
        for row in array {
            guard let type = row["type"]?.string, let id = row["id"]?.string, let digest = row["sha256"]?.string else {
                return nil
            }
            rows.append((type, id, digest))
        }
        self.rows = rows
    }
}

extension Instant {
    /// Reads exactly what `rfc3339` writes, without a regular expression: verification reads millions.
    init?(exactly text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 27, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54, bytes[13] == 0x3A,
            bytes[16] == 0x3A,
            bytes[19] == 0x2E, bytes[26] == 0x5A
        else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in bytes[range] {
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), let micro = number(20..<26),
            (1...12).contains(month),
            (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let days = Int64(Day(year: year, month: month, day: day).daysSince1970)
        let seconds = days * 86_400 + Int64(hour * 3600 + minute * 60 + second)
        self.init(microseconds: seconds * 1_000_000 + Int64(micro))
    }
}
