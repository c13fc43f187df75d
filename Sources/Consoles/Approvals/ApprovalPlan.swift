import HTML
import Kernel

/// What is told of what a request does: before it runs without what is made anew then, afterwards what its event recorded.
extension ApprovalDetail {
    /// One row that changes.
    struct Told: Sendable {
        let type: String
        /// `nil` where it is made when it runs.
        let id: String?
        let before: JSON?
        let after: JSON?
        /// What stood there before, or stands there now, was erased.
        var isErased = false

        var json: JSON {
            JSON.members([
                ("type", .string(type)), ("id", id.map(JSON.string)), ("before", before), ("after", after),
                ("erased", isErased ? .some(true) : .none),
            ])
        }
    }

    /// The details that hold the plan as it now stands.
    private var details: JSON? { (planEvent ?? event).value("details") }

    /// What of the plan comes out otherwise when it runs.
    var anew: MadeAnew { MadeAnew(json: details?["anew"]) }

    /// Names of what is shown once to whoever asked.
    var reveals: [String] { (details?["reveals"]?.array ?? []).compactMap(\.string) }

    /// The rows it changes or changed.
    var told: [Told] {
        if let recorded { return recorded }
        guard let plan else { return [] }
        return anew.rows(of: plan, DocumentDiff.whenItRuns).map { row in
            Told(type: row.type, id: row.id, before: row.before, after: row.after)
        }
    }

    /// What the event recorded that carried it out. A batch records its rows by digest alone: what they became stands in the plan.
    var recorded: [Told]? {
        guard entry.request.state == .executed, let outcome else { return nil }
        let rows = outcome.changes.filter { $0.type != ApprovalRequest.type || $0.id != entry.request.id }
        guard !rows.isEmpty || plan?["changes"]?.array?.isEmpty != false else { return nil }
        return rows.map { row in
            Told(type: row.type, id: row.id, before: row.before, after: row.after, isErased: row.isErased)
        }
    }

    /// What comes of it, in words.
    var consequence: String? { (outcome?.value("details") ?? details)?["consequence"]?.string }

    /// Whether it can be undone, in a sentence: once it is done as its event stands, before as it was planned. `nil` where there
    /// is nothing to undo.
    var reversibility: String? {
        let state = entry.request.state
        if state == .executed { return undo?.sentence }
        return state.isLive ? details?["reversibility"]?.string : nil
    }

    /// Who is shown what, once, in a sentence; `nil` where nothing is, or nothing comes of it.
    func revealing(at now: Instant) -> String? {
        let state = entry.request.state
        guard !reveals.isEmpty, state.isLive || state == .executed else { return nil }
        let who = entry.requesterName ?? entry.request.requester
        let what = reveals.map { "the \($0.replacing("_", with: " "))" }.joined(separator: " and ")
        let hours = Pipeline.revealed.seconds / 3600
        let isOver = end.map { $0.at + Pipeline.revealed <= now } ?? true
        return state == .executed
            ? "Only whoever asked, \(who), \(isOver ? "could" : "can") be shown \(what): once, within \(hours) hours."
            : "Whoever asked, \(who), is shown \(what) once it is done: once, within \(hours) hours, and nobody else is."
    }

    /// The effects of its plan.
    private var planned: [Effect] {
        (plan?["effects"]?.array ?? []).map { effect in
            let kind = effect["kind"]?.string ?? ""
            let name = effect["name"]?.string ?? ""
            let summary: String? =
                switch kind {
                case DeliveryChannel.mail.rawValue: MailNotice.summary(name, effect["payload"])
                case DeliveryChannel.webhook.rawValue where name != WebhookEvent.test: Effect.notice(name)
                default: nil
                }
            return Effect(
                kind: kind, name: name, summary: summary ?? "\(DocumentDiff.label(kind)) \(name)", payload: .null,
                tenant: nil)
        }
    }

    /// Whether somebody hears of it, or heard; `nil` where that is not known any more.
    private func reaches(_ effect: Effect) -> Bool? {
        let isMail = effect.kind == DeliveryChannel.mail.rawValue
        guard isMail || effect.kind == DeliveryChannel.webhook.rawValue else { return true }
        switch queued?[effect] {
        case .sent?: return true
        case .toNobody?: return false
        case .forgotten?: return nil
        case .waiting?, nil: return isMail ? sendsMail : receivers.map { !$0.reaching([effect]).isEmpty } ?? true
        }
    }

    /// What is sent when it runs, or was; `nil` where it is not known any more whether something was.
    var sent: [Effect]? {
        let state = entry.request.state
        let isTold = state.isLive || state == .executed
        var effects: [Effect] = []
        for effect in planned {
            guard let reaches = self.reaches(effect) else { return nil }
            if reaches { effects.append(effect) }
        }
        guard isTold else { return effects }
        if entry.request.requester.hasPrefix("\(Staff.idPrefix)_") { effects.append(InboxForesight.carriedOut) }
        effects += notices.map(InboxForesight.notice)
        if sendsSlack { effects.append(InboxForesight.channel) }
        return effects
    }

    /// What of this is answered by the API: the plan itself stays as it is signed.
    var planMembers: [String: JSON] {
        let lines = sent?.map { effect -> JSON in
            ["kind": .string(effect.kind), "name": .string(effect.name), "summary": .string(effect.summary)]
        }
        return [
            "consequence": JSON(consequence), "anew": anew.json,
            "changes": recorded.map { JSON.array($0.map(\.json)) } ?? .null, "reversibility": JSON(reversibility),
            "reveals": .array(reveals.map(JSON.string)),
            "sent": lines.map(JSON.array) ?? .null,
        ]
    }

    /// Finds out whom it tells in their inboxes, and whether endpoints and the staff channel hear of it. Afterwards the log says
    /// which endpoints and mail heard of it: those that are there now say nothing of that.
    mutating func foresee(from reader: any Reader) throws {
        let state = entry.request.state
        guard state.isLive || state == .executed else { return }
        let foresight = InboxForesight(entry.request, told.map { (type: $0.type, document: $0.after ?? $0.before) })
        notices = try foresight.sentences(from: reader)
        if state == .executed, let end {
            queued = try .load(planned, Queuing(at: end.at, event: end.id), from: reader)
        }
        let asksEndpoints = planned.contains { effect in
            effect.kind == DeliveryChannel.webhook.rawValue && queued.map { $0[effect] == .waiting } ?? true
        }
        if asksEndpoints { receivers = try .gather(at: state == .executed ? end?.at : nil, from: reader) }
        // What was said there when it ran stands with no request: it is not told afterwards.
        sendsSlack = try state.isLive && ChannelState.isOn(.slack, reader)
    }
}

extension EventUndo {
    /// In a sentence; `nil` where there is nothing to say to this person.
    fileprivate var sentence: String? {
        switch self {
        case .absent: nil
        case .never(let sentence): sentence
        case .now(let title, let until): "Can be undone until \(until.minuteText), by \(title)."
        case .off(let why, _): "It can’t be undone now: \(why)."
        }
    }
}
