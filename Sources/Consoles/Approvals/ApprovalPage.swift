import HTML
import Kernel

// One request: what it is about, what it would do, who signed and who must, and what became of it.
extension ApprovalPages {
    static let detail = Page("/approvals/{id}", permission: nil, menuPath: "/approvals") { call, reader in
        let found = try ApprovalDetail.load(call.path["id"] ?? "", for: call.caller, from: reader)
        let detail = try named(found, call, from: reader)
        return PageAnswer(
            title: title(detail.entry, catalog: call.catalog), body: detailBody(detail, call: call, now: reader.now),
            disclosure: detail.disclosure)
    }

    /// With the names of those whom what is shown of its plan is about.
    private static func named(
        _ detail: ApprovalDetail, _ call: PageCall, from reader: any Reader
    ) throws -> ApprovalDetail {
        var detail = detail
        let groups = changes(detail.told)
        detail.people = try PeopleNames(
            of: PeopleNames.ids(
                in: call.first("all") == nil ? groups.prefix(UI.atOnce) : groups[...], call.catalog, fields: .planned),
            about: detail.event.row.tenantID, call.catalog, for: call.caller, from: reader)
        return detail
    }

    /// On the forms that decide on it: whoever comes from a message sees what they sign without its page.
    static func subject(_ request: ApprovalRequest, _ call: PageCall, _ reader: any Reader) throws -> FormSubject {
        let found = try ApprovalDetail.load(request, for: call.caller, from: reader)
        let detail = try named(found, call, from: reader)
        let now = reader.now
        return FormSubject(disclosure: detail.disclosure) {
            UI.stack {
                UI.keyFacts(keyFacts(detail, call: call, now: now))
                warnings(detail, call: call)
                agreement(detail, now: now)
                plan(detail, call: call, now: now, all: OperationViews.showAll)
                UI.fold("The frozen action, in full") { action(request) }
            }
        }
    }

