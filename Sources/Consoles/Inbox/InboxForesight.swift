import Kernel

/// Whom an operation tells in their inboxes when it is carried out, as far as what it changes says: `InboxWriter` will find the
/// same in the event.
struct InboxForesight: Sendable {
    /// What some people hear.
    struct Line: Sendable, Hashable {
        /// Staff, by their ids.
        var people: [String] = []
        /// Others, in words.
        var groups: [String] = []
        let what: String
    }

    let lines: [Line]

    /// - Parameter changes: the rows it changes, the documents as far as they are known.
    init(_ request: ApprovalRequest, _ changes: [(type: String, document: JSON?)]) {
        self.init(
            request.operation, on: request.targetID.map { (type: request.targetType, id: $0) },
            by: request.requester, isAsked: true, changes)
    }

    /// - Parameters:
    ///   - person: whoever does it.
    ///   - isAsked: others must agree, and whoever asked hears that it was carried out.
    ///   - changes: the rows it changes, the documents as far as they are known.
    init(
        _ operation: String, on target: (type: String?, id: String)?, by person: String, isAsked: Bool,
        _ changes: [(type: String, document: JSON?)]
    ) {
        var lines: [Line] = []
        func tell(_ people: [String?], _ what: String) {
            // Whoever does it knows.
            let others = Set(people.compactMap(\.self)).subtracting([person]).sorted()
            if !others.isEmpty { lines.append(Line(people: others, what: what)) }
        }
        func documents(_ type: String) -> [JSON] { changes.filter { $0.type == type }.compactMap { $0.document } }

        if isAsked, person.hasPrefix("\(Staff.idPrefix)_") {
            lines.append(Line(people: [person], what: "it was carried out"))
        }
        if let target, target.type == Staff.type {
            switch operation {
            case ResetFactors.spec.name: tell([target.id], "their factors were reset")
            case RevokeStaffSessions.spec.name: tell([target.id], "their sessions were ended")
            default: break
            }
        }
        if !InboxWriter.silentOnRoles.contains(operation) {
            tell(documents(Grant.type).map { $0["staff_id"]?.string }, "their roles changed")
        }
        for session in documents(BreakGlass.type) {
            switch operation {
            case OpenBreakGlass.spec.name:
                // Who opens it knows, or hears that it was carried out.
                lines.append(Line(groups: [Self.others], what: "break-glass was opened"))
            case ReviewBreakGlass.spec.name: tell([session["person"]?.string], "their break-glass was reviewed")
            default:
                guard session["state"]?.string == BreakGlass.State.ended.rawValue else { continue }
                // Its opener hears of it whatever they hold by then; whoever ends it only where they could review it.
                let opener = Set([session["person"]?.string].compactMap(\.self)).subtracting([person]).sorted()
                lines.append(
                    Line(
                        people: opener, groups: ["everybody who could review it", Self.others],
                        what: "break-glass has ended, and its review is owed"))
            }
        }
        if operation != ClearStaffFlag.spec.name, !documents(StaffFlag.type).isEmpty {
            // Neither whoever does it nor whom it is about.
            lines.append(Line(groups: ["others who review roles held together"], what: "an exception waits for them"))
        }
        let items = documents(AccessReviewItem.type)
        switch operation {
        case KeepReviewedGrant.spec.name, RevokeReviewedGrant.spec.name:
            tell(items.map { $0["staff_id"]?.string }, "what was decided on their role")
        default:
            let open = items.filter { $0["state"]?.string == AccessReviewItem.State.open.rawValue }
            // Also whoever does it, should they have to decide.
            let reviewers = Set(open.compactMap { $0["reviewer"]?.string }).sorted()
            if !reviewers.isEmpty {
                lines.append(Line(people: reviewers, what: "an access review waits for them"))
            }
        }
        self.lines = lines
    }

    /// Those with a say in every emergency, beside whoever does it and who is told already.
    private static let others = "every other \(AccessNames.roles(OpenBreakGlass.withSay, " and "))"

    /// One sentence each, without its stop. Whoever has no name is called by their id.
    func sentences(from reader: any Reader) throws -> [String] {
        let people = Set(lines.flatMap(\.people)).sorted()
        var names: [String: String] = [:]
        for row in people.isEmpty ? [] : try reader.query(EventQueries.staffNames(people)) {
            names[try row.string("id")] = try row.string("name")
        }
        return lines.map { line in
            let most = 3
            var who = line.people.prefix(most).map { names[$0] ?? $0 }
            if line.people.count > most { who.append("\(line.people.count - most) others") }
            who += line.groups
            let list =
                who.count > 1 ? "\(who.dropLast().joined(separator: ", ")) and \(who[who.count - 1])" : who.joined()
            return "A notice in the inbox of \(list): \(line.what)"
        }
    }

    /// The same as lines of what is sent.
    func effects(from reader: any Reader) throws -> [Effect] { try sentences(from: reader).map(Self.notice) }

    static func notice(_ sentence: String) -> Effect {
        Effect(kind: "inbox", name: "inbox.notice", summary: sentence, payload: .null, tenant: nil)
    }

    /// What whoever asked gets beside the notice, where mail is sent.
    static let carriedOut = Effect(
        kind: DeliveryChannel.mail.rawValue, name: MailNotice.requestExecuted.rawValue,
        summary: "Mail to whoever asked: it was carried out", payload: .null, tenant: nil)

    /// Where the log is mirrored.
    static let channel = Effect(
        kind: DeliveryChannel.slack.rawValue, name: "slack.events", summary: "A line in the staff channel of Slack",
        payload: .null, tenant: nil)
}
