import Kernel

/// An account of Slack that is a member of staff's. What it asks is answered as far as that person may see it.
public struct SlackLink: Entity, Hashable {
    public static let type = "slack_link"
    public static let idPrefix = "slk"
    public static let table = "slack_links"

    public var id: String
    public var version: Int64
    /// Slack's own id of the workspace, `T…`.
    public var team: String
    /// Slack's own id of the account, `U…`.
    public var slackUser: String
    public var staffID: String
    public var linkedAt: Instant
    public var endedAt: Instant?

    public init(
        id: String, version: Int64 = 1, team: String, slackUser: String, staffID: String, linkedAt: Instant,
        endedAt: Instant? = nil
    ) {
        self.id = id
        self.version = version
        self.team = team
        self.slackUser = slackUser
        self.staffID = staffID
        self.linkedAt = linkedAt
        self.endedAt = endedAt
    }

    func ended(at now: Instant) -> SlackLink {
        var after = self
        after.endedAt = now
        return after
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { "\(slackUser) in \(team)" }
    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "team": .string(team), "slack_user": .string(slackUser),
            "staff_id": .string(staffID), "linked_at": JSON(linkedAt), "ended_at": JSON(endedAt),
        ]
    }
}
