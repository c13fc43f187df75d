import Foundation
import HTML
import Kernel

/// Answers slash commands of Slack to the member of staff an account is linked with, as far as they may see it, and makes and ends
/// these links. Nothing that decides anything is done in Slack.
public struct StaffSlack: SlackDesk {
    /// How long an offer to link is good.
    static let offered = Span.minutes(10)
    /// A list in Slack has so many lines.
    static let lines = 8

    private let pipeline: Pipeline
    private let signIn: StaffSignIn
    private let secret: String
    private let showsNames: Bool
    private let message: SlackMessage

    /// - Parameters:
    ///   - secret: what Slack signs its requests with.
    ///   - showsNames: whether answers name people and customers.
    public init(pipeline: Pipeline, signIn: StaffSignIn, secret: String, showsNames: Bool) {
        self.pipeline = pipeline
        self.signIn = signIn
        self.secret = secret
        self.showsNames = showsNames
        message = SlackMessage(
            catalog: pipeline.catalog, console: pipeline.settings.consoleURL, showsNames: showsNames)
    }

    // MARK: Whether it is Slack

    public func admits(
        _ signature: String?, timestamp: String?, body: [UInt8]
    ) async throws(OperationError) -> Bool {
        guard
            SlackSignature.isValid(signature, timestamp: timestamp, body: body, secret: secret, at: pipeline.clock.now)
        else { return false }
        let digest = sha256(Array((signature ?? "").utf8))
        // Whoever overheard one can't have it answered again, by any server.
        return try await signIn.write { tx in
            try tx.first(SlackQueries.take(digest, until: tx.now + SlackSignature.tolerance + .minutes(5))) != nil
        }
    }

    // MARK: Commands

    private enum Verb: String, CaseIterable {
        case search, status, approvals, link, help
    }

    public func answer(_ command: SlackCommand, requestID: String) async throws(OperationError) -> JSON {
        let words = command.text.split(separator: " ", maxSplits: 1).map(String.init)
        guard let verb = words.first.map({ Verb(rawValue: $0.lowercased()) }) ?? .help else {
            return Self.say("I don’t know “\(message.escape(String((words.first ?? "").prefix(40))))”.\n\(Self.help)")
        }
        if verb == .help { return Self.say(Self.help) }
        let linked = try await caller(of: command, requestID: requestID)
        if verb == .link { return try await offerLink(command, to: linked) }
        guard let caller = linked else {
            return Self.say(
                "This account of Slack is not linked with yours in Postern. Type `/postern link`: you get a link that works once, and confirm it signed in to the console."
            )
        }
        do throws(OperationError) {
            switch verb {
            case .search: return try await search(words.count > 1 ? words[1] : "", by: caller)
            case .status: return try await status(of: caller)
            default: return try await approvals(of: caller)
            }
        } catch {
            switch error {
            case .forbidden(_, let detail): return Self.say(message.escape(detail))
            case .invalid(let errors): return Self.say(message.escape(errors.map(\.detail).joined(separator: " ")))
            default: throw error
            }
        }
    }

    private static let help = """
        `/postern search NAME` finds tenants by name, slug or id
        `/postern approvals` lists requests you could sign
        `/postern status` says what waits for you, and whether everything is delivered
        `/postern link` links this account of Slack with yours in Postern
        What is decided is decided in the console.
        """

    /// Only who asked sees it.
    private static func say(_ text: String) -> JSON { ["response_type": "ephemeral", "text": .string(text)] }

    /// The person behind an account of Slack, as they stand now; `nil` when it is nobody's.
    private func caller(of command: SlackCommand, requestID: String) async throws(OperationError) -> Caller? {
        let directory = StaffDirectory()
        let found: Standing? = try await signIn.read { reader in
            guard let row = try reader.first(SlackQueries.link(team: command.team, user: command.user)) else {
                return nil
            }
            let link = try SlackLink(row)
            guard try reader.first(SlackQueries.factor(of: link.staffID, since: link.linkedAt)) != nil else {
                return nil
            }
            return try directory.standings(of: [link.staffID]).read(from: reader)[link.staffID]
        }
        guard let standing = found, standing.isActive else { return nil }
        return Caller(
            actor: Actor(.staff, standing.person), person: standing.person, displayName: standing.name,
            roles: standing.roles, permissions: standing.permissions, client: .slack, requestID: requestID,
            emergency: standing.emergency)
    }

