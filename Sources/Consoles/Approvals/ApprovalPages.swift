import HTML
import Kernel

enum ApprovalPages {
    static let list = Page("/approvals", permission: nil, menuPath: "/approvals") { call, reader in
        let caller = call.caller
        let own = try ApprovalList.own(of: caller.person, from: reader)
        // Whoever may not see all of them sees those they could fill.
        let seesAll = caller.permissions.contains("approval.view")
        let pending = try ApprovalList.pending(limit: 200, from: reader)
            .filter { $0.request.requester != caller.person && (seesAll || $0.request.canBeFilled(by: caller)) }
        return PageAnswer(
            title: "Approvals", body: listBody(own: own, pending: pending, call: call, now: reader.now),
            disclosure: ApprovalList.disclosure(of: pending))
    }

    static func listBody(own: [ApprovalEntry], pending: [ApprovalEntry], call: PageCall, now: Instant) -> Node {
        let sorted = pending.sorted { ($0.request.expiresAt, $0.request.id) < ($1.request.expiresAt, $1.request.id) }
        return UI.title(
            "Approvals",
            lead: pending.isEmpty
                ? nil
                : pending.count == 1
                    ? "1 request of a colleague waits" : "\(pending.count) requests of colleagues wait")
            + UI.stack {
                UI.panel("Waiting for others to agree", id: "ap-all", hint: "soonest to expire first") {
                    if sorted.isEmpty {
                        UI.empty(
                            "No request waits",
                            "Requests you may look at are listed here while they wait for signatures.")
                    } else {
                        let shown = call.first("all") == nil ? Array(sorted.prefix(UI.atOnce)) : sorted
                        table("Requests of other people", shown, call: call, now: now, showsRequester: true)
                        if shown.count < sorted.count {
                            UI.panelBody {
                                UI.more(
                                    sorted.count - shown.count, el("a", .href("/approvals?all=1")) { "Show them too" })
                            }
                        }
                    }
                }
                UI.panel("Your requests", id: "ap-own") {
                    if own.isEmpty {
                        UI.empty(
                            "You wait for nobody", "When an operation needs a second person, your request stands here.")
                    } else {
                        table("Your requests", own, call: call, now: now, showsRequester: false)
                    }
                }
            }
    }

    /// Requests as rows; also used on Home.
    static func table(
        _ caption: String, _ entries: [ApprovalEntry], call: PageCall, now: Instant, showsRequester: Bool
    ) -> Node {
        var columns: [Column<ApprovalEntry>] = [
            Column("Request", .wide, isRowHeader: true) { entry in
                el("a", .href("/approvals/\(entry.request.id)")) { title(entry, catalog: call.catalog) }
            }
        ]
        if showsRequester {
            columns.append(
                Column("Asked by", priority: 3) { UI.person($0.requesterName ?? $0.request.requester) })
        }
        columns += [
            Column("Who must agree", priority: 2) { entry in
                UI.muted(entry.request.needs.map(\.demand.sentence).joined(separator: "; "))
            },
            Column("Asked", .number, priority: 4) { UI.time($0.request.createdAt, now: now) },
            Column("Time left", .number) { entry in
                let left = entry.request.expiresAt - now
                return left.seconds <= 0
                    ? UI.state("expired", .plain, .ring)
                    : left < .hours(1) ? UI.state(TimeText.span(left), .warn, .tri) : Node(TimeText.span(left))
            },
        ]
        return UI.table(caption: caption, columns: columns, rows: entries, density: .normal)
    }

    static func title(_ entry: ApprovalEntry, catalog: Catalog) -> String {
        let title = catalog[entry.request.operation]?.spec.title ?? entry.request.operation
        guard let id = entry.request.targetID else { return title }
        return "\(title): \(entry.targetName ?? id)"
    }

    static let detail = Page("/approvals/{id}", permission: nil, menuPath: "/approvals") { call, reader in
        let detail = try ApprovalDetail.load(call.path["id"] ?? "", for: call.caller, from: reader)
        return PageAnswer(
            title: title(detail.entry, catalog: call.catalog), body: detailBody(detail, call: call, now: reader.now),
            disclosure: detail.disclosure)
    }

