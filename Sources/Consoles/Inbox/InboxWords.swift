import HTML
import Kernel

/// The words of notices, made of what the things they are about are by now: an erasure reaches them, and who may not look any
/// more is told nothing. Each keeps saying what it said when it was new, in the past where it is over, and then what became of it.
struct InboxWords {
    private let caller: Caller
    private let catalog: Catalog
    private let now: Instant
    private let requests: [String: ApprovalEntry]
    private let events: [String: Row]
    private let emergencies: [String: BreakGlassEntry]
    private let reviews: [String: AccessReview]
    private let items: [String: AccessReviewItem]
    private let recoveries: [String: Recovery]
    private let clockJumps: [String: ClockJump]
    private let discrepancies: [String: Discrepancy]
    /// Exceptions that were raised, by the event that raised them.
    private let flags: [String: [StaffFlag]]
    /// Of who did what is told.
    private let names: [String: String]
    /// What the row of a case is called, for who may open its page.
    private let rowNames: [String: String]

    static func entries(
        _ notices: [Notice], for caller: Caller, catalog: Catalog, from reader: any Reader
    ) throws -> [InboxEntry] {
        guard !notices.isEmpty else { return [] }
        let words = try InboxWords(notices, for: caller, catalog: catalog, from: reader)
        return try notices.map(words.entry)
    }

    private init(_ notices: [Notice], for caller: Caller, catalog: Catalog, from reader: any Reader) throws {
        func about(_ type: String) -> [String] {
            Set(notices.filter { $0.about?.type == type }.compactMap(\.about?.id)).sorted()
        }
        func rows(_ ids: [String], _ statement: ([String]) -> Statement) throws -> [Row] {
            ids.isEmpty ? [] : try reader.query(statement(ids))
        }
        self.caller = caller
        self.catalog = catalog
        now = reader.now
        let asked = try rows(about(ApprovalRequest.type), InboxQueries.requests).map { try ApprovalRequest($0) }
        requests = Self.byID(try ApprovalList.name(asked, from: reader), \.request.id)
        emergencies = Self.byID(
            try rows(about(BreakGlass.type), BreakGlassQueries.some).map { try BreakGlassEntry($0) }, \.session.id)
        let items = try rows(about(AccessReviewItem.type)) {
            AccessReviewItem.select($0, lock: false, reader.dialect)
        }.map { try AccessReviewItem($0) }
        let reviewed = Set(about(AccessReview.type) + items.map(\.reviewID)).sorted()
        reviews = Self.byID(
            try rows(reviewed) { AccessReview.select($0, lock: false, reader.dialect) }.map { try AccessReview($0) },
            \.id)
        self.items = Self.byID(items, \.id)
        recoveries = Self.byID(
            try rows(about(Recovery.type)) {
                Recovery.select($0, lock: false, reader.dialect)
            }.map { try Recovery($0) }, \.id)
        clockJumps = Self.byID(
            try rows(about(ClockJump.type)) {
                ClockJump.select($0, lock: false, reader.dialect)
            }.map { try ClockJump($0) }, \.id)
        let cases = try rows(about(Discrepancy.type)) { Discrepancy.select($0, lock: false, reader.dialect) }.map {
            try Discrepancy($0)
        }
        discrepancies = Self.byID(cases, \.id)
        rowNames = try Self.rowNames(of: cases, for: caller, catalog, from: reader)
        var events: [String: Row] = [:]
        for row in try reader.query(InboxQueries.events(Set(notices.map(\.event)).sorted())) {
            events[try row.string("id")] = row
        }
        self.events = events
        flags = try Self.raised(by: notices, events, from: reader)
        let actors = try events.values.filter { try $0.string("actor_type") == Actor.Kind.staff.rawValue }.map {
            try $0.string("actor_id")
        }
        var names: [String: String] = [:]
        for row in try reader.query(EventQueries.staffNames(Set(actors).sorted())) {
            names[try row.string("id")] = try row.string("name")
        }
        self.names = names
    }

    /// Asked for with the event: a notice is about the person.
    private static func raised(
        by notices: [Notice], _ events: [String: Row], from reader: any Reader
    ) throws -> [String: [StaffFlag]] {
        var raised: [String: [String]] = [:]
        for event in Set(notices.filter { $0.kind == .reviewOwed }.map(\.event)) {
            let leaf = (try events[event]?.bytes("leaf")).flatMap { try? JSON(parsing: $0) }
            let changes = (leaf?["changes"]?.array ?? []).filter { $0["type"]?.string == StaffFlag.type }
            raised[event] = changes.compactMap { $0["id"]?.string }
        }
        let ids = Set(raised.values.joined()).sorted()
        guard !ids.isEmpty else { return [:] }
        let found = byID(
            try reader.query(StaffFlag.select(ids, lock: false, reader.dialect)).map { try StaffFlag($0) }, \.id)
        return raised.mapValues { $0.compactMap { found[$0] } }
    }

