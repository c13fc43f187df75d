import Kernel

/// Somebody who works with Postern.
public struct Staff: Entity, Hashable {
    public static let type = "staff"
    public static let idPrefix = "stf"
    public static let table = "staff"

    public enum Status: String, Sendable, CaseIterable {
        /// Has an enrolment link, and no factors yet.
        case invited
        case active
        /// Left: no grants, no sessions, can't sign in.
        case deactivated
    }

    public var id: String
    public var version: Int64
    /// Lower case; unique.
    public var email: String
    public var name: String
    public var status: Status
    /// The person who invited them; `nil` for the first.
    public var invitedBy: String?
    public var createdAt: Instant
    public var updatedAt: Instant
    /// When the invitation in force was made.
    public var invitedAt: Instant?
    /// Who last had this person's factors reset, and when: whoever did could have become them. Of somebody the identity provider
    /// told of, who was shown its token, from the start. Whoever was before them is known by the log (`ResetTouch`).
    public var resetBy: String?
    public var resetAt: Instant?

    public init(
        id: String, version: Int64 = 1, email: String, name: String, status: Status, invitedBy: String?,
        createdAt: Instant, updatedAt: Instant, invitedAt: Instant? = nil, resetBy: String? = nil,
        resetAt: Instant? = nil
    ) {
        self.invitedAt = invitedAt
        self.resetBy = resetBy
        self.resetAt = resetAt
        self.id = id
        self.version = version
        self.email = email
        self.name = name
        self.status = status
        self.invitedBy = invitedBy
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [id] }
    public var displayName: String { name }

    public var document: JSON {
        // Members that came later stand only where there is something: rows recorded before them are the same still.
        .members([
            ("id", .string(id)), ("version", .int(version)), ("email", .string(email)), ("name", .string(name)),
            ("status", .string(status.rawValue)), ("invited_by", JSON(invitedBy)), ("created_at", JSON(createdAt)),
            ("updated_at", JSON(updatedAt)), ("invited_at", invitedAt.map { JSON($0) }),
            ("reset_by", resetBy.map { JSON($0) }), ("reset_at", resetAt.map { JSON($0) }),
        ])
    }
}