    static func detailBody(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> Node {
        let request = detail.entry.request
        let expired = request.state == .pending && request.expiresAt <= now
        return UI.crumbs([("Approvals", "/approvals")], here: request.id)
            + UI.title(title(detail.entry, catalog: call.catalog)) { stateChip(request.state, expired: expired) }
            + UI.keyFacts(keyFacts(detail, call: call, now: now))
            + UI.split {
                UI.stack {
                    if !detail.matchesAction {
                        UI.banner(
                            .danger, "The values below are not the ones the frozen action commits to.",
                            "They were erased or changed since it was asked for. Don’t rely on them.")
                    }
                    UI.panel("What it would do", id: "ap-plan") {
                        UI.panelBody { plan(detail, call: call) }
                    }
                    UI.panel("The frozen action", id: "ap-action", hint: "in full") {
                        UI.panelBody { action(request) }
                    }
                }
                UI.stack {
                    UI.panel(
                        "Who must agree", id: "ap-rule",
                        actions: request.state == .pending && !expired
                            ? UI.hint("\(TimeText.span(request.expiresAt - now)) left") : .none
                    ) {
                        UI.panelBody {
                            UI.stack {
                                UI.approvalNeeds(request.needs)
                                el("p", .class("small muted")) {
                                    "If nobody agrees by \(TimeText.utc(request.expiresAt)), it expires and nothing runs."
                                }
                            }
                        }
                    }
                    UI.panel("The record", id: "ap-facts") {
                        UI.panelBody { facts(detail, call: call) }
                    }
                }
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

    private static func plan(_ detail: ApprovalDetail, call: PageCall) -> Node {
        guard let plan = detail.plan else {
            return el("p") { UI.sealed("The plan was erased; only its digest is left.") }
        }
        let groups = (plan["changes"]?.array ?? []).map { change in
            let before = change["before"].flatMap { $0.isNull ? nil : $0 }
            let document = before ?? change["after"]
            return UI.DiffGroup(
                type: change["type"]?.string ?? "",
                name: (document?["name"] ?? document?["email"] ?? document?["user_id"])?.string,
                id: change["id"]?.string ?? "", before: before, after: change["after"])
        }
        let effects = (plan["effects"]?.array ?? []).map { effect in
            let kind = effect["kind"]?.string ?? ""
            let name = effect["name"]?.string ?? ""
            return Effect(
                kind: kind, name: name, summary: "\(DocumentDiff.label(kind)) \(name)", payload: .null, tenant: nil)
        }
        return UI.stack {
            el("div", .class("stack stack--2")) {
                if let consequence = detail.consequence {
                    el("p", .class("headline")) { consequence }
                }
                if let text = detail.event.value("justification")?.string {
                    el("p", .class("prose")) {
                        "“\(text)” "
                        UI.muted(detail.entry.requesterName ?? detail.entry.request.requester)
                    }
                }
                if detail.entry.request.state == .pending {
                    el("p", .class("muted")) { "Nothing has been changed yet." }
                }
            }
            if !groups.isEmpty {
                UI.diff(
                    groups, caption: "What changes", captions: ("Then", "After"),
                    rest: call.first("all") == nil
                        ? el("a", .href("/approvals/\(detail.entry.request.id)?all=1")) {
                            "Show all \(Grouped.digits(groups.count))"
                        } : nil)
            }
            if let input = detail.input, input != .object([:]) {
                UI.fold("The fields as sent") { UI.json(input) }
            }
            el("section") {
                el("h3") { "What is sent" }
                if effects.isEmpty {
                    el("p", .class("muted")) { "Nothing." }
                } else {
                    UI.effects(effects, when: "when it runs")
                }
            }
            if detail.matchesAction {
                el("p") { UI.state("These values match the commitments in the frozen action", .ok, .check) }
            }
        }
    }

    private static func keyFacts(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> [(
        label: String, value: Node
    )] {
        let request = detail.entry.request
        var facts: [(label: String, value: Node)] = [
            ("Asked by", UI.person(detail.entry.requesterName ?? request.requester)),
            ("Asked", UI.timeWithUTC(request.createdAt, now: now)),
        ]
        if let id = request.targetID {
            let name = detail.entry.targetName ?? id
            let link = EventWords.path(type: request.targetType, id: id, for: call.caller)
                .map { path in el("a", .href(path)) { name } }
            facts.append((DocumentDiff.label(request.targetType ?? "target"), link ?? Node(name)))
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
        let event = UI.id(request.eventID)
        facts.append(
            (
                "Event",
                call.caller.permissions.contains("audit.view")
                    ? el("a", .href("/audit/\(request.eventID)")) { event } : event
            ))
        facts.append(("Operation", el("span", .class("id")) { UI.code(request.operation) }))
        if let id = request.targetID { facts.append(("Target", UI.id(id))) }
        if let code = request.action["reason_code"]?.string {
            facts.append(("Reason code", el("span", .class("id")) { code }))
        }
        return UI.facts(facts, tight: true)
    }

    static func stateChip(_ state: ApprovalRequest.State, expired: Bool) -> Node {
        if expired { return UI.chip("Expired", .plain, .ring) }
        return switch state {
        case .pending: UI.chip("Waiting", .info, .ring)
        case .approved, .scheduled: UI.chip(state == .approved ? "Approved" : "Scheduled", .info, .half)
        case .executed: UI.chip("Done", .ok, .check)
        case .rejected: UI.chip("Rejected", .danger, .x)
        case .expired: UI.chip("Expired", .plain, .ring)
        case .cancelled: UI.chip("Cancelled", .plain, .box)
        case .stale: UI.chip("Stale", .warn, .tri)
        case .failed: UI.chip("Failed", .danger, .x)
        }
    }
}