    private static func byID<Thing>(_ things: [Thing], _ id: (Thing) -> String) -> [String: Thing] {
        Dictionary(things.map { (id($0), $0) }, uniquingKeysWith: { first, _ in first })
    }

    private func entry(_ notice: Notice) throws -> InboxEntry {
        if let gone = hidden(notice) {
            return InboxEntry(notice: notice, title: gone, detail: nil, who: nil, path: nil)
        }
        let request = notice.about.flatMap { requests[$0.id] }
        let actor = try events[notice.event]?.string("actor_id")
        let who: String? =
            switch notice.kind {
            // Who asked is the actor of what is carried out, and no news to them; a burst says itself who asked so often.
            case .executed, .unanswered, .denialBurst: nil
            default:
                notice.kind.asksToSign
                    ? request.map { $0.requesterName ?? $0.request.requester } : actor.flatMap { names[$0] }
            }
        let said = [try detail(of: notice), try lateness(of: notice)].compactMap(\.self).joined(separator: " ")
        return InboxEntry(
            notice: notice, title: try title(of: notice), detail: said.isEmpty ? nil : said, who: who,
            path: path(of: notice))
    }

    /// Told this much later, a notice says when it happened: it stands at the time it was told.
    private static let late = Span.minutes(5)

    private func lateness(of notice: Notice) throws -> String? {
        guard !notice.kind.isReminder, let happened = try events[notice.event]?.instant("at"),
            notice.createdAt - happened >= Self.late
        else { return nil }
        // What asks for something tells of the asking, and a time to come of what set it: neither has happened by that.
        let what =
            switch notice.kind {
            case .recoveryAsked: "It was asked for"
            case .scheduled: "It was approved"
            default: notice.kind.asksToSign ? "It was asked for" : "This was"
            }
        return "\(what) on \(happened.minuteText)."
    }

    /// What stands there for who may not look at it any more.
    private func hidden(_ notice: Notice) -> String? {
        switch notice.about?.type {
        case ApprovalRequest.type:
            notice.about.flatMap { requests[$0.id] }.map { $0.request.isOpen(to: caller) } ?? true
                ? nil : "A request that you can no longer look at"
        case BreakGlass.type:
            caller.permissions.contains(BreakGlassReads.permission)
                ? nil : "An emergency that you can no longer look at"
        case AccessReview.type:
            caller.permissions.contains(AccessReviewPages.permission)
                ? nil : "An access review that you can no longer look at"
        case Recovery.type:
            RecoveryBanner.isFor(caller) ? nil : "A recovery that you can no longer look at"
        case Discrepancy.type:
            caller.permissions.contains(IntegrityConsole.permission)
                ? nil : "A case of integrity that you can no longer look at"
        default: nil
        }
    }

    // MARK: What happened

