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

    /// Ids of the sessions that are going on.
    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> [String] {
        try reader.query(SignInQueries.openSessions(of: target?.id ?? "", before: nil, at: reader.now, limit: 1000))
            .map { try $0.string("id") }
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let person = call.before
        guard !call.facts.isEmpty else { throw .conflict("\(person.name) is signed in nowhere.", legal: []) }
        guard let session = call.input.session else {
            let count = call.facts.count
            return Plan(
                person.touched(at: call.now), alsoWrite: [SignInQueries.endAll(of: person.id, at: call.now)],
                facts: ["sessions": .int(Int64(count))],
                consequence: count == 1
                    ? "\(person.name) is signed out of the one session there is."
                    : "\(person.name) is signed out of all \(count) sessions.")
        }
        guard call.facts.contains(session) else {
            throw .field("session", "\(person.name) has no such session, or it has ended already.")
        }
        return Plan(
            person.touched(at: call.now),
            alsoWrite: [SignInQueries.end(session: session, of: person.id, at: call.now)],
            facts: ["sessions": 1, "ended_session": .string(session)],
            consequence: "\(person.name) is signed out of this session.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A session that ended stays so. They can sign in again.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .active ? nil : Unavailable("they can't be signed in", isMoot: true)
    }
}
