import Kernel

/// Turns events that may concern people into notices (decision 27).
///
///     commit ─► inbox_pending, with the event ─ one process at a time ─► notices, reminders, mail, messages to Slack
///
/// An event waits from its own transaction on, so nothing that happened is missed, and a crash only makes it later.
final class InboxWriter: Sendable {
    /// Events in one transaction.
    static let batch = 50

    private let pipeline: Pipeline
    /// The staff channel's lane; `nil` where there is none.
    private let slack: SlackRequests?

    init(pipeline: Pipeline, slack: SlackRequests?) {
        self.pipeline = pipeline
        self.slack = slack
    }

    /// Looks at the oldest events that wait. Answers whether more do, and whether anything was recorded.
    func turn() async throws -> (isMore: Bool, isLogged: Bool) {
        try await pipeline.database.write { tx in
            guard try tx.tryLock("inbox.writer") else { return (false, false) }
            let rows = try tx.query(InboxQueries.waiting(limit: Self.batch))
            guard !rows.isEmpty else { return (false, false) }
            var telling = Telling(tx)
            var isLogged = false
            // What can't be read is left out, so that everything behind it is told all the same.
            let told = rows.compactMap { try? Told($0) }
            let requests = try Self.requests(of: told, tx)
            for told in told {
                do {
                    if try self.take(told, requests, &telling, tx) { isLogged = true }
                } catch StoreError.shape {}
            }
            tx.enqueue(InboxQueries.done(try rows.map { try $0.int("seq") }))
            try telling.finish()
            // Mail that was queued is handed out in the same round; what was committed meanwhile comes with the next, so that
            // one transaction tells of more than one event.
            let sends = try self.pipeline.settings.sendsMail && tx.first(OutboxQueries.isWaiting(.mail)) != nil
            return (sends || rows.count == Self.batch, isLogged)
        }
    }

    /// An event, as far as it says whom it concerns.
    struct Told {
        let id: String
        let eventClass: String
        let action: String
        let outcome: String
        let actor: String
        let target: (type: String, id: String)?
        let approval: String?
        let facts: JSON?
        /// Ids of the governed rows it changed, by type.
        let changed: [String: [String]]

        init(_ row: Row) throws {
            id = try row.string("id")
            eventClass = try row.string("class")
            action = try row.string("action")
            outcome = try row.string("outcome")
            actor = try row.string("actor_id")
            let type = try row.optionalString("target_type")
            target = try row.optionalString("target_id").flatMap { id in type.map { (type: $0, id: id) } }
            approval = try row.optionalString("approval_id")
            let leaf = try? JSON(parsing: try row.bytes("leaf"))
            facts = leaf?["facts"]
            let rows = (leaf?["changes"]?.array ?? []).compactMap { row in
                row["id"]?.string.flatMap { id in row["type"]?.string.map { (type: $0, id: id) } }
            }
            changed = Dictionary(grouping: rows, by: \.type).mapValues { Set($0.map(\.id)).sorted() }
        }

        func ids(of type: String) -> [String] { changed[type] ?? [] }
    }

    /// The requests that events are about, as they are now.
    private static func requests(of told: [Told], _ tx: any Writer) throws -> [String: ApprovalRequest] {
        let ids = Set(told.flatMap { $0.ids(of: ApprovalRequest.type).prefix(batch) }).sorted()
        var requests: [String: ApprovalRequest] = [:]
        for start in stride(from: 0, to: ids.count, by: batch) {
            let rows = try tx.query(InboxQueries.requests(Array(ids[start..<min(start + batch, ids.count)])))
            for request in rows.compactMap({ try? ApprovalRequest($0) }) { requests[request.id] = request }
        }
        return requests
    }

