import Kernel

extension Guard {
    /// Emergencies are opened one after the other, and on nothing that is deleted at the same moment.
    static let breakGlass = Guard("breakglass")
}

/// Opens the emergency door on one tenant, with another super_admin's signature within ten minutes; or alone, when nobody else can
/// be reached.
public enum OpenBreakGlass: Operation {
    public typealias Target = BreakGlass
    public static let spec = OperationSpec(
        "breakglass.open", "Open break-glass",
        summary: "Declares an emergency on one tenant for 30 minutes; everybody with a say is told.",
        permission: "breakglass.open", risk: .critical,
        reasonCodes: [
            ReasonCode("outage", "The product does not work for them"),
            ReasonCode("security", "Somebody is, or may be, attacking them"),
            ReasonCode("data_loss", "Their data is being lost or damaged"),
            ReasonCode("locked_out", "They are locked out, and can’t let anybody in"),
        ], reasonTitle: "What the emergency is", ticketRequired: true, isAtOnce: true)
    public static let creates = true

    public struct Input: OperationInput {
        @Param(
            "Tenant", .length(1...120),
            help: "Its id or slug. One tenant: for another one, the review comes first.")
        public var tenant: String
        @Param(
            "Alone",
            help:
                "Nobody else can be reached. Everything else you may do is locked until somebody has reviewed it, and every super admin and security hears of it."
        )
        public var solo = false
        @Param(
            "Whom you tried", .prose(20...1000), help: "Alone only: whom you tried to reach, how, and what came of it.")
        public var tried: String?
        public init() {}
    }

    /// How long an unanswered request opens the door for one.
    static let unanswered = Span.hours(1)

    public struct Facts: Sendable {
        struct Customer: Sendable {
            let id: String
            let name: String
            let status: String
        }
        struct Knock: Sendable {
            let id: String
            let person: String
            let tenant: String?
            let state: ApprovalRequest.State
        }
        let tenant: Customer?
        /// Of everybody, not reviewed.
        let sessions: [BreakGlass]
        /// Requests to open one that ended lately, the newest first.
        let answered: [Knock]
        /// Requests that wait for a signature.
        let waiting: [Knock]
        /// Super_admins by id, with whether they can sign in.
        let admins: [String: Bool]
        /// How many people are super_admin or were lately.
        let latelyAdmins: Int
        /// Who could review it.
        let reviewers: [String]
    }

