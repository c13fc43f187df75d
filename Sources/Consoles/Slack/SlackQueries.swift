import Kernel

extension SlackLink {
    public static let columns = "id, version, team, slack_user, staff_id, linked_at, ended_at"

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), team: try row.string("team"),
            slackUser: try row.string("slack_user"), staffID: try row.string("staff_id"),
            linkedAt: try row.instant("linked_at"), endedAt: try row.optionalInstant("ended_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(team), .text(slackUser), .text(staffID), Value(linkedAt), Value(endedAt),
        ]
    }
}

/// Accounts of Slack, and messages that can be changed.
enum SlackQueries {
    // MARK: Links

    /// The one of an account of Slack that counts. Through `slack_links_user`.
    static func link(team: String, user: String) -> Statement {
        Statement(
            "SELECT \(SlackLink.columns) FROM slack_links WHERE team = $1 AND slack_user = $2 AND ended_at IS NULL",
            [.text(team), .text(user)])
    }

    /// Those of a person that count, the newest first.
    static func links(of staff: String, limit: Int = 20) -> Statement {
        Statement(
            """
            SELECT \(SlackLink.columns) FROM slack_links WHERE staff_id = $1 AND ended_at IS NULL
            ORDER BY id DESC LIMIT \(limit)
            """, [.text(staff)])
    }

    /// Everything that speaks for a person, where it ends.
    static func allLinks(of staff: String) -> Statement { links(of: staff, limit: 1000) }

    /// A row when the person still has a second factor that was theirs when the link was made: a link does not outlive the
    /// factors it was confirmed with, and a password confirms none.
    static func factor(of staff: String, since linked: Instant) -> Statement {
        Statement(
            """
            SELECT id FROM factors
            WHERE staff_id = $1 AND status = 'active' AND kind IN ('webauthn', 'totp') AND created_at <= $2 LIMIT 1
            """, [.text(staff), Value(linked)])
    }

    // MARK: Offers

    static func offer(
        _ hash: [UInt8], team: String, teamName: String, user: String, name: String, until: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO slack_offers (token_hash, team, slack_user, slack_name, team_name, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            [.bytes(hash), .text(team), .text(user), .text(name), .text(teamName), Value(until)])
    }

    static func offer(_ hash: [UInt8], at now: Instant) -> Statement {
        Statement(
            "SELECT team, slack_user, slack_name, team_name FROM slack_offers WHERE token_hash = $1 AND expires_at > $2",
            [.bytes(hash), Value(now)])
    }

    static func takeOffer(_ hash: [UInt8], at now: Instant) -> Statement {
        Statement(
            """
            DELETE FROM slack_offers WHERE token_hash = $1 AND expires_at > $2 RETURNING team, slack_user
            """, [.bytes(hash), Value(now)])
    }

    /// Answers a row for the first request with a signature alone.
    static func take(_ signature: [UInt8], until: Instant) -> Statement {
        Statement(
            """
            INSERT INTO slack_requests (signature, expires_at) VALUES ($1, $2) ON CONFLICT (signature) DO NOTHING
            RETURNING signature
            """, [.bytes(signature), Value(until)])
    }

    static func forget(at now: Instant) -> [Statement] {
        [
            Statement("DELETE FROM slack_requests WHERE expires_at < $1", [Value(now)]),
            Statement("DELETE FROM slack_offers WHERE expires_at < $1", [Value(now)]),
            Statement("DELETE FROM slack_messages WHERE posted_at < $1", [Value(now - .days(30))]),
        ]
    }

    // MARK: Messages

    /// What a delivery tells.
    static func told(_ delivery: String) -> Statement {
        Statement(
            """
            SELECT d.name, d.event_id, o.payload FROM deliveries d JOIN outbox o ON o.id = d.outbox_id WHERE d.id = $1
            """, [.text(delivery)])
    }

    static func message(of approval: String) -> Statement {
        Statement("SELECT ts FROM slack_messages WHERE approval_id = $1", [.text(approval)])
    }

    static func keep(_ ts: String, of approval: String, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO slack_messages (approval_id, ts, posted_at) VALUES ($1, $2, $3)
            ON CONFLICT (approval_id) DO UPDATE SET ts = excluded.ts, posted_at = excluded.posted_at
            """, [.text(approval), .text(ts), Value(now)])
    }

    /// Takes where a message stands: it is changed once.
    static func takeMessage(of approval: String) -> Statement {
        Statement("DELETE FROM slack_messages WHERE approval_id = $1 RETURNING ts", [.text(approval)])
    }
}
