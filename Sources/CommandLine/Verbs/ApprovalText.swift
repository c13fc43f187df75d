import HTML
import Kernel

/// A request as people read it before they sign it: whole, nothing cut or left out.
enum ApprovalText {
    /// `Suspend tenant: Acme`
    static func title(_ request: JSON, in catalog: Catalog) -> String {
        let operation = request["operation"]?.string ?? ""
        let title = catalog[operation]?.spec.title ?? operation
        // What is not there yet is called after what was asked for.
        let target = request["target"]?["name"] ?? request["target"]?["id"]
        let about = [target, request["concerns"]].compactMap { $0?.shown }
        return about.isEmpty ? title : "\(title): \(about.joined(separator: ", "))"
    }

    /// Who must agree, in one line.
    static func wanted(_ request: JSON) -> String {
        Demand.sentence(of: (request["demands"]?.array ?? []).compactMap { $0["demand"].flatMap(Demand.init) })
    }

    static func describe(_ request: JSON, in catalog: Catalog, on terminal: Terminal) -> String {
        var lines = [terminal.bold(title(request, in: catalog).printable)]
        let standing = standing(request)
        let tense = OutcomeTense(standing)
        func section(_ title: String, _ rows: [String]) {
            if !rows.isEmpty { lines += ["", title] + rows.map { "  \($0)" } }
        }
        if let sentence = request["consequence"]?.string { lines += [tense.preface, sentence.printable] }
        if standing.isLive, anew(request).isInConsequence { lines.append(MadeAnew.ofConsequence()) }
        lines.append("")
        lines += facts(request)
        if request["matches_action"] != true {
            lines += [
                "",
                terminal.bold("The values below are not the ones the frozen action commits to: don't rely on them."),
            ]
        }
        section("Why:", prose(request["justification"]))
        if let input = request["input"], input.object?.isEmpty == false {
            section("Fields as sent:", members(nil, input))
        }
        let plan = request["plan"] ?? .null
        if plan.isNull { section("Changes:", ["The plan was erased; only its digest is left."]) }
        for change in changes(request) { section(change.title, change.rows) }
        if standing.isLive || standing == .executed { section("Afterwards:", afterwards(request)) }
        section(
            "\(tense.sent):",
            request["sent"] == .null
                ? ["Not known any more."]
                : (request["sent"]?.array ?? []).map { ($0["summary"] ?? .null).shown.printable })
        section("What its effects carry:", carried(request))
        if let measures = plan["measures"], measures.object?.isEmpty == false {
            section("What the rules looked at:", members(nil, measures))
        }
        section("What is different since it was signed before:", (request["difference"]?.array ?? []).map(difference))
        section("\(tense.agreement):", (request["demands"]?.array ?? []).map(demand))
        section("Signatures:", (request["signatures"]?.array ?? []).map { signature($0, of: request) })
        section("Still needed:", prose(request["still_needed"]))
        section("How it ended:", prose(request["ending"]))
        let action = request["action"] ?? .null
        section("The frozen action, in full:", rows(action.pretty()))
        if anew(request) != MadeAnew() {
            lines += ["", "What is made when it runs is signed as it was planned, to be compared: see --json."]
        }
        lines += [
            "", "SHA-256 of its canonical bytes  \(sha256(action.canonical).hex)",
            "Digest of the plan              \((request["plan_digest"] ?? .null).shown.printable)",
        ]
        if request["matches_action"] == true {
            lines.append(
                request["state"] == "executed"
                    ? "What was signed matches the commitments in the frozen action."
                    : "The values above match the commitments in the frozen action.")
        }
        return lines.joined(separator: "\n")
    }

    /// Its time is over, where nothing has said so yet.
    private static func isOverdue(_ request: JSON) -> Bool { request["is_overdue"] == true }

    /// How it stands, as its page says.
    private static func standing(_ request: JSON) -> ApprovalRequest.State {
        if isOverdue(request) { return .expired }
        return request["state"]?.string.flatMap(ApprovalRequest.State.init(rawValue:)) ?? .pending
    }

    private static func facts(_ request: JSON) -> [String] {
        func person(_ name: JSON?, _ id: JSON?) -> JSON? {
            if let id, let name { return .object(["name": name, "id": id]) }
            return id
        }
        let known: [(String, JSON?)] = [
            ("Request", request["id"]), ("Version", request["version"]), ("Operation", request["operation"]),
            ("State", isOverdue(request) ? .string(ApprovalRequest.State.expired.rawValue) : request["state"]),
            ("Target", person(request["target"]?["name"], request["target"]?["id"])),
            ("Asked by", person(request["requester_name"], request["requester"])),
            ("By program", request["account"]), ("Within emergency", request["emergency"]),
            ("Asked", request["created_at"]), ("Expires", request["expires_at"]),
            ("Not before", request["not_before"]), ("Carried out at", request["execute_at"]),
            ("Reason code", request["action"]?["reason_code"]), ("Ticket", request["ticket"]),
            ("Event", request["event_id"]), ("Outcome event", request["outcome_event_id"]),
        ]
        let facts = known.map { ($0, ($1 ?? .null).shown.printable) }.filter { !$0.1.isEmpty }
        let width = facts.map { $0.0.count }.max() ?? 0
        return facts.map { "\($0.padded(to: width))  \($1)" }
    }

