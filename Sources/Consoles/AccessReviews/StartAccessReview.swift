import Kernel

/// Freezes the list of every grant of some roles, and deals it out to those who decide.
public enum StartAccessReview: Operation {
    public typealias Target = AccessReview
    public static let spec = OperationSpec(
        "access_review.start", "Start access review",
        summary: "Lists every grant of some roles as it is now, and asks reviewers to keep or revoke each of them.",
        permission: "access_review.manage", risk: .medium)
    public static let creates = true

    public struct Input: OperationInput {
        @Param(
            "Roles", .choices(Seeds.roles.map(\.id)), help: "Every grant of these roles that is in force is looked at.")
        public var roles: [String] = ["super_admin", "security"]
        @Param(
            "Due",
            help:
                "When it is to be finished, such as 2026-12-11T18:00:00Z or 2026-12-11 18:00 (UTC). Leave empty for as long as the schedule gives."
        )
        public var dueAt: Instant?
        @Param(
            "Reviewers",
            help:
                "Ids or e-mail addresses of who decides. Leave empty for everybody who may; nobody decides on their own."
        )
        public var reviewers: [String]?
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { AccessNames.roles(input.roles) }
    public static let declaresConcerns = true

    public static func gather(
        _ input: Input, _ target: AccessReview?, from reader: any Reader
    ) throws -> AccessReviewList { try .load(input.roles, from: reader) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReview> {
        let due = call.input.dueAt ?? call.now + .days(call.facts.schedule.daysUntilDue)
        guard due > call.now else { throw .field("due_at", "That time is over; choose a later one.") }
        guard due <= call.now + AccessReview.longest else {
            throw .field("due_at", "Choose a time within \(AccessReview.longest.seconds / 86_400) days.")
        }
        return try call.facts.plan(
            call.input.roles, due: due, reviewers: call.input.reviewers, by: call.person, isPlanned: false,
            at: call.now, call.fresh)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Cancel the review, with its reason; what was decided meanwhile stays.")
    }
}

/// The calendar starts one; where it could not for a day, that is an exception until it does. The worker does this.
public enum StartPlannedAccessReview: Operation {
    public typealias Target = AccessReview
    public static let spec = OperationSpec(
        "access_review.start_planned", "Start the access review that is due",
        summary: "Starts a review of the scheduled roles, once in each period.",
        permission: "access_review.manage", risk: .medium, justification: OperationSpec.Justification.none,
        systemOnly: true)
    public static let creates = true

    public struct Facts: Sendable {
        let list: AccessReviewList
        let last: AccessReview?
        /// About one that could not start.
        let exception: ComplianceException?
    }

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { [Guard("access_review:planned")] }

