import Kernel

/// Puts notices into inboxes within one transaction, and says whose changed.
struct Telling {
    /// What is done to notices. Many events want the same done, each about something else.
    private enum Step {
        case tell([Notice])
        /// Nobody, or this person, is asked for these any more.
        case settle([String], of: String?, kinds: [Notice.Kind])
        /// Only these people are.
        case settleBut([String], about: String, kinds: [Notice.Kind])

        /// What the notices are about that this may write.
        var abouts: [String] {
            switch self {
            case .tell(let notices): notices.compactMap { $0.about?.id }
            case .settle(let abouts, _, _): abouts
            case .settleBut(_, let about, _): [about]
            }
        }

        /// This and the other in one; `nil` where they are of another kind.
        func joined(by other: Step) -> Step? {
            switch (self, other) {
            case (.tell(let notices), .tell(let more)): .tell(notices + more)
            case (.settle(let abouts, let staff, let kinds), .settle(let more, let person, let same))
            where staff == person && kinds == same:
                .settle(abouts + more, of: staff, kinds: kinds)
            default: nil
            }
        }
    }

    private let tx: any Writer
    private var told: Set<String> = []
    private var closed: Set<String> = []
    /// What nobody waits for the answers of: it is asked with whatever is asked next.
    private var waiting: [Step] = []

    init(_ tx: any Writer) { self.tx = tx }

    /// Puts a step behind those that wait, or with one of its kind where no later one is about the same.
    private mutating func add(_ step: Step) {
        let abouts = Set(step.abouts)
        for place in waiting.indices.reversed() {
            if let joined = waiting[place].joined(by: step) {
                waiting[place] = joined
                return
            }
            guard abouts.isDisjoint(with: waiting[place].abouts) else { break }
        }
        waiting.append(step)
    }

    /// Tells people who were not told the same before.
    mutating func tell(
        _ people: some Sequence<String>, _ kind: Notice.Kind, of event: String, about: (type: String, id: String)?
    ) {
        let notices = people.map { Notice(to: $0, kind, of: event, about: about, at: tx.now) }
        if !notices.isEmpty { add(.tell(notices)) }
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
        add(.settle([about], of: staff, kinds: kinds))
    }

    /// The request has ended: nobody is asked for a signature any more, nor reminded.
    mutating func close(_ request: String) {
        settle(request)
        closed.insert(request)
    }

    /// Only these people are asked for it from now on.
    mutating func settle(_ about: String, but people: [String], kinds: [Notice.Kind]) {
        add(.settleBut(people, about: about, kinds: kinds))
    }

    mutating func changed(_ staff: String) { told.insert(staff) }

    /// Answers whose inbox changed by what waited.
    @discardableResult private mutating func flush() throws -> [String] {
        guard !waiting.isEmpty else { return [] }
        let changed = try tx.query(waiting.flatMap(statements)).flatMap { try $0.map { try $0.string("staff_id") } }
        waiting = []
        told.formUnion(changed)
        return changed
    }

    private func statements(_ step: Step) -> [Statement] {
        switch step {
        case .tell(let notices): InboxQueries.insert(notices)
        case .settle(let abouts, let staff, let kinds):
            InboxQueries.settle(about: abouts, of: staff, kinds: kinds.map(\.rawValue), at: tx.now)
        case .settleBut(let people, let about, let kinds):
            [InboxQueries.settle(about: about, but: people, kinds: kinds.map(\.rawValue), at: tx.now)]
        }
    }

    /// Last of the transaction: from here on the lock of the marks is held.
    mutating func finish() throws {
        if !closed.isEmpty { tx.enqueue(InboxQueries.remindNoMore(closed.sorted())) }
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
