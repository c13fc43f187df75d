import Kernel

/// The account of a super_admin is recovered from the server's machine: asked for, then for a day open to objection, then carried out
/// by the worker (spec: access §4).
///
///     postern staff recover ─▶ pending ─ 24 h ─▶ done        factors end, the link works
///                                 └────────────▶ cancelled   a super_admin signed in and said no
public struct Recovery: Entity, Hashable {
    public static let type = "recovery"
    public static let idPrefix = "rcv"
    public static let table = "recoveries"

    public enum State: String, Sendable, CaseIterable {
        case pending, done, cancelled
    }

    /// Long enough for somebody to read a mail.
    public static let delay = Span.hours(24)

    public var id: String
    public var version: Int64
    public var staffID: String
    /// What the person was called when it was asked for.
    public var name: String
    public var state: State
    public var requestedAt: Instant
    public var executeAt: Instant
    public var endedAt: Instant?
    /// Who cancelled it, or the part of Postern that carried it out.
    public var endedBy: String?

    public init(
        id: String, version: Int64 = 1, staffID: String, name: String, state: State = .pending, requestedAt: Instant,
        executeAt: Instant, endedAt: Instant? = nil, endedBy: String? = nil
    ) {
        self.id = id
        self.version = version
        self.staffID = staffID
        self.name = name
        self.state = state
        self.requestedAt = requestedAt
        self.executeAt = executeAt
        self.endedAt = endedAt
        self.endedBy = endedBy
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { "the recovery of \(name)" }
    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "staff_id": .string(staffID),
            "name": .string(name), "state": .string(state.rawValue), "requested_at": JSON(requestedAt),
            "execute_at": JSON(executeAt),
            "ended_at": JSON(endedAt), "ended_by": JSON(endedBy),
        ]
    }

    func ended(_ state: State, by person: String, at now: Instant) -> Recovery {
        var after = self
        after.state = state
        after.endedAt = now
        after.endedBy = person
        return after
    }
}