    private func title(of notice: Notice) throws -> String {
        let asked =
            notice.about.flatMap { requests[$0.id] }.map { ApprovalPages.title($0, catalog: catalog) }
            ?? "a request that is not there any more"
        let emergency = notice.about.flatMap { emergencies[$0.id] }
        let tenant = emergency?.tenant ?? "a tenant"
        let review = notice.about.flatMap { reviews[$0.id] }
        let roles = review.map { AccessNames.roles($0.roles) } ?? "roles"
        let role = notice.about.flatMap { items[$0.id] }.map { RoleTitle.of($0.role) } ?? "a role"
        // Whether what it tells of is as it was: "is" or "was".
        let waits = notice.about.flatMap { requests[$0.id] }?.request.isOpen(at: now) == true
        let isOpen = review?.state == .open
        let isOwed = emergency?.session.state != .reviewed
        return switch notice.kind {
        case .asked: "Your signature \(waits ? "is" : "was") asked for: \(asked)"
        case .askedAgain: "Your signature \(waits ? "is" : "was") asked for again: \(asked)"
        case .remindedAtHalf, .remindedAtLast: "Still \(waits ? "waits" : "waited") for a signature: \(asked)"
        case .signed: "Your request was signed, and \(waits ? "needs" : "needed") somebody else as well: \(asked)"
        case .scheduled: "Your request was approved: \(asked)"
        case .executed: "Your request was carried out: \(asked)"
        case .rejected: "Your request was rejected: \(asked)"
        case .cancelled: "Your request was cancelled: \(asked)"
        case .expired: "Your request expired: \(asked)"
        case .failed: "Your request could not be carried out: \(asked)"
        case .stale, .reopened: "Your request \(waits ? "needs" : "needed") another signature: \(asked)"
        case .unanswered: "Nobody \(waits ? "has" : "had") signed your request yet: \(asked)"
        case .rolesChanged: try Self.roles(events[notice.event])
        case .factorsReset: "Your factors were reset"
        case .sessionsEnded: "Your sessions were ended"
        case .reviewOwed:
            "An exception \(isReviewed(notice) ? "waited" : "waits") for its review"
        case .providerChanged: "The settings of single sign-on were changed on the server"
        case .denialBurst: "Many refusals in a short time"
        case .recoveryAsked:
            """
            The account of \(recovery(of: notice)?.name ?? "a super admin") \
            \(recovery(of: notice)?.state == .pending ? "is" : "was") to be recovered from the server
            """
        case .clockJumped: "The server’s clock was set"
        case .rowDiffers:
            "A row is not what the log says: \(notice.about.flatMap { row(of: $0.id) } ?? "gone")"
        case .emergencyOpened:
            "Break-glass was opened\(emergency?.session.isSolo == true ? " by one person alone" : ""): \(tenant)"
        case .emergencyEnded: "\(isOwn(emergency) ? "Your break-glass" : "Break-glass") has ended: \(tenant)"
        case .emergencyOwed: "A break-glass \(isOwed ? "is" : "was") to be reviewed: \(tenant)"
        case .emergencyOverdue:
            "The review of \(isOwn(emergency) ? "your" : "a") break-glass \(isOwed ? "is" : "was") overdue: \(tenant)"
        case .emergencyReviewed: "Your break-glass was reviewed: \(tenant)"
        case .accessReviewAsked: "An access review \(isOpen ? "waits" : "waited") for you: \(roles)"
        case .accessReviewReminder: "An access review \(isOpen ? "is" : "was") due soon: \(roles)"
        case .accessReviewOverdue: "An access review \(isOpen ? "is" : "was") overdue: \(roles)"
        case .grantKept: "You keep \(role)"
        case .grantRevoked: "You no longer hold \(role)"
        }
    }

    private func row(of id: String) -> String? { rowNames[id] ?? discrepancies[id]?.displayName }

    private func recovery(of notice: Notice) -> Recovery? { notice.about.flatMap { recoveries[$0.id] } }

    /// Nobody is owed a look at the exceptions any more.
    private func isReviewed(_ notice: Notice) -> Bool {
        let raised = flags[notice.event] ?? []
        return !raised.isEmpty && raised.allSatisfy { $0.state == .cleared }
    }

    private func isOwn(_ emergency: BreakGlassEntry?) -> Bool { emergency?.session.person == caller.person }

    private static func roles(_ event: Row?) throws -> String {
        let facts = (try event?.bytes("leaf")).flatMap { try? JSON(parsing: $0) }?["facts"]
        func words(_ name: String) -> String {
            AccessNames.roles((facts?[name]?.array ?? []).compactMap(\.string))
        }
        let (given, taken) = (words("granted"), words("revoked"))
        if !given.isEmpty, !taken.isEmpty { return "You were given \(given), and no longer hold \(taken)" }
        if !given.isEmpty { return "You were given \(given)" }
        return taken.isEmpty ? "Your roles were changed" : "You no longer hold \(taken)"
    }

    // MARK: What else there is to know

