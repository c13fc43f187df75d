import HTML
import Kernel

/// What the staff channel is told, in Block Kit: words for actions, ids that are no person's, outcomes, links. No sealed
/// member, no name, no address, no justification.
struct SlackMessage {
    /// Slack takes 50 blocks of 3000 characters; more than a screenful nobody reads.
    static let longest = 2900
    static let lines = 8
    static let kinds = 15

    let catalog: Catalog
    let console: String

    /// The channel's test.
    func test(_ event: String) -> [UInt8] {
        message(
            "Test from Postern",
            [
                section("*Test from Postern*\nWhat happens in the back office is mirrored into this channel."),
                context("\(link("/audit/\(event)", "the event")) · \(link("/deliveries", "deliveries"))"),
            ])
    }

    /// A day's root with the signed note it stands in.
    func root(_ payload: JSON) -> [UInt8] {
        let day = payload["day"]?.string ?? ""
        let size = Grouped.digits(payload["size"]?.int ?? 0)
        return message(
            "Root of the audit log, \(day)",
            [
                section(
                    "*Root of the audit log, \(day)*\n\(size) entries. Keep it: it proves later that none was changed."),
                section("```\(escape(payload["note"]?.string ?? ""))```"),
                context("Check it with `postern verify --against FILE`."),
            ])
    }

    /// Everything of a range of the log; `nil` when nothing of it is there any more.
    func events(in range: Range<Int64>, from reader: any Reader) throws -> [UInt8]? {
        let rows = try reader.query([
            ChannelQueries.counts(in: range), ChannelQueries.first(Self.lines, in: range),
        ])
        let kinds = try rows[0].map(Kind.init).sorted {
            ($1.count, $0.action, $0.outcome) < ($0.count, $1.action, $1.outcome)
        }
        let total = kinds.reduce(0) { $0 + $1.count }
        guard total > 0, let first = kinds.map(\.first).min(), let last = kinds.map(\.last).max() else { return nil }
        let lines = try rows[1].map { try line($0) }
        if total <= Int64(Self.lines) {
            let title = total == 1 ? kinds[0].title(in: catalog) : "\(total) events"
            return message(title, [section(lines.joined(separator: "\n"))])
        }
        let span =
            (first.microseconds / 1_000_000 == last.microseconds / 1_000_000 ? "" : "\(clock(first)) to ")
            + "\(clock(last)) UTC"
        var counts = kinds.prefix(Self.kinds).map {
            "\(Grouped.digits($0.count)) × \(escape($0.title(in: catalog))), \($0.outcome)"
        }
        if kinds.count > Self.kinds {
            let rest = kinds.dropFirst(Self.kinds).reduce(0) { $0 + $1.count }
            counts.append("\(Grouped.digits(rest)) of \(kinds.count - Self.kinds) other kinds")
        }
        let title = "\(Grouped.digits(total)) events, \(span)"
        return message(
            title,
            [
                section("*\(title)*\n" + counts.joined(separator: "\n")),
                section("The first of them:\n" + lines.joined(separator: "\n")),
                context(link("/audit", "the audit log")),
            ])
    }

    /// Events of one action and outcome.
    private struct Kind {
        let action: String
        let outcome: String
        let count: Int64
        let first: Instant
        let last: Instant

        init(_ row: Row) throws {
            action = try row.string("action")
            outcome = try row.string("outcome")
            count = try row.int("count")
            first = try row.instant("first_at")
            last = try row.instant("last_at")
        }

        func title(in catalog: Catalog) -> String { SlackMessage.title(action, in: catalog) }
    }

    private static func title(_ action: String, in catalog: Catalog) -> String {
        catalog[action]?.spec.title ?? EventWords.plain[action] ?? action
    }

    /// Things of the deployment, and customers as companies; a person's id is not told.
    private static let impersonal: Set<String> = [
        "tenant", "approval", "webhook", "delivery", "role", "policy", "registry", "event",
    ]

    private func line(_ row: Row) throws -> String {
        let action = try row.string("action")
        var parts = ["*\(escape(Self.title(action, in: catalog)))*", try row.string("outcome")]
        if let type = try row.optionalString("target_type"), let id = try row.optionalString("target_id"),
            Self.impersonal.contains(type)
        {
            parts.append("`\(escape(id))`")
        }
        parts.append("by \(Self.actor(try row.string("actor_type")))")
        parts.append(clock(try row.instant("at")))
        parts.append(link("/audit/\(try row.string("id"))", "the event"))
        return parts.joined(separator: " · ")
    }

    private static func actor(_ kind: String) -> String {
        switch Actor.Kind(rawValue: kind) {
        case .staff: "staff"
        case .system: "Postern itself"
        default: kind.replacing("_", with: " ")
        }
    }

    // MARK: Block Kit

    private func message(_ title: String, _ blocks: [JSON]) -> [UInt8] {
        JSON.object(["text": .string(escape(bounded(title))), "blocks": .array(blocks)]).canonical
    }

    private func section(_ text: String) -> JSON {
        ["type": "section", "text": ["type": "mrkdwn", "text": .string(bounded(text))]]
    }

    private func context(_ text: String) -> JSON {
        ["type": "context", "elements": [["type": "mrkdwn", "text": .string(bounded(text))]]]
    }

    /// Whole lines, as many as fit.
    private func bounded(_ text: String) -> String {
        guard text.utf16.count > Self.longest else { return text }
        var kept = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard kept.utf16.count + line.utf16.count < Self.longest else { break }
            kept += kept.isEmpty ? String(line) : "\n\(line)"
        }
        return kept.isEmpty ? String(text.prefix(Self.longest / 4)) : kept + "\n…"
    }

    private func link(_ path: String, _ title: String) -> String { "<\(console)\(path)|\(title)>" }

    private func clock(_ time: Instant) -> String { String(time.rfc3339.dropFirst(11).prefix(8)) }

    private func escape(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