    /// One at a time: who has one, and who could have signed, is decided for one request after the other.
    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.breakGlass] }

    public static func gather(_ input: Input, _ target: BreakGlass?, from reader: any Reader) throws -> Facts {
        let now = reader.now
        let rows = try reader.query(
            BreakGlassQueries.tenant(input.tenant) + [
                BreakGlassQueries.live, BreakGlassQueries.answered(since: now - unanswered),
                BreakGlassQueries.waiting(at: now), Grant.people(holding: ["super_admin"], at: now),
                Grant.holders(of: ["super_admin"], at: now),
                BreakGlassQueries.holders(of: ReviewBreakGlass.spec.permission, at: now),
            ])
        func knocks(_ rows: [Row]) throws -> [Facts.Knock] {
            try rows.map { row in
                guard let state = ApprovalRequest.State(rawValue: try row.string("state")) else {
                    throw StoreError.shape(column: "state")
                }
                return Facts.Knock(
                    id: try row.string("id"), person: try row.string("requester"),
                    tenant: try row.optionalString("tenant_id"), state: state)
            }
        }
        var admins: [String: Bool] = [:]
        for row in rows[5] { admins[try row.string("id")] = try row.bool("is_able") }
        return Facts(
            tenant: try (rows[0].first ?? rows[1].first).map {
                Facts.Customer(id: try $0.string("id"), name: try $0.string("name"), status: try $0.string("status"))
            },
            sessions: try rows[2].map(BreakGlass.init), answered: try knocks(rows[3]), waiting: try knocks(rows[4]),
            admins: admins, latelyAdmins: rows[6].count,
            reviewers: try rows[7].map { try $0.string("id") })
    }

    /// Who could review what this person opens: not themselves, and nobody who is locked by a door of their own.
    private static func reviewers(_ call: Call<Self>) -> [String] {
        let locked = Set(call.facts.sessions.filter(\.isSolo).map(\.person))
        return call.facts.reviewers.filter { $0 != call.person && !locked.contains($0) }
    }

    public static func measures(_ call: Call<Self>) -> Measures { Measures(["solo": .bool(call.input.solo)]) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<BreakGlass> {
        let input = call.input
        guard let tenant = call.facts.tenant else {
            throw .field("tenant", "There is no tenant with the id or slug \(input.tenant).")
        }
        guard tenant.status != "deleted" else {
            throw .field("tenant", "\(tenant.name) is deleted: there is nothing left to help.")
        }
        if let own = call.facts.sessions.first(where: { $0.person == call.person }) {
            throw .conflict(
                own.isOn(at: call.now)
                    ? "You have break-glass open already, until \(own.endsAt.minuteText) (\(own.id)). A person has one at a time, and it is not renewed."
                    : "Your last break-glass is not reviewed yet (\(own.id)). Until somebody else has reviewed it you can’t open another."
            )
        }
        if input.solo {
            try checkAlone(call, on: tenant.id)
        } else {
            if input.tried != nil {
                throw .field("tried", "This is for opening it alone. Leave it empty when somebody else is to agree.")
            }
            // What is carried out now was asked for; the others wait for a signature.
            if let other = call.facts.waiting.first(where: { $0.person == call.person }) {
                throw .conflict(
                    "You asked for break-glass already: \(other.id) waits for another super admin. Cancel that request first."
                )
            }
        }
        let session = BreakGlass(
            id: call.fresh.id(BreakGlass.idPrefix), tenant: tenant.id, person: call.person, isSolo: input.solo,
            reasonCode: call.reasonCode ?? "", tried: input.tried, openedAt: call.now, eventID: call.eventID)
        // Whoever asked hears that their request was carried out. One that is opened alone was no request: its opener gets this as
        // well, in case it was somebody else.
        let opened =
            input.solo
            ? told(.breakglassSolo, of: session) : told(.breakglassOpened, of: session, except: call.person)
        return Plan(
            session, effects: opened,
            calls: [MailNotice.breakglassAsked.effect(roles: ["super_admin"], except: call.person)],
            facts: ["solo": .bool(input.solo), "ends_at": .string(session.endsAt.rfc3339)],
            consequence: consequence(call, tenant.name))
    }

    /// Those with a say in every emergency.
    static let withSay = ["super_admin", "security"]

    /// Mail to those with a say, one each.
    /// - Parameter person: hears of it otherwise.
    static func told(_ notice: MailNotice, of session: BreakGlass, except person: String? = nil) -> [Effect] {
        [notice.effect(roles: withSay, except: person, breakglass: session.id)]
    }

    private static func consequence(_ call: Call<Self>, _ tenant: String) -> String {
        let what =
            "For 30 minutes everything its opener does is marked in the log with this emergency on \(tenant). It gives no permission, and whatever needs a second person still does."
        let then =
            call.input.solo
            ? " Everything else they may do is locked until somebody else has reviewed it."
            : " It is to be reviewed within 48 hours of its end, by neither of the two who opened it."
        let others = reviewers(call)
        return what + then
            + (others.isEmpty ? " Nobody else could review it as things are: until somebody can, it is the last." : "")
    }

    /// Whether nobody else can be reached: there is nobody, or nobody answered within the time a request has.
    private static func checkAlone(_ call: Call<Self>, on tenant: String) throws(Refusal) {
        guard call.input.tried != nil else {
            throw .field("tried", "Say whom you tried to reach, how, and what came of it.")
        }
        guard !reviewers(call).isEmpty else {
            throw .conflict(
                "Nobody else could review it, so you would stay locked out. Let somebody else become super admin or security first."
            )
        }
        if let other = call.facts.waiting.first(where: { $0.person == call.person }) {
            throw .conflict(
                "Your request \(other.id) still waits for another super admin. If nobody answers within its time, this door opens."
            )
        }
        let others = call.facts.admins.filter { $0.key != call.person }
        // Whoever was sent away lately was not out of reach, but in the way.
        let isAlone = !others.values.contains(true) && call.facts.latelyAdmins <= others.count + 1
        if isAlone { return }
        let knocks = call.facts.answered.filter { $0.person == call.person && $0.tenant == tenant }
        if let no = knocks.first(where: { $0.state == .rejected }) {
            throw .conflict(
                "Somebody was reached and said no within the last hour: \(no.id). Speak to them.")
        }
        guard knocks.contains(where: { $0.state == .expired }) else {
            let count = others.values.count { $0 }
            let who =
                switch count {
                case 0: "Others were super admins lately."
                case 1: "There is another super admin who could agree."
                default: "There are \(count) other super admins who could agree."
                }
            throw .conflict(
                "\(who) Ask without “Alone” first: they are told at once. If nobody answers within 10 minutes, this door opens for an hour."
            )
        }
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("It can be ended, and is reviewed all the same.")
    }
}
