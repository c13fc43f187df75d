import Kernel

/// Puts notices into inboxes within one transaction, and says whose changed.
struct Telling {
    private let tx: any Writer
    private var told: Set<String> = []
    /// What nobody waits for the answers of, in its order: it is asked with whatever is asked next.
    private var waiting: [Statement] = []

    init(_ tx: any Writer) { self.tx = tx }

    /// Tells people who were not told the same before.
    mutating func tell(
        _ people: some Sequence<String>, _ kind: Notice.Kind, of event: String, about: (type: String, id: String)?
    ) {
        waiting += people.map { InboxQueries.insert(Notice(to: $0, kind, of: event, about: about, at: tx.now)) }
    }

    /// The same at once; answers who was not told it before.
    mutating func tellNow(
        _ people: some Sequence<String>, _ kind: Notice.Kind, of event: String, about: (type: String, id: String)?
    ) throws -> [String] {
        try flush()
        tell(people, kind, of: event, about: about)
        return try flush()
    }

    /// Nobody is asked for this any more; or this person is not, who did their part.
    mutating func settle(_ about: String, of staff: String? = nil, kinds: [Notice.Kind] = Notice.Kind.asking) {
        let words = kinds.map(\.rawValue)
        waiting.append(
            staff.map { InboxQueries.settle(about: about, of: $0, kinds: words, at: tx.now) }
                ?? InboxQueries.settle(about: about, kinds: words, at: tx.now))
    }

    /// Only these people are asked for it from now on.
    mutating func settle(_ about: String, but people: [String], kinds: [Notice.Kind]) {
        waiting.append(InboxQueries.settle(about: about, but: people, kinds: kinds.map(\.rawValue), at: tx.now))
    }

    mutating func changed(_ staff: String) { told.insert(staff) }

    /// Answers whose inbox changed by what waited.
    @discardableResult private mutating func flush() throws -> [String] {
        guard !waiting.isEmpty else { return [] }
        let changed = try tx.query(waiting).flatMap { try $0.map { try $0.string("staff_id") } }
        waiting = []
        told.formUnion(changed)
        return changed
    }

    /// Last of the transaction: from here on the lock of the marks is held.
    mutating func finish() throws {
        try flush()
        guard !told.isEmpty, let mark = try tx.first(InboxQueries.nextMark)?.int("mark") else { return }
        for staff in told.sorted() { tx.enqueue(InboxQueries.setMark(mark, of: staff)) }
    }
}

/// Who could sign a request.
enum Signers {
    /// More are not told: a rule that so many can fill is seen by somebody.
    static let most = 500

    /// Those whose signature would further it now, and where everybody stands.
    static func awaited(
        for request: ApprovalRequest, signatures: [ApprovalSignature], from reader: any Reader
    ) throws -> (people: [String], signatures: ApprovalSignatures) {
        let leaves = request.leaves
        func named(_ kind: String) -> [String] {
            leaves.filter { $0.hasPrefix(kind) }.map { String($0.dropFirst(kind.count)) }
        }
        let roles = named("role:")
        let holders = try reader.query(
            InboxQueries.holders(roles: roles, permissions: named("permission:"), at: reader.now, limit: most)
        ).map { try $0.string("id") }
        let people = Set(holders + roles.compactMap { Demand.manager(in: $0) }).sorted()
        let directory = StaffDirectory()
        let everybody = Set(people + signatures.map(\.person) + request.askers).sorted()
        let standings = try directory.standings(of: everybody).read(from: reader)
        let signed = ApprovalSignatures(of: request, all: signatures, standings: standings, at: reader.now)
        return (signed.awaited(among: people), signed)
    }

    /// Those of these people who used a session lately.
    static func present(_ people: [String], from reader: any Reader) throws -> Set<String> {
        guard !people.isEmpty else { return [] }
        return Set(
            try reader.query(
                InboxQueries.present(people, since: reader.now - OnShift.lately, at: reader.now)
            ).map { try $0.string("staff_id") })
    }

    static func onShift(
        for request: ApprovalRequest, signatures: [ApprovalSignature], from reader: any Reader
    ) throws -> OnShift {
        let (people, signed) = try awaited(for: request, signatures: signatures, from: reader)
        let present = try present(people, from: reader)
        return OnShift(
            present: people.filter(present.contains).map { signed.standings[$0]?.name ?? $0 }.sorted(),
            able: people.count, sendsMail: try ChannelState.isOn(.mail, reader))
    }
}