    private func search(_ query: String, by caller: Caller) async throws(OperationError) -> JSON {
        let text = query.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !text.isEmpty else { return Self.say("Say what to look for: `/postern search acme`.") }
        // People are looked up in the console alone: their names and addresses don’t leave it.
        let hits = try await pipeline.read("tenant.view", by: caller) { reader in
            let hits = try TenantSearch.run(text, people: false, in: reader).hits.prefix(Self.lines)
            return (
                hits,
                Disclosure(
                    "tenant.search", query: ["q": .string(text)], count: hits.count, ids: hits.map(\.id),
                    subjects: hits.map(\.id))
            )
        }
        guard !hits.isEmpty else {
            return Self.say("Nothing was found for “\(message.escape(String(text.prefix(60))))”.")
        }
        let lines = hits.map { hit in
            let name = showsNames ? hit.title : hit.id
            return "\(message.link("/tenants/\(hit.id)", message.escape(name))) · \(message.escape(hit.status))"
                + " · found by \(hit.matched)"
        }
        return Self.say(lines.joined(separator: "\n"))
    }

    private func approvals(of caller: Caller) async throws(OperationError) -> JSON {
        let (lines, count): ([String], Int) = try await pipeline.read(nil, by: caller) { reader in
            let entries = try ApprovalList.asking(caller, limit: 100, tellsSealed: false, from: reader)
            let shown = entries.prefix(Self.lines)
            let lines = shown.map { entry in
                var title = self.pipeline.catalog[entry.request.operation]?.spec.title ?? entry.request.operation
                if self.showsNames {
                    title = ApprovalPages.title(entry, catalog: self.pipeline.catalog, tellsSealed: false)
                }
                let left = TimeText.span(entry.request.expiresAt - reader.now)
                return
                    "\(self.message.link("/approvals/\(entry.request.id)", self.message.escape(title))) · \(left) left"
            }
            return (
                (Array(lines), entries.count),
                entries.isEmpty
                    ? nil : Disclosure("approval.list", count: shown.count, ids: shown.map(\.request.id))
            )
        }
        guard count > 0 else { return Self.say("Nothing waits for a signature you could give.") }
        let rest = count - lines.count
        return Self.say(
            (lines + (rest > 0 ? ["and \(rest) more: \(message.link("/approvals", "all of them"))"] : []))
                .joined(separator: "\n"))
    }

    /// Numbers alone: nothing to record.
    private func status(of caller: Caller) async throws(OperationError) -> JSON {
        let numbers = try await pipeline.read(nil, by: caller) { reader in
            let rows = try reader.query([
                ApprovalListQueries.countAsking(
                    ApprovalRequest.leaves(of: caller), besides: caller.person, now: reader.now),
                InboxQueries.countUnread(of: caller.person), HomeQueries.undelivered, HomeQueries.unsequenced,
            ])
            return (try rows.map { try $0.first?.int("count") ?? 0 }, nil)
        }
        func line(_ count: Int64, _ one: String, _ many: String, _ path: String) -> String {
            "\(message.link(path, "\(count) \(count == 1 ? one : many)"))"
        }
        return Self.say(
            [
                line(numbers[0], "request waits", "requests wait", "/approvals") + " for a signature you could give",
                line(numbers[1], "notice", "notices", "/inbox") + " in your inbox you have not read",
                numbers[2] == 0
                    ? "Everything that was to be sent has arrived"
                    : line(numbers[2], "effect is", "effects are", "/deliveries") + " not delivered yet",
                numbers[3] == 0
                    ? "Every event is in the log" : "\(numbers[3]) events wait to be taken into the log",
            ].joined(separator: "\n"))
    }

    // MARK: Links

