import Kernel

/// Ends sessions of a person: the next request with one is refused.
public enum RevokeStaffSessions: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.revoke_sessions", "End sessions",
        summary: "Signs a person out of one session, or of all; they can sign in again with their factors.",
        permission: "staff.revoke_sessions", risk: .medium,
        reasonCodes: [
            ReasonCode("lost_device", "A device is lost or stolen"),
            ReasonCode("suspicious", "It is not clear who uses it"),
            ReasonCode("on_request", "They asked for it"),
        ], isDestructive: true)

    public struct Input: OperationInput {
        @Param("Session", .length(1...120), help: "The id of one session. Leave empty to end all of them.")
        public var session: String?
        public init() {}
    }

    public struct Facts: Sendable {
        /// Ids of those nobody ended: all of them end, also those that were not used for too long.
        let sessions: [String]
        /// How many of them are going on.
        let open: Int64
        /// What they have open ends with them.
        let emergencies: [BreakGlass]
        /// Accounts of Slack that speak for them.
        let links: [SlackLink]
    }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let id = target?.id ?? ""
        let rows = try reader.query([
            SignInQueries.unended(of: id, at: reader.now, limit: 1000),
            BreakGlassQueries.live(of: [id]), SlackQueries.allLinks(of: id),
            SignInQueries.countOpen(of: id, at: reader.now),
        ])
        return Facts(
            sessions: try rows[0].map { try $0.string("id") }, open: try rows[3].first?.int("count") ?? 0,
            emergencies: try rows[1].map(BreakGlass.init), links: try rows[2].map(SlackLink.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let person = call.before
        guard !call.facts.sessions.isEmpty || !call.facts.links.isEmpty else {
            throw .conflict("\(person.name) is signed in nowhere.", legal: [])
        }
        let stopped = BreakGlass.stopped(call.facts.emergencies, by: call.person, at: call.now)
        let also = stopped.isEmpty ? "" : " Their break-glass ends."
        guard let session = call.input.session else {
            let count = call.facts.open
            // Whoever signs somebody out everywhere means Slack too.
            let unlinked = call.facts.links.map { Change.update($0, to: $0.ended(at: call.now)) }
            let slack = unlinked.isEmpty ? "" : " Their link to Slack ends."
            let ended =
                switch count {
                case 0: "is signed in nowhere."
                case 1: "is signed out of the one session there is."
                default: "is signed out of all \(count) sessions."
                }
            return Plan(
                person.touched(at: call.now), also: stopped + unlinked,
                alsoWrite: [SignInQueries.endAll(of: person.id, at: call.now)],
                facts: ["sessions": .int(count)],
                consequence: "\(person.name) \(ended)\(slack)\(also)")
        }
        guard call.facts.sessions.contains(session) else {
            throw .field("session", "\(person.name) has no such session, or it has ended already.")
        }
        return Plan(
            person.touched(at: call.now), also: stopped,
            alsoWrite: [SignInQueries.end(session: session, of: person.id, at: call.now)],
            facts: ["sessions": 1, "ended_session": .string(session)],
            consequence: "\(person.name) is signed out of this session.\(also)")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A session that ended stays so. They can sign in again.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .active ? nil : Unavailable("they can't be signed in", isMoot: true)
    }
}
