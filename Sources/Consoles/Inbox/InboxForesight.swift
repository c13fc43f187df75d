import Kernel

/// Whom a request tells in their inboxes when it is carried out, as far as what it changes says: `InboxWriter` will find the same
/// in the event.
struct InboxForesight: Sendable {
    /// What some people hear.
    struct Line: Sendable, Hashable {
        /// Staff, by their ids.
        var people: [String] = []
        /// Others, in words.
        var group: String?
        let what: String
    }

    let lines: [Line]

    /// - Parameter changes: the rows it changes, the documents as far as they are known.
    init(_ request: ApprovalRequest, _ changes: [(type: String, document: JSON?)]) {
        var lines: [Line] = []
        func tell(_ people: [String?], _ what: String) {
            // Whoever does it knows.
            let others = Set(people.compactMap(\.self)).subtracting([request.requester]).sorted()
            if !others.isEmpty { lines.append(Line(people: others, what: what)) }
        }
        func documents(_ type: String) -> [JSON] { changes.filter { $0.type == type }.compactMap { $0.document } }

        if request.requester.hasPrefix("\(Staff.idPrefix)_") {
            lines.append(Line(people: [request.requester], what: "it was carried out"))
        }
        if request.targetType == Staff.type {
            switch request.operation {
            case ResetFactors.spec.name: tell([request.targetID], "their factors were reset")
            case RevokeStaffSessions.spec.name: tell([request.targetID], "their sessions were ended")
            default: break
            }
        }
        if !InboxWriter.silentOnRoles.contains(request.operation) {
            tell(documents(Grant.type).map { $0["staff_id"]?.string }, "their roles changed")
        }
        for session in documents(BreakGlass.type) {
            switch request.operation {
            case OpenBreakGlass.spec.name: lines.append(Line(group: Self.withSay, what: "break-glass was opened"))
            case ReviewBreakGlass.spec.name: tell([session["person"]?.string], "their break-glass was reviewed")
            default:
                guard session["state"]?.string == BreakGlass.State.ended.rawValue else { continue }
                lines.append(Line(group: Self.withSay, what: "break-glass has ended, and its review is owed"))
            }
        }
        if request.operation != ClearStaffFlag.spec.name, !documents(StaffFlag.type).isEmpty {
            lines.append(Line(group: "those who review exceptions", what: "an exception waits for them"))
        }
        let items = documents(AccessReviewItem.type)
        switch request.operation {
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

    private static let withSay = "every \(OpenBreakGlass.withSay.joined(separator: " and "))"

    /// Everybody who is named.
    var people: Set<String> { Set(lines.flatMap(\.people)) }

    /// One sentence each, without its stop.
    /// - Parameter names: of people, by their ids. Whoever has none is called by their id.
    func sentences(_ names: [String: String]) -> [String] {
        lines.map { line in
            let most = 3
            var who = line.people.prefix(most).map { names[$0] ?? $0 }
            if line.people.count > most { who.append("\(line.people.count - most) others") }
            if let group = line.group { who.append(group) }
            let list =
                who.count > 1 ? "\(who.dropLast().joined(separator: ", ")) and \(who[who.count - 1])" : who.joined()
            return "A notice in the inbox of \(list): \(line.what)"
        }
    }
}