    private func detail(of notice: Notice) throws -> String? {
        func sealed(_ member: String) throws -> JSON? {
            guard let event = events[notice.event], try event.optionalString("members") != nil else { return nil }
            return try event.json("members")[member]?["value"]
        }
        switch notice.kind {
        case .asked, .askedAgain, .remindedAtHalf, .remindedAtLast, .unanswered, .signed, .stale, .reopened:
            guard let request = notice.about.flatMap({ requests[$0.id] })?.request else { return nil }
            guard let became = request.became(at: now) else {
                return "It can be signed until \(request.expiresAt.minuteText)."
            }
            return notice.kind.asksToSign ? "Nothing is left to sign: \(became)." : "Since then \(became)."
        case .scheduled: return notice.about.flatMap { requests[$0.id] }?.request.afterWaiting(at: now)
        case .rejected: return try sealed("justification")?.string.map { "“\($0)”" }
        case .failed: return try sealed("details")?["reason"]?.string
        case .expired: return "Not everybody agreed in time. You can ask again."
        case .factorsReset: return "If you did not ask for it, tell whoever looks after security."
        case .emergencyOpened, .emergencyEnded, .emergencyOwed, .emergencyOverdue, .emergencyReviewed:
            return notice.about.flatMap { emergencies[$0.id] }.map {
                $0.session.standing(in: notice.kind, for: caller.person, at: now)
            }
        case .accessReviewAsked, .accessReviewReminder, .accessReviewOverdue:
            return notice.about.flatMap { reviews[$0.id] }.map { $0.standing(at: now) }
        case .grantKept, .grantRevoked:
            let day = notice.about.flatMap { items[$0.id] }.flatMap { reviews[$0.reviewID] }?.startedAt.day.words
            let review = "Decided in the access review of \(day ?? "a day that is not known any more")."
            return notice.kind == .grantKept ? review : "\(review) If your work needs it, ask for it again."
        case .providerChanged: return "The event names them. If nobody announced it, ask whoever runs the server."
        case .recoveryAsked:
            return recovery(of: notice)?.standing
        case .clockJumped: return notice.about.flatMap { clockJumps[$0.id] }?.standing
        case .rowDiffers:
            return notice.about.flatMap { discrepancies[$0.id] }.map { found in
                let said = "\(DiscrepancyPages.words(found.kind))."
                return found.state == .open ? said : "\(said) Nothing is left to settle."
            }
        case .reviewOwed:
            let raised = caller.permissions.contains(ClearStaffFlag.spec.permission) ? flags[notice.event] ?? [] : []
            return raised.isEmpty ? nil : raised.map(\.standing).joined(separator: " ")
        case .denialBurst: return try events[notice.event].flatMap(refused)
        case .executed, .cancelled, .rolesChanged, .sessionsEnded: return nil
        }
    }

    /// "Mira O. asked 5 times within 10 minutes for what their roles don’t allow."
    private func refused(_ event: Row) throws -> String? {
        let facts = (try? JSON(parsing: try event.bytes("leaf")))?["facts"]
        guard let count = facts?["count"]?.int, let minutes = facts?["minutes"]?.int else { return nil }
        let who = names[try event.string("actor_id")] ?? "Somebody"
        return "\(who) asked \(count) times within \(minutes) minutes for what their roles don’t allow."
    }

    /// By the id of the case. Not of customers' people: whoever sees those is recorded.
    private static func rowNames(
        of cases: [Discrepancy], for caller: Caller, _ catalog: Catalog, from reader: any Reader
    ) throws -> [String: String] {
        let named = cases.filter { found in
            found.rowType != User.type && EventWords.path(type: found.rowType, id: found.rowID, for: caller) != nil
        }
        var out: [String: String] = [:]
        for (type, found) in Dictionary(grouping: named, by: \.rowType) {
            guard let kind = catalog.entity(type) else { continue }
            let names = try kind.displayNames(Set(found.map(\.rowID)).sorted(), reader)
            for one in found { out[one.id] = names[one.rowID].map { DocumentDiff.subject(type, $0) } }
        }
        return out
    }

    // MARK: Where it leads

    private func path(of notice: Notice) -> String? {
        switch notice.kind {
        case .rolesChanged, .factorsReset, .sessionsEnded, .grantKept, .grantRevoked: "/me"
        case .reviewOwed: caller.permissions.contains(ClearStaffFlag.spec.permission) ? "/staff-flags" : nil
        case .denialBurst, .providerChanged: EventWords.path(type: "event", id: notice.event, for: caller)
        case .clockJumped:
            notice.about.flatMap { clockJumps[$0.id] }.flatMap { jump in
                jump.isOpen && ClockNotice.mayConfirm(caller)
                    ? ClockNotice.path(jump) : EventWords.path(type: "event", id: notice.event, for: caller)
            }
        case .recoveryAsked:
            recovery(of: notice).flatMap { EventWords.path(type: Staff.type, id: $0.staffID, for: caller) }
        case .rowDiffers: notice.about.map { "/discrepancies/\($0.id)" }
        case .emergencyOpened, .emergencyEnded, .emergencyOwed, .emergencyOverdue, .emergencyReviewed:
            notice.about.map { "/breakglass-sessions/\($0.id)" }
        case .accessReviewAsked, .accessReviewReminder:
            notice.about.map { "/access-reviews/\($0.id)?state=open&reviewer=me" }
        case .accessReviewOverdue: notice.about.map { "/access-reviews/\($0.id)" }
        default: notice.about.map { "/approvals/\($0.id)" }
        }
    }
}