    private func offerLink(_ command: SlackCommand, to caller: Caller?) async throws(OperationError) -> JSON {
        if caller != nil {
            return Self.say(
                "This account of Slack is linked already. \(message.link("/me", "Your own page")) shows it, and ends it."
            )
        }
        let token = "slo_" + Base64.encodeURL(SecureRandom.bytes(32))
        let hash = sha256(Array(token.utf8))
        try await signIn.write { tx in
            tx.enqueue(
                SlackQueries.offer(
                    hash, team: command.team, teamName: String(command.teamName.prefix(100)), user: command.user,
                    name: String(command.userName.prefix(100)), until: tx.now + Self.offered))
        }
        return Self.say(
            """
            \(message.link("/slack/link?token=\(token)", "Link this account of Slack with yours in Postern"))
            The link works once, within 10 minutes, and only for you: don’t pass it on.
            """)
    }

    public func offer(_ token: String) async throws(OperationError) -> SlackOffer {
        let hash = sha256(Array(token.utf8))
        return try await signIn.read { reader in
            guard let row = try reader.first(SlackQueries.offer(hash, at: reader.now)) else { throw Self.over }
            return SlackOffer(
                userName: try row.string("slack_name"), teamName: try row.string("team_name"),
                user: try row.string("slack_user"), team: try row.string("team"))
        }
    }

    private static let over = OperationError.notFound(
        "This link was used already, or its time is over. Type /postern link in Slack for a new one.")

    public func link(_ token: String, to session: SessionInfo, by caller: Caller) async throws(OperationError) {
        try await signIn.linkSlack(sha256(Array(token.utf8)), to: session, by: caller, else: Self.over)
    }

    public func unlink(_ id: String, of session: SessionInfo, by caller: Caller) async throws(OperationError) {
        try await signIn.unlinkSlack(id, of: session, by: caller)
    }

    /// Removes what has run out.
    public static func forget(in database: any Database) async throws {
        try await database.write { tx in tx.enqueue(SlackQueries.forget(at: tx.now)) }
    }
}

// Acts of a session, recorded as what a person does to their own factors is.
extension StaffSignIn {
    /// - Parameter over: what is said when the offer is not there any more.
    fileprivate func linkSlack(
        _ offer: [UInt8], to session: SessionInfo, by caller: Caller, else over: OperationError
    ) async throws(OperationError) {
        try demandFreshFactor(caller)
        let source = Self.source(of: caller)
        try await write { tx in
            try demandLive(session, tx)
            guard let row = try tx.first(SlackQueries.takeOffer(offer, at: tx.now)) else { throw over }
            let (team, user) = (try row.string("team"), try row.string("slack_user"))
            try tx.lock(["slack:\(team):\(user)"])
            var changes: [Change] = []
            // Whoever holds the account in Slack says whose it is.
            if let row = try tx.first(SlackQueries.link(team: team, user: user)) {
                changes.append(try SlackLink(row).ending(at: tx.now))
            }
            changes.append(
                .create(
                    SlackLink(
                        id: Identifier.mint(SlackLink.idPrefix, at: tx.now), team: team, slackUser: user,
                        staffID: session.staffID, linkedAt: tx.now)))
            let event = record(
                "slack_link.add", of: session, from: source, changes: changes, class: .mutation, tx)
            notify(.slackLinked, session.staffID, of: event, tx)
        }
    }

    fileprivate func unlinkSlack(
        _ id: String, of session: SessionInfo, by caller: Caller
    ) async throws(OperationError) {
        let source = Self.source(of: caller)
        try await write { tx in
            try demandLive(session, tx)
            guard Identifier.isValid(id, prefix: SlackLink.idPrefix),
                let link = try SlackLink.load(id, lock: true, from: tx), link.staffID == session.staffID,
                link.endedAt == nil
            else { throw OperationError.notFound("That link is not one of yours, or it has ended already.") }
            record(
                "slack_link.end", of: session, from: source, changes: [link.ending(at: tx.now)], class: .mutation, tx)
        }
    }
}

extension SlackLink {
    fileprivate func ending(at now: Instant) -> Change {
        var after = ended(at: now)
        after.version += 1
        return .update(self, to: after)
    }
}