    /// Answers whether it recorded something.
    private func take(
        _ told: Told, _ requests: [String: ApprovalRequest], _ telling: inout Telling, _ tx: any Writer
    ) throws -> Bool {
        var isLogged = false
        for id in told.ids(of: ApprovalRequest.type).prefix(Self.batch) {
            guard let request = requests[id] else { continue }
            if try take(told, on: request, &telling, tx) { isLogged = true }
        }
        if told.eventClass == EventClass.mutation.rawValue { try takeAccount(told, &telling, tx) }
        for id in told.ids(of: BreakGlass.type) { try takeEmergency(id, told, &telling, tx) }
        try takeAccessReviews(told, &telling, tx)
        for id in told.ids(of: Recovery.type) { try takeRecovery(id, told, &telling, tx) }
        for id in told.ids(of: ClockJump.type) { try takeClock(id, told, &telling, tx) }
        try takeDiscrepancies(told, &telling, tx)
        if !told.ids(of: StaffFlag.type).isEmpty, told.action != ClearStaffFlag.spec.name {
            let reviewers = try tx.query(
                InboxQueries.holders(
                    roles: [], permissions: [ClearStaffFlag.spec.permission], at: tx.now, limit: Signers.most)
            ).map { try $0.string("id") }
            telling.tell(
                reviewers.filter { $0 != told.actor && $0 != told.target?.id }, .reviewOwed, of: told.id,
                about: told.target)
        }
        if ["authz.denial_burst", ProviderSettings.action].contains(told.action) {
            let people = try tx.query(ChannelQueries.holders(of: ["security"], at: tx.now)).map { try $0.string("id") }
            let kind: Notice.Kind = told.action == ProviderSettings.action ? .providerChanged : .denialBurst
            telling.tell(people.filter { $0 != told.actor }, kind, of: told.id, about: ("event", told.id))
        }
        return isLogged
    }

    /// A row that differs from the log is told to security, until somebody has settled it.
    private func takeDiscrepancies(_ told: Told, _ telling: inout Telling, _ tx: any Writer) throws {
        for id in told.ids(of: Discrepancy.type) {
            guard told.action == ReportDiscrepancy.spec.name else {
                telling.settle(id, kinds: Notice.Kind.askingToSettle)
                continue
            }
            guard told.facts?["recent"]?.int ?? 0 < Int64(ReportDiscrepancy.mostTold) else { continue }
            let people = try tx.query(ChannelQueries.holders(of: ["security"], at: tx.now)).map { try $0.string("id") }
            telling.tell(people, .rowDiffers, of: told.id, about: (Discrepancy.type, id))
        }
    }

    /// Whoever is invited or leaves reads no inbox, and a review says by itself whose grant it took.
    static let silentOnRoles = [
        InviteStaff.spec.name, DeactivateStaff.spec.name, DeprovisionStaff.spec.name, RevokeReviewedGrant.spec.name,
    ]

    /// What somebody else did to an account. Whose roles an operation changed say the grants it wrote, whatever it was about.
    private func takeAccount(_ told: Told, _ telling: inout Telling, _ tx: any Writer) throws {
        if let target = told.target, target.type == Staff.type, told.actor != target.id {
            switch told.action {
            case ResetFactors.spec.name:
                telling.tell([target.id], .factorsReset, of: told.id, about: (Staff.type, target.id))
            case RevokeStaffSessions.spec.name:
                telling.tell([target.id], .sessionsEnded, of: told.id, about: (Staff.type, target.id))
            default: break
            }
        }
        let grants = told.ids(of: Grant.type)
        guard !grants.isEmpty, !Self.silentOnRoles.contains(told.action) else { return }
        let people = try tx.query(InboxQueries.holders(ofGrants: Array(grants.prefix(Self.batch)))).map {
            try $0.string("staff_id")
        }
        for person in people where person != told.actor {
            telling.tell([person], .rolesChanged, of: told.id, about: (Staff.type, person))
        }
    }

