import HTML
import Kernel

/// What the staff channel is told, in Block Kit: words for actions, ids that are no person's, outcomes, links. No sealed
/// member, no name, no address, no justification.
struct SlackMessage {
    /// Slack takes 50 blocks of 3000 characters; more than a screenful nobody reads.
    static let longest = 2900
    static let lines = 8
    static let kinds = 15
    /// Alarms that stand in one message with a line each; a section holds `lines` of them.
    static let mostAlarms = 40

    let catalog: Catalog
    let console: String
    /// Whether messages about requests name who asks and about whom.
    var showsNames = false

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

    /// A request as it stands when the message leaves: what is asked for, the rule in words, and buttons that open the console.
    /// Nothing can be decided in Slack. `nil` when there is no such request.
    func request(_ payload: JSON, isReminder: Bool, from reader: any Reader) throws -> [UInt8]? {
        guard let id = payload["approval"]?.string, let request = try ApprovalRequest.load(id, from: reader) else {
            return nil
        }
        let asked = Self.title(request.operation, in: catalog)
        let isOpen = request.isOpen(at: reader.now)
        let title =
            isOpen
            ? (isReminder ? "Still waits for a signature: \(asked)" : "A signature is asked for: \(asked)")
            : "\(asked): \(Self.word(request, at: reader.now))"
        var lines = ["*\(escape(title))*"]
        if showsNames, let entry = try ApprovalList.name([request], tellsSealed: false, from: reader).first {
            let who = "by \(entry.requesterName ?? "staff")"
            lines.append(escape(entry.targetName.map { "\(who), about \($0)" } ?? who))
        }
        if isOpen { lines += request.needs.map { escape("Needs \($0.demand.sentence). \($0.summary)") } }
        var parts = ["asked at \(Self.minute(request.createdAt))"]
        if isOpen {
            parts.append("expires at \(Self.minute(request.expiresAt))")
            let left = request.expiresAt - reader.now
            if isReminder { parts.append("\(TimeText.span(left)) left") }
        }
        let path = "/approvals/\(request.id)"
        var buttons = [button("Open in Postern", path, "open")]
        if isOpen {
            buttons += [
                button("Approve…", "\(path)/approve", "approve"), button("Reject…", "\(path)/reject", "reject"),
            ]
        }
        var message: [String: JSON] = [
            "text": .string(escape(bounded(title))),
            "blocks": [
                section(lines.joined(separator: "\n")), context(parts.joined(separator: " · ")),
                ["type": "actions", "elements": .array(buttons)],
            ],
        ]
        if let ts = payload["ts"] { message["ts"] = ts }
        return JSON.object(message).canonical
    }

    /// "27 Nov 2026, 09:30 UTC"
    private static func minute(_ time: Instant) -> String { time.minuteText }

    private static func word(_ request: ApprovalRequest, at now: Instant) -> String {
        switch request.state {
        case .pending, .stale: "expired"
        case .approved: "approved"
        case .scheduled: "approved, and carried out later"
        case .executed: "carried out"
        default: request.state.rawValue
        }
    }

    /// A button that opens a page of the console, and does nothing else.
    private func button(_ title: String, _ path: String, _ id: String) -> JSON {
        [
            "type": "button", "action_id": .string(id), "url": .string(console + path),
            "text": ["type": "plain_text", "text": .string(title)],
        ]
    }

    /// Everything of a range of the log; `nil` when nothing of it is there any more.
    func events(in range: Range<Int64>, from reader: any Reader) throws -> [UInt8]? {
        let rows = try reader.query([
            ChannelQueries.counts(in: range), ChannelQueries.first(Self.lines, in: range),
            ChannelQueries.first(Self.mostAlarms, of: Self.alarms.sorted(), in: range),
        ])
        // Alarms before what there is more of: they are never among the other kinds.
        let kinds = try rows[0].map(Kind.init).sorted {
            ($0.rank, $1.count, $0.action, $0.outcome) < ($1.rank, $0.count, $1.action, $1.outcome)
        }
        let total = kinds.reduce(0) { $0 + $1.count }
        guard total > 0, let first = kinds.map(\.first).min(), let last = kinds.map(\.last).max() else { return nil }
        let mark = rows[2].isEmpty ? "" : Self.alarm
        if total <= Int64(Self.lines) {
            let title = total == 1 ? kinds[0].title(in: catalog) : "\(total) events"
            let others = try rows[1].filter { try !Self.alarms.contains($0.string("action")) }
            let lines = try (rows[2] + others).map { try line($0) }
            return message(mark + title, [section(lines.joined(separator: "\n"))])
        }
        let lines = try rows[1].map { try line($0) }
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
        let alarms = try rows[2].map { try line($0) }
        let urgent = stride(from: 0, to: alarms.count, by: Self.lines).map {
            section(alarms[$0..<min($0 + Self.lines, alarms.count)].joined(separator: "\n"))
        }
        return message(
            mark + title,
            urgent + [
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
        var rank: Int { SlackMessage.alarms.contains(action) ? 0 : 1 }
    }

    private static func title(_ action: String, in catalog: Catalog) -> String {
        catalog[action]?.spec.title ?? EventWords.plain[action] ?? action
    }

    /// Things of the deployment, and customers as companies; a person's id is not told.
    private static let impersonal: Set<String> = [
        "tenant", "approval", "webhook", "delivery", "role", "policy", "registry", "event", "breakglass",
        "access_review", "compliance_exception",
    ]

    /// What somebody should see at once.
    private static let alarms: Set<String> = [
        "breakglass.open", "breakglass.end", "breakglass.expire", "breakglass.escalate", "oidc.settings_changed",
        "staff.recover", "clock.jumped", "discrepancy.report",
    ]
    private static let alarm = ":rotating_light: "

    private func line(_ row: Row) throws -> String {
        let action = try row.string("action")
        let alarm = Self.alarms.contains(action) ? Self.alarm : ""
        var parts = ["\(alarm)*\(escape(Self.title(action, in: catalog)))*", try row.string("outcome")]
        if let type = try row.optionalString("target_type"), let id = try row.optionalString("target_id"),
            Self.impersonal.contains(type)
        {
            parts.append("`\(escape(id))`")
        }
        if let leaf = try row.optionalBytes("leaf"), let named = Self.differing(leaf) { parts.append(escape(named)) }
        parts.append("by \(Self.actor(try row.string("actor_type")))")
        parts.append(clock(try row.instant("at")))
        parts.append(link("/audit/\(try row.string("id"))", "the event"))
        return parts.joined(separator: " · ")
    }

    /// The row that a case is about; of a person's only the kind.
    private static func differing(_ leaf: [UInt8]) -> String? {
        guard let facts = try? JSON(parsing: leaf)["facts"], let type = facts["row_type"]?.string,
            let id = facts["row_id"]?.string
        else { return nil }
        return [Staff.type, User.type].contains(type) ? type : "\(type) `\(id)`"
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

    func link(_ path: String, _ title: String) -> String { "<\(console)\(path)|\(title)>" }

    private func clock(_ time: Instant) -> String { String(time.rfc3339.dropFirst(11).prefix(8)) }

    func escape(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