    /// What of the plan comes out otherwise when it runs; nothing once it has run.
    private static func anew(_ request: JSON) -> MadeAnew {
        request["state"] == "executed" ? MadeAnew() : MadeAnew(json: request["anew"])
    }

    /// Row by row what its event recorded, and before there is one what it would do.
    private static func changes(_ request: JSON) -> [(title: String, rows: [String])] {
        func title(_ type: String, _ id: String?) -> String {
            (id.map { "\(type) \($0):" } ?? "new \(type):").printable
        }
        if let recorded = request["changes"]?.array {
            return recorded.map { change in
                (
                    title: title(change["type"]?.string ?? "", change["id"]?.string),
                    rows: change["erased"] == true
                        ? ["What it was or became was erased."] : members(change["before"], change["after"])
                )
            }
        }
        return anew(request).rows(of: request["plan"] ?? .null).map { row in
            let made = row.anew.compactMapValues { DocumentDiff.whenItRuns($0, row.before)?.string }
            let width = made.keys.map(\.count).max() ?? 0
            let rows = made.sorted { $0.key < $1.key }.map { path, words in
                "\(path.padded(to: width))  \(words)".printable
            }
            // What is made anew has another line than what was there.
            let before = row.before?.object.map { members in
                JSON.object(members.filter { row.anew[$0.key] == nil })
            }
            return (title: title(row.type, row.id), rows: members(before, row.after) + rows)
        }
    }

    /// Whether it can be undone, and what is shown once.
    private static func afterwards(_ request: JSON) -> [String] {
        var lines = prose(request["reversibility"])
        let reveals = (request["reveals"]?.array ?? []).compactMap(\.string).map { $0.replacing("_", with: " ") }
        if !reveals.isEmpty {
            lines.append(
                "Shown once, and only to whoever asked: \(reveals.joined(separator: ", ")).".printable)
        }
        return lines
    }

    /// What each effect of the plan carries, without what is made anew.
    private static func carried(_ request: JSON) -> [String] {
        let anew = anew(request)
        return (request["plan"]?["effects"]?.array ?? []).enumerated().map { index, effect in
            let payload = anew.payload(effect["payload"] ?? .null, at: index)
            let what = "\((effect["kind"] ?? .null).shown) \((effect["name"] ?? .null).shown)"
            return (payload.isNull ? what : "\(what)  \(payload.canonicalText)").printable
        }
    }

    private static func difference(_ entry: JSON) -> String {
        "\((entry["path"] ?? .null).shown): \(word(entry["was"])) → \(word(entry["now"]))".printable
    }

    private static func demand(_ need: JSON) -> String {
        let wait = need["cooldown_seconds"]?.int.map { "; it then waits \(TimeText.exactly(.seconds($0)))" } ?? ""
        return "\((need["sentence"] ?? .null).shown): \((need["summary"] ?? .null).shown)\(wait)".printable
    }

    private static func signature(_ signature: JSON, of request: JSON) -> String {
        let who = (signature["name"] ?? signature["person"] ?? .null).shown
        let decision = signature["decision"] == "reject" ? "rejected" : "agreed"
        let isSigned = signature["statement"]?["intent"] != nil
        let how = isSigned ? "signed by a passkey" : "last factor: \((signature["method"] ?? .null).shown)"
        var text = "\(who) \(decision) at \((signature["created_at"] ?? .null).shown) (\(how))"
        if (signature["round"]?.int ?? 0) < (request["round"]?.int ?? 0) {
            text += ", before it had to be signed again"
        } else if let reason = signature["lapsed"]?.string {
            text += ", and counts no more: \(reason)"
        }
        return text.printable
    }

    /// Every member that differs, or all of what is new.
    private static func members(_ before: JSON?, _ after: JSON?) -> [String] {
        let old = before?.object ?? [:]
        let new = after?.object ?? [:]
        let names = Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }.sorted(by: DocumentDiff.precedes)
        let width = names.map(\.count).max() ?? 0
        return names.map { name in
            let value = old.isEmpty ? word(new[name]) : "\(word(old[name])) → \(word(new[name]))"
            return "\(name.padded(to: width))  \(value)".printable
        }
    }

    /// A value as it is: what a signature stands for is not put in other words.
    private static func word(_ value: JSON?) -> String {
        switch value {
        case nil, .null?: "(none)"
        case .string(let text)? where !text.isEmpty && text == text.printable: text
        case let other?: other.canonicalText
        }
    }

    /// Text as it was written, a line a row.
    private static func prose(_ text: JSON?) -> [String] { rows(text?.string ?? "") }

    private static func rows(_ text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).map { String($0).printable }
    }
}