    static func detailBody(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> Node {
        let request = detail.entry.request
        let title = title(detail.entry, catalog: call.catalog)
        let tense = OutcomeTense(detail.standing(at: now))
        return UI.crumbs([("Approvals", "/approvals")], here: title)
            + UI.title(title) { stateChip(request.state, expired: detail.isOverdue(at: now)) }
            + UI.keyFacts(keyFacts(detail, call: call, now: now))
            + actions(detail, call: call, now: now)
            + UI.split {
                UI.stack {
                    banners(detail, call: call, now: now)
                    UI.panel(tense.title, id: "ap-plan") {
                        UI.panelBody {
                            plan(detail, call: call, now: now) { count in
                                el("a", .href("/approvals/\(request.id)?all=1")) {
                                    "Show all \(Grouped.digits(count))"
                                }
                            }
                        }
                    }
                    UI.panel("The frozen action", id: "ap-action", hint: "in full") {
                        UI.panelBody { action(request) }
                    }
                }
                UI.stack {
                    UI.panel(
                        tense.agreement, id: "ap-rule",
                        actions: request.isOpen(at: now)
                            ? UI.hint("\(TimeText.span(request.expiresAt - now)) left") : .none
                    ) {
                        UI.panelBody {
                            UI.stack {
                                rules(detail)
                                if let shift = detail.shift { UI.onShift(shift) }
                                deadline(request, now: now)
                            }
                        }
                    }
                    signed(detail, now: now)
                    UI.panel("The record", id: "ap-facts") {
                        UI.panelBody { facts(detail, call: call) }
                    }
                }
            }
    }

    /// What the person who looks may do: cancel what is theirs; sign and reject where a role of theirs is asked for, and cancel it
    /// for whoever asked, which stands apart. What is only off now says why, and so does the place of the buttons where there are
    /// none.
    private static func actions(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> Node {
        let request = detail.entry.request
        let caller = call.caller
        let isMine = request.comes(from: caller.person)
        let isOpen = request.isOpen(at: now)
        // By a clock that was set it is not over, so that it can be taken back.
        let isWaiting = isOpen || request.state.isDue || detail.held != nil
        guard caller.permissions.contains("approval.decide"), request.state.isLive, isWaiting else { return .none }
        guard isMine || detail.signatures.isAsked(caller) else {
            guard isOpen else { return .none }
            return el("p", .class("actions muted")) {
                "None of your roles signs this. It needs \(detail.signatures.missing(beside: detail.signatures.counting))."
            }
        }
        let path = "/approvals/\(request.id)"
        return el("div", .class("actions"), Attribute("role", "group"), .label("Actions")) {
            if isOpen, !isMine {
                if let reason = detail.signatures.hindrance(toApprove: caller) {
                    UI.offButton("Approve", why: "not by you", detail: el("p") { reason })
                } else {
                    UI.linkButton("Approve…", href: "\(path)/approve", style: .primary)
                }
                if detail.signatures.hindrance(of: caller) == nil {
                    UI.linkButton("Reject…", href: "\(path)/reject", style: .warns)
                }
            }
            if isMine {
                UI.linkButton("Cancel request…", href: "\(path)/cancel")
            } else {
                // Beside what decides, the hand doesn't meet it on the way.
                el("span", .when(isOpen, .class("push"))) {
                    UI.linkButton(
                        "Cancel their request…", href: "\(path)/cancel", style: isOpen ? .quiet : .plain)
                }
            }
            if isMine, isOpen {
                UI.hint(
                    request.requester == caller.person
                        ? "You asked for this, so somebody else must agree."
                        : "You were shown the token that asked for this, so somebody else must agree.")
            }
        }
    }

    /// What whoever decides has to know first.
    private static func warnings(_ detail: ApprovalDetail, call: PageCall) -> Node {
        var out = Node.none
        if detail.isErased {
            out =
                out
                + UI.banner(
                    .info, "What was asked for was erased.",
                    "The digests people signed stay; the values they stand for are gone for good.")
        } else if !detail.matchesAction {
            out =
                out
                + UI.banner(
                    .danger, "The values below are not the ones the frozen action commits to.",
                    "They were erased or changed since it was asked for. Don’t rely on them.")
        }
        if let emergency = detail.event.leaf["facts"]?[EventDraft.emergencyFact]?.string {
            let path = "/breakglass-sessions/\(emergency)"
            out =
                out
                + UI.banner(
                    .danger, "It was asked for within break-glass.", "The emergency waives no signature.",
                    action: call.caller.permissions.contains(BreakGlassReads.permission)
                        ? UI.linkButton("The emergency", href: path, size: .small) : .none)
        }
        if detail.entry.request.state == .stale {
            out =
                out
                + UI.banner(.warn) {
                    el("p") { el("b") { "It was signed before, and would do something else by now." } }
                    el("p") { "Earlier signatures count no more. What is different:" }
                    differences(detail.difference)
                }
        }
        return out
    }

    private static func banners(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> Node {
        let request = detail.entry.request
        var out = warnings(detail, call: call)
        if let held = detail.held {
            out = out + ClockNotice.node(held, call.caller)
        } else if let start = request.executeAt, request.state.isDue {
            out =
                out
                + UI.banner(
                    .info, "Everybody who must has agreed.",
                    now < start
                        ? "Postern carries it out by itself at \(TimeText.utcMinute(start)), if it still comes to the same then. Until then it can be cancelled."
                        : "Its time has come: Postern carries it out by itself as soon as it can, if it still comes to the same. Until then it can be cancelled."
                )
        }
        if detail.hasReveal {
            out =
                out
                + UI.banner(.ok) {
                    el("p") { el("b") { "It is done, and has something to show you, once." } }
                    el("form", Attribute("method", "post"), Attribute("action", "/approvals/\(request.id)/reveal")) {
                        UI.hiddenField("csrf", call.csrf)
                        UI.button("Show it now", style: .primary)
                    }
                }
        }
        return out + ending(detail, now: now)
    }

    /// What it came to where it was not carried out: by whom, when and why.
    private static func ending(_ detail: ApprovalDetail, now: Instant) -> Node {
        let request = detail.entry.request
        let who = detail.end.map { end in
            end.actorType == Actor.Kind.staff.rawValue ? end.actorName ?? end.actorID : "Postern"
        }
        var tone = Tone.plain
        let headline: String
        var at = detail.end?.at
        var why = detail.ending
        switch request.state {
        case .failed:
            tone = .danger
            headline = "It was approved and could not be carried out."
        case .rejected: headline = who.map { "\($0) rejected it." } ?? "It was rejected."
        case .cancelled: headline = who.map { "\($0) cancelled it." } ?? "It was cancelled."
        case .pending, .stale, .expired:
            // By a clock that was set nobody calls it that.
            guard request.state == .expired || detail.isOverdue(at: now) else { return .none }
            headline = "It expired."
            // That it did may be told later than it was so.
            at = request.expiresAt
            // Whoever signed and lost a role since had agreed all the same.
            let given = detail.signatures.given
            let isMet = request.needs.allSatisfy { $0.demand.isMet(by: given) }
            why =
                "Not everybody agreed in time"
                + (isMet ? "." : ": it still needed \(detail.signatures.missing(beside: given)).")
        case .approved, .scheduled, .executed: return .none
        }
        return UI.banner(tone) {
            el("p") {
                el("b") { headline }
                if let at { Node(" ") + UI.timeWithUTC(at, now: now) }
            }
            if let why { el("p", .class("long")) { why } }
        }
    }

    /// Above the plan on a form that decides: who signed, and who is missing.
    private static func agreement(_ detail: ApprovalDetail, now: Instant) -> Node {
        let request = detail.entry.request
        return el("section") {
            el("h3") { OutcomeTense(detail.standing(at: now)).agreement }
            UI.tightStack {
                rules(detail)
                if request.isOpen(at: now) {
                    el("p") {
                        detail.signatures.all.isEmpty
                            ? "Nobody has signed it yet."
                            : "It still needs \(detail.signatures.missing(beside: detail.signatures.counting))."
                    }
                }
                if !detail.signatures.all.isEmpty { signatures(detail, now: now) }
                deadline(request, now: now)
            }
        }
    }

    /// Until when it takes signatures.
    private static func deadline(_ request: ApprovalRequest, now: Instant) -> Node {
        guard request.isOpen(at: now) else { return .none }
        return el("p", .class("small muted")) {
            "If not everybody has agreed by \(TimeText.utcMinute(request.expiresAt)), it expires and nothing runs."
        }
    }

    /// Beyond a screenful they are folded away, so that what is to be done about them stays in sight.
    private static func differences(_ found: [JSON]) -> Node {
        let rest = found.dropFirst(20)
        let first = listed(found.prefix(20))
        guard !rest.isEmpty else { return first }
        return first + UI.fold("And \(Grouped.digits(rest.count)) more") { listed(rest) }
    }

    private static func listed(_ differences: ArraySlice<JSON>) -> Node {
        el("ul") {
            for entry in differences {
                el("li", .class("long")) {
                    UI.code(entry["path"]?.string ?? "")
                    ": "
                    said(entry["was"])
                    " → "
                    said(entry["now"])
                }
            }
        }
    }

    private static func said(_ value: JSON?) -> String {
        switch value {
        case nil, .null: "nothing"
        case .string(let text): "“\(text)”"
        case let other?: other.canonicalText
        }
    }

    /// Each rule with its leaves, and who fills them.
    private static func rules(_ detail: ApprovalDetail) -> Node {
        let signers = detail.agreed
        return el("ul", .class("rule")) {
            for need in detail.entry.request.needs {
                el("li") {
                    UI.glyph(need.demand.isMet(by: signers) ? .check : .ring)
                    el("div") {
                        el("p") { el("b") { need.demand.sentence } }
                        el("p", .class("small muted")) {
                            need.summary
                            if let cooldown = need.cooldown {
                                ". It then waits \(TimeText.exactly(cooldown)) before it runs."
                            }
                        }
                        for place in need.demand.nearest(to: signers) {
                            if let signer = place.signer {
                                let name = detail.names[signer] ?? signer
                                el("p", .class("small")) {
                                    // A rule of one leaf has said it above.
                                    UI.state(
                                        place.leaf == need.demand ? name : "\(place.leaf.sentence): \(name)", .ok,
                                        .check)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private static func signed(_ detail: ApprovalDetail, now: Instant) -> Node {
        guard !detail.signatures.all.isEmpty else { return .none }
        return UI.panel("Signatures", id: "ap-signed") { signatures(detail, now: now) }
    }

    /// Who signed, how, and whose signature counts no more.
    private static func signatures(_ detail: ApprovalDetail, now: Instant) -> Node {
        let lapsed = detail.lapsed
        let round = detail.entry.request.round
        return UI.table(
            caption: "Who decided, and how they showed it was them",
            columns: [
                Column("Who", isRowHeader: true) { (signature: ApprovalSignature) in
                    UI.person(detail.names[signature.person] ?? signature.person)
                },
                Column("Decision") { signature in
                    if signature.decision == .reject {
                        UI.state("Rejected", .danger, .x)
                    } else if signature.round < round {
                        UI.state("Agreed, before it had to be signed again", .plain, .ring)
                    } else if let reason = lapsed[signature.person] {
                        UI.state("Counts no more: \(reason)", .warn, .tri)
                    } else {
                        UI.state("Agreed", .ok, .check)
                    }
                },
                Column("With", priority: 2) { Node(method($0)) },
                Column("When", .number) { UI.time($0.createdAt, now: now) },
            ], rows: detail.signatures.all, density: .normal)
    }

    private static func method(_ signature: ApprovalSignature) -> String {
        if signature.isSigned { return "a passkey’s signature" }
        return switch signature.method {
        case .webauthn: "a passkey, used before"
        case .totp: "a code, used before"
        case .recovery: "a recovery code, used before"
        case .oidc: "the identity provider’s, used before"
        case .password: "a password"
        }
    }

    private static func action(_ request: ApprovalRequest) -> Node {
        UI.tightStack {
            UI.json(request.action)
            el("p", .class("small muted")) { "SHA-256 of the canonical bytes" }
            el("p") { UI.hash(sha256(request.action.canonical).hex) }
            el("p", .class("small muted")) { "Digest of the plan" }
            el("p") { UI.hash(request.planDigest) }
            UI.fold("The exact \(request.action.canonical.count) bytes (RFC 8785, one line)") {
                el("pre", .class("json"), Attribute("tabindex", "0")) { request.action.canonicalText }
            }
        }
    }

    /// What changes, as it is told.
    private static func changes(_ told: [ApprovalDetail.Told]) -> [UI.DiffGroup] {
        told.filter { !$0.isErased }.map { change in
            UI.DiffGroup(
                type: change.type, name: name(of: change.before ?? change.after), id: change.id, before: change.before,
                after: change.after)
        }
    }

    /// - Parameter all: how to see all of so many changes.
    private static func plan(_ detail: ApprovalDetail, call: PageCall, now: Instant, all: (Int) -> Node) -> Node {
        let state = detail.standing(at: now)
        let tense = OutcomeTense(state)
        let told = detail.told
        let groups = changes(told)
        guard detail.plan != nil || !groups.isEmpty else {
            return el("p") { UI.sealed("The plan was erased; only its digest is left.") }
        }
        let effects = detail.sent
        let asked = detail.planEvent == nil ? "When asked" : "When planned again"
        return UI.stack {
            summary(detail, state, tense, now: now)
            for change in told where change.isErased {
                el("p") {
                    UI.sealed("\(DocumentDiff.label(change.type)) \(change.id ?? ""): what it was or became was erased")
                }
            }
            if !groups.isEmpty {
                UI.diff(
                    groups, caption: tense.changes,
                    captions: (before: state == .executed ? "Before" : asked, after: "After"), fields: .planned,
                    rest: call.first("all") == nil ? all(groups.count) : nil, names: names(detail))
            }
            if let input = detail.input, input != .object([:]) {
                UI.fold("The fields as sent") { UI.json(input) }
            }
            el("section") {
                el("h3") { tense.sent }
                if let effects, !effects.isEmpty {
                    UI.effects(effects, when: tense.sending)
                } else {
                    el("p", .class("muted")) { effects == nil ? "Not known any more." : "Nothing." }
                }
            }
            if let plan = detail.plan {
                UI.fold("What exactly is signed") {
                    el("p", .class("small muted")) {
                        "Signatures are bound to the digest of this: every field that changes, what each effect carries, what the rules measured, and who must agree. Ids, secrets and times that are made when it runs stand here as they were planned, to be compared."
                    }
                    let count = plan["changes"]?.array?.count ?? 0
                    bound(plan, count, all: call.first("all") == nil && count > 20 ? all(count) : nil)
                }
            }
            if detail.matchesAction {
                el("p") {
                    UI.state(
                        state == .executed
                            ? "What was signed matches the commitments in the frozen action"
                            : "These values match the commitments in the frozen action", .ok, .check)
                }
            }
        }
    }

    /// What comes of it, why it was asked for, and what can be done about it afterwards.
    private static func summary(
        _ detail: ApprovalDetail, _ state: ApprovalRequest.State, _ tense: OutcomeTense, now: Instant
    ) -> Node {
        el("div", .class("stack stack--2")) {
            if let consequence = detail.consequence {
                // It stands in the present tense: whether it has happened is read before it.
                el("p") { tense.preface }
                el("p", .class("headline")) { consequence }
                if state.isLive, detail.anew.isInConsequence {
                    el("p", .class("muted")) { MadeAnew.ofConsequence() }
                }
            }
            if let text = detail.event.value("justification")?.string {
                el("p", .class("prose")) {
                    "“\(text)” "
                    UI.muted(detail.entry.requesterName ?? detail.entry.request.requester)
                }
            }
            if state.isLive || state == .executed {
                if let sentence = detail.reversibility { el("p") { sentence } }
                if let sentence = detail.revealing(at: now) { el("p") { sentence } }
            }
        }
    }

    /// What the digest of a plan stands for. Many changes, each in full, come with all of them: the page stays small.
    private static func bound(_ plan: JSON, _ changes: Int, all: Node?) -> Node {
        let whole = ApprovalRequest.bound(plan)
        guard let all, var members = whole.object else { return UI.json(whole) }
        members["changes"] = nil
        return UI.json(.object(members))
            + el("p", .class("row more")) {
                UI.muted("and \(Grouped.digits(changes)) changes, field by field")
                all
            }
    }

    /// Those whom the plan is about, who asked and who signed, and the tenant.
    private static func names(_ detail: ApprovalDetail) -> [String: String] {
        var names = detail.people.names.merging(detail.names) { _, signer in signer }
        let request = detail.entry.request
        if let name = detail.entry.requesterName { names[request.requester] = name }
        if let name = detail.entry.targetName, let id = request.targetID ?? request.aboutTenant { names[id] = name }
        return names
    }

    private static func keyFacts(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> [(
        label: String, value: Node
    )] {
        let request = detail.entry.request
        var facts: [(label: String, value: Node)] = [
            ("Asked by", UI.person(detail.entry.requesterName ?? request.requester)),
            ("Asked", UI.timeWithUTC(request.createdAt, now: now)),
        ]
        if let account = request.account { facts.append(("By their program", UI.code(account))) }
        let type = request.targetID == nil ? Tenant.type : request.targetType
        if let id = request.targetID ?? request.aboutTenant {
            let name = detail.entry.targetName ?? id
            let link = EventWords.path(type: type, id: id, for: call.caller)
                .map { path in el("a", .href(path)) { name } }
            facts.append((DocumentDiff.label(type ?? "target"), link ?? Node(name)))
        }
        if let code = request.action["reason_code"]?.string {
            let label = call.catalog[request.operation]?.spec.reasonCodes.first { $0.code == code }?.label
            facts.append(("Reason", Node(label ?? code)))
        }
        if let text = detail.event.value("ticket")?.string { facts.append(("Ticket", Node(text))) }
        return facts
    }

    private static func facts(_ detail: ApprovalDetail, call: PageCall) -> Node {
        let request = detail.entry.request
        var facts: [(label: String, value: Node)] = [("Request", UI.id(request.id, copy: "request id"))]
        // Labels are short: the ids beside them stand on one line.
        let event = UI.id(request.eventID)
        facts.append(
            (
                "Asked in",
                call.caller.permissions.contains("audit.view")
                    ? el("a", .href("/audit/\(request.eventID)")) { event } : event
            ))
        let spec = call.catalog[request.operation]?.spec
        facts.append(("Operation", UI.coded(spec.map { Node($0.title) }, request.operation)))
        if let id = request.targetID { facts.append(("Target", UI.id(id))) }
        if let code = request.action["reason_code"]?.string {
            let reason = spec?.reasonCodes.first { $0.code == code }
            facts.append(("Reason", UI.coded(reason.map { Node($0.label) }, code)))
        }
        if let ended = request.outcomeEventID {
            facts.append(
                (
                    "Ended in",
                    call.caller.permissions.contains("audit.view")
                        ? el("a", .href("/audit/\(ended)")) { UI.id(ended) } : UI.id(ended)
                ))
        }
        return UI.facts(facts, tight: true)
    }

    /// What people call a row of a plan, which knows its document alone: what the thing says of itself where its id tells what it
    /// is, else by what such documents have for a name. "of usr_… as member" for a membership: whoever is known is named
    /// in their place.
    private static func name(of document: JSON?) -> String? {
        guard let document else { return nil }
        if let id = document["id"]?.string, let prefix = id.split(separator: "_", maxSplits: 1).first,
            Identifier.isValid(id, prefix: String(prefix)),
            let kind = Consoles.declared.entities.first(where: { $0.idPrefix == prefix }),
            let called = kind.restored(document, nil)?.displayName, !called.isEmpty, !called.contains(id)
        {
            return called
        }
        for member in ["name", "title", "label", "email", "summary"] {
            if let called = document[member]?.string, !called.isEmpty { return called }
        }
        let role = document["role"]?.string.map(RoleTitle.of)
        guard let user = document["user_id"]?.string else { return role }
        return "of \(user)\(role.map { " as \($0)" } ?? "")"
    }
}