    /// A recovery from the server: whom it is mailed to hears of it here as well, where neither mail nor Slack is set.
    private func takeRecovery(_ id: String, _ told: Told, _ telling: inout Telling, _ tx: any Writer) throws {
        switch told.action {
        case RecoverStaff.spec.name:
            let people = try tx.query(Grant.people(holding: RecoverStaff.withSay, at: tx.now)).map {
                try $0.string("id")
            }
            telling.tell(people, .recoveryAsked, of: told.id, about: (Recovery.type, id))
        case CancelRecovery.spec.name: telling.settle(id, kinds: [.recoveryAsked])
        default: break
        }
    }

    /// The clock was set, or somebody has confirmed that it is right.
    private func takeClock(_ id: String, _ told: Told, _ telling: inout Telling, _ tx: any Writer) throws {
        switch told.action {
        case ClockJump.action:
            let people = try tx.query(
                InboxQueries.holders(
                    roles: [], permissions: [ConfirmClock.spec.permission], at: tx.now, limit: Signers.most)
            ).map { try $0.string("id") }
            telling.tell(people, .clockJumped, of: told.id, about: (ClockJump.type, id))
        case ConfirmClock.spec.name:
            telling.settle(id, of: told.actor, kinds: [.clockJumped])
            telling.settle(id, kinds: [.clockJumped])
        default: break
        }
    }

    // MARK: Requests

    private func take(
        _ told: Told, on request: ApprovalRequest, _ telling: inout Telling, _ tx: any Writer
    ) throws -> Bool {
        let about = (type: ApprovalRequest.type, id: request.id)
        var isLogged = false
        // Whoever took their own request back knows.
        if let kind = turn(told, of: request), kind == .executed || told.actor != request.requester, isPerson(request) {
            telling.tell([request.requester], kind, of: told.id, about: about)
        }
        if told.action == Decisions.approve.spec.name { telling.settle(request.id, of: told.actor) }
        let isNew = told.eventClass == EventClass.approval.rawValue && told.outcome == EventOutcome.requested.rawValue
        if request.isOpen(at: tx.now) {
            let isAgain = ["approval.stale", "approval.reopened"].contains(told.action)
            if isNew || isAgain {
                try ask(request, isAgain ? .askedAgain : .asked, of: told.id, &telling, tx)
                if let slack { isLogged = try slack.ask(request, of: told.id, tx) }
            }
        } else {
            telling.close(request.id)
            if let slack { isLogged = try slack.ended(request, of: told.id, tx) }
        }
        return isLogged
    }

    /// Postern asks for some things itself, and reads no inbox.
    private func isPerson(_ request: ApprovalRequest) -> Bool { request.requester.hasPrefix("\(Staff.idPrefix)_") }

    /// What happened to somebody's request, for who asked.
    private func turn(_ told: Told, of request: ApprovalRequest) -> Notice.Kind? {
        switch told.action {
        case Decisions.approve.spec.name:
            // One that is carried out at once is told as that.
            switch told.facts?["state"]?.string {
            case ApprovalRequest.State.pending.rawValue, ApprovalRequest.State.stale.rawValue: .signed
            case ApprovalRequest.State.scheduled.rawValue: .scheduled
            default: nil
            }
        case Decisions.reject.spec.name: .rejected
        case Decisions.cancel.spec.name: .cancelled
        case "approval.expired": .expired
        case "approval.failed": .failed
        case "approval.stale": .stale
        case "approval.reopened": .reopened
        default:
            told.eventClass == EventClass.mutation.rawValue && request.outcomeEventID == told.id
                && request.state == .executed ? .executed : nil
        }
    }

    /// Tells everybody who could sign, and when to remind them. Where none of them is there, they get mail at once.
    private func ask(
        _ request: ApprovalRequest, _ kind: Notice.Kind, of event: String, _ telling: inout Telling, _ tx: any Writer
    ) throws {
        let signatures = try tx.query(pipeline.records.signatures(approval: request.id)).map(ApprovalSignature.init)
        let (people, _) = try Signers.awaited(for: request, signatures: signatures, from: tx)
        let new = try telling.tellNow(people, kind, of: event, about: (ApprovalRequest.type, request.id))
        // Who could agree to an emergency was written to by the request itself, present or not.
        let wrote = kind == .asked && request.operation == OpenBreakGlass.spec.name
        if !new.isEmpty, !wrote, try Signers.present(people, from: tx).isEmpty {
            for person in new { mail(.requestAsked, to: person, about: request, of: event, tx) }
        }
        for reminder in request.reminders {
            tx.enqueue(
                InboxQueries.remind(request.id, reminder.stage.rawValue, round: request.round, at: reminder.at))
        }
    }

