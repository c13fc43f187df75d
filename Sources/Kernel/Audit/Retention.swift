extension RetentionClass {
    /// Days an event of this class is kept at least; `nil` without end. A year counts 366, so that it is never too early.
    public var days: Int64? {
        switch self {
        case .operational1y: 366
        case .access3y: 3 * 366
        case .hipaa6y: 6 * 366
        case .soc2Iso7y, .financial7y, .erasureProof7y: 7 * 366
        case .euAIA10y: 10 * 366
        case .legalHold: nil
        }
    }

    /// The action of the event under which others leave for the archive.
    public static let pruned = "retention.pruned"
}

/// How long this deployment keeps events: each class's own time, or longer.
public struct RetentionPeriods: Sendable, Hashable {
    private var longer: [RetentionClass: Int64] = [:]

    public init() {}

    /// - Parameter text: `access_3y=5y, operational_1y=730d`; years count 366 days. Empty lengthens nothing.
    /// - Throws: a sentence about what can't be read, or would be shorter than the class demands.
    public init(_ text: String) throws(NoteError) {
        for part in text.split(separator: ",").map(Self.trimmed) where !part.isEmpty {
            let sides = part.split(separator: "=", maxSplits: 1).map(Self.trimmed)
            guard sides.count == 2, let retention = RetentionClass(rawValue: sides[0]) else {
                throw NoteError(
                    "\(part.prefix(60)) names no retention class. Write for example access_3y=5y; there are "
                        + RetentionClass.allCases.map(\.rawValue).joined(separator: ", ") + ".")
            }
            guard let least = retention.days else {
                throw NoteError("\(retention.rawValue) has no end that could be put off.")
            }
            let unit = sides[1].last
            guard unit == "y" || unit == "d", let number = Int64(sides[1].dropLast()), (1...36_600).contains(number)
            else {
                throw NoteError("\(part.prefix(60)): say how many years or days, such as 5y or 730d.")
            }
            let days = unit == "y" ? number * 366 : number
            guard days >= least else {
                throw NoteError(
                    "\(retention.rawValue) can't be kept for less than \(least) days; retention is only ever lengthened."
                )
            }
            longer[retention] = days
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    public func days(_ retention: RetentionClass) -> Int64? {
        retention.days.map { longer[retention] ?? $0 }
    }

    /// Events of a class that were written before this moment may leave; `nil` when none ever may.
    public func cutoff(_ retention: RetentionClass, now: Instant) -> Instant? {
        days(retention).map { now - .days($0) }
    }
}

/// A running commitment to entries that left for the archive, in the order of the log:
/// h ← SHA-256(h ‖ index, 8 bytes big-endian ‖ leaf hash), from 32 zero bytes.
///
/// The event `retention.pruned` carries it, so that nobody can later remove another entry and call it archived.
public struct PrunedEntries: Sendable, Hashable {
    public private(set) var count: Int64 = 0
    public private(set) var first: Int64 = 0
    public private(set) var last: Int64 = -1
    private(set) var digest = [UInt8](repeating: 0, count: 32)

    public init() {}

    /// - Parameter index: greater than that of every entry before.
    public mutating func add(index: Int64, hash: MerkleHash) {
        if count == 0 { first = index }
        last = index
        count += 1
        digest = sha256(digest + withUnsafeBytes(of: index.bigEndian) { Array($0) } + hash.bytes)
    }

    /// Members of the event's facts.
    public var facts: [String: JSON] {
        [
            "pruned": .int(count), "pruned_first": .int(first), "pruned_last": .int(last),
            "pruned_sha256": .string(digest.hex),
        ]
    }

    /// What is wrong with an event that is to stand for these entries; `nil` when it does.
    func mismatch(_ leaf: JSON?) -> String? {
        guard let leaf, leaf["action"]?.string == RetentionClass.pruned else {
            return "what stands as the retention that removed it is none."
        }
        guard leaf["facts"]?["pruned"]?.int == count, leaf["facts"]?["pruned_sha256"]?.string == digest.hex else {
            return """
                the retention it names let \(leaf["facts"]?["pruned"]?.int ?? 0) other entries go: \(count) are said to \
                have left under it.
                """
        }
        return nil
    }

    // MARK: Written down

    var json: JSON {
        [
            "count": .int(count), "first": .int(first), "last": .int(last), "digest": .string(Base64.encode(digest)),
        ]
    }

    init?(_ json: JSON) {
        guard let count = json["count"]?.int, let first = json["first"]?.int, let last = json["last"]?.int,
            let digest = json["digest"]?.string.flatMap(Base64.decode), digest.count == 32
        else { return nil }
        (self.count, self.first, self.last, self.digest) = (count, first, last, digest)
    }
}

/// Entries that are gone and the events of retention they name, while a log is walked in order.
struct PruningClaims: Sendable {
    private(set) var claimed: [String: PrunedEntries] = [:]
    /// Events of retention that were met: action and facts.
    private(set) var met: [String: JSON] = [:]

    init() {}

    var count: Int64 { claimed.values.reduce(0) { $0 + $1.count } }

    mutating func claim(index: Int64, hash: MerkleHash, by event: String) {
        claimed[event, default: PrunedEntries()].add(index: index, hash: hash)
    }

    mutating func meet(_ id: String, _ leaf: JSON) {
        guard leaf["action"]?.string == RetentionClass.pruned else { return }
        met[id] = JSON.members([("action", leaf["action"]), ("facts", leaf["facts"])])
    }

    mutating func meet(_ other: PruningClaims) { met.merge(other.met) { first, _ in first } }

    /// - Parameter isLater: a retention that was not met came after the walk began and is left out.
    func findings(leavingOut isLater: (String) -> Bool = { _ in false }) -> [Finding] {
        var findings: [Finding] = []
        for (id, entries) in claimed.sorted(by: { $0.key < $1.key }) where met[id] != nil || !isLater(id) {
            guard let reason = entries.mismatch(met[id]) else { continue }
            findings.append(
                Finding(
                    .rowDeleted, index: entries.first, event: id, row: "log_pruned:\(entries.first)…\(entries.last)",
                    "Events between these indexes are gone, and \(reason)"))
        }
        for (id, leaf) in met.sorted(by: { $0.key < $1.key }) where claimed[id] == nil {
            findings.append(
                Finding(
                    .rowAdded, event: id, row: "log_pruned",
                    "The retention let \(leaf["facts"]?["pruned"]?.int ?? 0) entries go, and none is said to be gone by it."
                ))
        }
        return findings
    }

    // MARK: Written down

    var json: JSON { ["claimed": .object(claimed.mapValues(\.json)), "met": .object(met)] }

    init?(_ json: JSON) {
        guard let claimed = json["claimed"]?.object, let met = json["met"]?.object else { return nil }
        self.met = met
        for (id, json) in claimed {
            guard let entries = PrunedEntries(json) else { return nil }
            self.claimed[id] = entries
        }
    }
}