    public static func gather(_ input: NoInput, _ target: AccessReview?, from reader: any Reader) throws -> Facts {
        let schedule = try AccessReviewList.schedule(from: reader)
        return Facts(
            list: try .load(schedule.roles, from: reader),
            last: try reader.first(AccessReviewQueries.lastPlanned).map(AccessReview.init),
            exception: try reader.first(
                AccessReviewQueries.exception(about: AccessReviewPlan.type, AccessReviewPlan.only)
            ).map(ComplianceException.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReview> {
        let schedule = call.facts.list.schedule
        if let last = call.facts.last, last.state == .open {
            throw .conflict("The review of \(last.startedAt.day.words) is not closed yet.", legal: [])
        }
        guard schedule.isDue(at: call.now, last: call.facts.last?.startedAt) else {
            throw .conflict("No review is due.", legal: [])
        }
        if let hindrance = call.facts.list.hindrance { return try missed(call, hindrance) }
        var plan = try call.facts.list.plan(
            schedule.roles, due: call.now + .days(schedule.daysUntilDue), reviewers: nil, by: call.person,
            isPlanned: true, at: call.now, call.fresh)
        if let exception = call.facts.exception {
            plan.also.append(.update(exception, to: exception.ended(.closed, by: call.person, at: call.now)))
        }
        return plan
    }

    private static func missed(_ call: Call<Self>, _ hindrance: String) throws(Refusal) -> Plan<AccessReview> {
        let schedule = call.facts.list.schedule
        guard schedule.isLate(at: call.now), call.facts.exception == nil else {
            throw .conflict(hindrance, legal: [])
        }
        let exception = ComplianceException(
            id: call.fresh.id("exc"), controlID: "CC6.3", source: (AccessReviewPlan.type, schedule.id),
            title: "The scheduled access review of \(AccessNames.roles(schedule.roles)) could not start",
            severity: .high, owner: nil, openedAt: call.now)
        return Plan(
            nil, also: [.create(exception)], facts: ["exception": .string(exception.id)],
            consequence: "The review that is due can’t start: an exception is open until it does.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Cancel the review, with its reason; what was decided meanwhile stays.")
    }
}

/// Everything a campaign is made of.
public struct AccessReviewList: Sendable {
    struct Held: Sendable {
        let grant: Grant
        let name: String
        let lastSignIn: Instant?
        let lastUse: (at: Instant, action: String)?
    }
    struct Able: Sendable {
        let id: String
        let email: String
        let name: String
    }

    let schedule: AccessReviewPlan
    /// Those of the wanted roles that are in the tables.
    let known: Set<String>
    let held: [Held]
    /// Whoever may decide.
    let able: [Able]

    static func schedule(from reader: any Reader) throws -> AccessReviewPlan {
        try AccessReviewPlan.load(AccessReviewPlan.only, from: reader) ?? AccessReviewPlan(updatedAt: reader.now)
    }

    static func load(_ roles: [String], from reader: any Reader) throws -> AccessReviewList {
        let wanted = Set(roles).sorted()
        let named = wanted.isEmpty ? [""] : wanted
        let rows = try reader.query([
            Role.select(named, lock: false, reader.dialect), AccessReviewQueries.grants(of: named, at: reader.now),
            AccessReviewQueries.able(at: reader.now), RolePermission.held(byRoles: named),
        ])
        let grants = try rows[1].map { (grant: try Grant($0), name: try $0.string("staff_name")) }
        let powers = Dictionary(grouping: try rows[3].map(RolePermission.init).filter { !$0.isRevoked }, by: \.role)
            .mapValues { Self.grave(Set($0.map(\.permission))) }
        return AccessReviewList(
            schedule: try schedule(from: reader), known: Set(try rows[0].map { try $0.string("id") }),
            held: try Self.used(grants, powers, from: reader),
            able: try rows[2].map {
                Able(id: try $0.string("id"), email: try $0.string("email"), name: try $0.string("name"))
            })
    }

    /// Why the scheduled review could not start, however due it is; `nil` when it could.
    var hindrance: String? {
        if held.isEmpty { return "Nobody holds \(AccessNames.roles(schedule.roles, " or ")) at the moment." }
        if held.count > AccessReview.most {
            return
                "More than \(AccessReview.most) people hold \(AccessNames.roles(schedule.roles, " or ")): schedule fewer roles, and start reviews of the others by hand."
        }
        return able.isEmpty ? "No role in force holds \(Self.deciding), so nobody could decide." : nil
    }

    /// Operations of high or critical risk that some permissions allow.
    private static func grave(_ permissions: Set<String>) -> [String] {
        PolicyActs.all.filter { $0.risk >= .high && permissions.contains($0.permission) }.map(\.name).sorted()
    }

    private static func used(
        _ grants: [(grant: Grant, name: String)], _ powers: [String: [String]], from reader: any Reader
    ) throws -> [Held] {
        let people = Set(grants.map(\.grant.staffID)).sorted()
        guard !people.isEmpty else { return [] }
        var signIns: [String: Instant] = [:]
        for row in try reader.query(AccessReviewQueries.lastSignIns(of: people)) {
            signIns[try row.string("staff_id")] = try row.instant("at")
        }
        let uses = try reader.query(
            grants.map { AccessReviewQueries.lastUse(of: powers[$0.grant.role] ?? [""], by: $0.grant.staffID) })
        return try zip(grants, uses).map { one, use in
            Held(
                grant: one.grant, name: one.name, lastSignIn: signIns[one.grant.staffID],
                lastUse: try use.first.map { (try $0.instant("at"), try $0.string("action")) })
        }
    }

    func plan(
        _ roles: [String], due: Instant, reviewers: [String]?, by person: String, isPlanned: Bool, at now: Instant,
        _ fresh: Fresh
    ) throws(Refusal) -> Plan<AccessReview> {
        let roles = Set(roles).sorted()
        guard !roles.isEmpty else { throw .field("roles", "Choose at least one role.") }
        if let role = roles.first(where: { !known.contains($0) }) {
            throw .field("roles", "There is no role \(role) in this deployment.")
        }
        guard !held.isEmpty else {
            throw .field("roles", "Nobody holds \(AccessNames.roles(roles, " or ")) at the moment.")
        }
        guard held.count <= AccessReview.most else {
            throw .field(
                "roles",
                "More than \(AccessReview.most) grants are too many for one review. Choose fewer roles, and start another for the rest."
            )
        }
        let chosen = try choose(reviewers)
        let review = AccessReview(
            id: fresh.id("rev"), roles: roles, reviewers: chosen, isPlanned: isPlanned, startedBy: person,
            startedAt: now, dueAt: due)
        var begun = review
        // A reminder whose time is past already is not sent any more.
        begun.reminded = review.remindersPast(at: now)
        let shares = AccessReviewShare.deal(held.map(\.grant.staffID), among: chosen)
        let items = zip(held, shares).enumerated().map { slot, one in
            AccessReviewItem(
                id: fresh.id("rvi", slot: slot), reviewID: review.id, place: Int64(slot + 1), grant: one.0.grant,
                name: one.0.name, lastSignInAt: one.0.lastSignIn, lastUsedAt: one.0.lastUse?.at,
                lastUsedFor: one.0.lastUse?.action, reviewer: one.1)
        }
        let lost = items.count { $0.reviewer == nil }
        return Plan(
            begun, also: items.map { .create($0) },
            effects: chosen.filter { one in items.contains { $0.reviewer == one } }.map {
                MailNotice.reviewStarted.effect(to: $0, review: review.id)
            },
            facts: [
                "roles": .array(roles.map(JSON.string)), "grants": .int(Int64(items.count)),
                "reviewers": .int(Int64(chosen.count)), "due_at": .string(due.rfc3339),
            ],
            consequence:
                "\(said(items.count, "grant")) of \(AccessNames.roles(roles)) \(items.count == 1 ? "is" : "are") looked at by \(said(chosen.count, "reviewer")) until \(due.minuteText)."
                + (lost == 0
                    ? "" : " For \(said(lost, "grant")) there is nobody but its holder: name another reviewer."))
    }

    /// What whoever decides must hold.
    private static let deciding = AccessNames.exactPermission(AccessReviewQueries.permission)

    private func said(_ count: Int, _ word: String) -> String { count == 1 ? "1 \(word)" : "\(count) \(word)s" }

    /// The reviewers by id, each once and in the order given.
    private func choose(_ named: [String]?) throws(Refusal) -> [String] {
        guard let named, !named.isEmpty else {
            guard !able.isEmpty else {
                throw .conflict("Nobody may decide in a review: no role in force holds \(Self.deciding).")
            }
            return able.map(\.id)
        }
        var out: [String] = []
        for name in named {
            guard let found = able.first(where: { $0.id == name || $0.email == name.lowercased() }) else {
                throw .field("reviewers", "\(name.prefix(60)) is nobody who is active and may decide in a review.")
            }
            if !out.contains(found.id) { out.append(found.id) }
        }
        guard out.count <= 50 else { throw .field("reviewers", "50 reviewers are the most.") }
        return out
    }
}