    private func mail(
        _ notice: MailNotice, to person: String, about request: ApprovalRequest, of event: String, _ tx: any Writer
    ) { mail(notice.effect(to: person, about: request), of: event, tx) }

    func mail(_ effect: Effect, of event: String, _ tx: any Writer) {
        guard pipeline.settings.sendsMail else { return }
        tx.enqueue(
            pipeline.records.enqueue(
                effect, id: Identifier.mint("out", at: tx.now), event: event, operationID: "", tenantVersion: nil,
                at: tx.now))
    }

    // MARK: Reminders

    /// Reminds those who could sign what expires soon, and tells who asked when nobody has acted. Safe to run in several
    /// processes at once: each reminder is a row that one of them takes.
    ///
    /// - Returns: how many requests were looked at.
    func remind(limit: Int = 50) async throws -> Int {
        let due = try await pipeline.database.read { reader in
            try reader.query(InboxQueries.dueReminders(at: reader.now, limit: limit)).map {
                try $0.string("approval_id")
            }
        }
        for id in due {
            try await pipeline.database.write { tx in
                let taken = try tx.query(InboxQueries.takeReminders(of: id, at: tx.now))
                // A server that was away reminds once of what it missed.
                let stages = Set(try taken.map { try $0.string("stage") })
                guard let stage = [ReminderStage.last, .half].first(where: { stages.contains($0.rawValue) }),
                    let request = try ApprovalRequest.load(id, from: tx), request.isOpen(at: tx.now),
                    try taken.contains(where: { try $0.int("round") == request.round })
                else { return }
                var telling = Telling(tx)
                try self.remind(of: request, stage, &telling, tx)
                try telling.finish()
            }
        }
        return due.count
    }

    private func remind(
        of request: ApprovalRequest, _ stage: ReminderStage, _ telling: inout Telling, _ tx: any Writer
    ) throws {
        let about = (type: ApprovalRequest.type, id: request.id)
        // Of the last event about it: a request that went back to the approvers is reminded of anew.
        let event =
            try tx.first(EventQueries.head(type: ApprovalRequest.type, id: request.id))?.string("event_id")
            ?? request.eventID
        let signatures = try tx.query(pipeline.records.signatures(approval: request.id)).map(ApprovalSignature.init)
        let (people, signed) = try Signers.awaited(for: request, signatures: signatures, from: tx)
        let new = try telling.tellNow(
            people, stage == .half ? .remindedAtHalf : .remindedAtLast, of: event, about: about)
        for person in new { mail(.requestReminder, to: person, about: request, of: event, tx) }
        if stage == .half, let slack { _ = try slack.remind(request, of: event, tx) }
        guard stage == .last, signed.counting.isEmpty, isPerson(request) else { return }
        for person in try telling.tellNow([request.requester], .unanswered, of: event, about: about) {
            mail(.requestUnanswered, to: person, about: request, of: event, tx)
        }
    }
}

/// Reminders of requests, as a chore of every server.
public struct ReminderTurn: Sendable {
    private let writer: InboxWriter

    /// - Parameter channels: what this deployment can send.
    public init(pipeline: Pipeline, channels: Set<DeliveryChannel>, clock: Clock = .system) {
        writer = InboxWriter(
            pipeline: pipeline,
            slack: channels.contains(.slack) ? SlackRequests(pipeline: pipeline, clock: clock) : nil)
    }

    @discardableResult public func turn() async throws -> Int { try await writer.remind() }
}
