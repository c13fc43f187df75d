import HTML
import Kernel

enum ApprovalPages {
    static let list = Page("/approvals", permission: nil, menuPath: "/approvals") { call, reader in
        let listing = try ApprovalListing.load(call.readCall, from: reader)
        return PageAnswer(
            title: "Approvals", body: listBody(listing, call: call, now: reader.now), disclosure: listing.disclosure)
    }

    static func listBody(_ listing: ApprovalListing, call: PageCall, now: Instant) -> Node {
        typealias View = ApprovalListing.View
        var views: [(title: String, view: View)] = [("For you to decide", .asking), ("Your requests", .mine)]
        if call.caller.permissions.contains("approval.view") { views.append(("All that wait", .open)) }
        views.append(("Decided", .decided))
        func address(_ view: View) -> PageAddress {
            PageAddress(path: "/approvals").with("view", view == .asking ? nil : view.rawValue)
        }
        return UI.title("Approvals", lead: "What needs a second person")
            + UI.views(
                label: "Requests", views.map { ($0.title, address($0.view).text, nil, listing.view == $0.view) })
            + UI.stack {
                if listing.entries.isEmpty {
                    empty(listing.view)
                } else {
                    el("div", .class("panel sized")) {
                        table(
                            caption(listing.view), listing.entries, call: call, now: now,
                            showsRequester: listing.view != .mine)
                    }
                    UI.pages(
                        listing.entries.count == 1 ? "1 request" : "\(listing.entries.count) requests",
                        first: call.first("cursor") == nil ? nil : address(listing.view).text,
                        next: listing.next.map { address(listing.view).with("cursor", $0).text })
                }
            }
    }

    private static func caption(_ view: ApprovalListing.View) -> String {
        switch view {
        case .asking: "Requests your roles could sign, soonest to expire first"
        case .mine: "Your requests, newest first"
        case .open: "Requests that wait for signatures, soonest to expire first"
        case .decided: "Requests that were decided on, newest first"
        }
    }

    private static func empty(_ view: ApprovalListing.View) -> Node {
        switch view {
        case .asking:
            UI.empty(
                "Nothing waits for you", "When a colleague’s request needs a signature you could give, it stands here.")
        case .mine:
            UI.empty("You asked for nothing yet", "When an operation needs a second person, your request stands here.")
        case .open: UI.empty("No request waits", "Requests stand here while they wait for signatures.")
        case .decided:
            UI.empty("Nothing was decided yet", "Requests stand here once they are signed, rejected or cancelled.")
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
            Column("State") { state($0.request, now: now) },
            Column("Time left", .number) { timeLeft($0.request, now: now) },
        ]
        return UI.table(caption: caption, columns: columns, rows: entries, density: .normal)
    }

    private static func state(_ request: ApprovalRequest, now: Instant) -> Node {
        let (word, tone, mark) = words(request.state, expired: request.state.isOpen && !request.isOpen(at: now))
        return UI.state(word, tone, mark)
    }

    /// Until it expires, or until it is carried out.
    private static func timeLeft(_ request: ApprovalRequest, now: Instant) -> Node {
        if let start = request.executeAt, request.state.isDue {
            return now < start ? Node("runs in \(TimeText.span(start - now))") : Node("runs now")
        }
        guard request.isOpen(at: now) else { return UI.hint("none") }
        let left = request.expiresAt - now
        return left < .hours(1) ? UI.state(TimeText.span(left), .warn, .tri) : Node(TimeText.span(left))
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
        let expired = request.state.isOpen && !request.isOpen(at: now)
        return UI.crumbs([("Approvals", "/approvals")], here: request.id)
            + UI.title(title(detail.entry, catalog: call.catalog)) { stateChip(request.state, expired: expired) }
            + UI.keyFacts(keyFacts(detail, call: call, now: now))
            + actions(detail, call: call, now: now)
            + UI.split {
                UI.stack {
                    banners(detail, call: call, now: now)
                    UI.panel(request.state == .executed ? "What it did" : "What it would do", id: "ap-plan") {
                        UI.panelBody { plan(detail, call: call) }
                    }
                    UI.panel("The frozen action", id: "ap-action", hint: "in full") {
                        UI.panelBody { action(request) }
                    }
                }
                UI.stack {
                    UI.panel(
                        "Who must agree", id: "ap-rule",
                        actions: request.isOpen(at: now)
                            ? UI.hint("\(TimeText.span(request.expiresAt - now)) left") : .none
                    ) {
                        UI.panelBody {
                            UI.stack {
                                rules(detail)
                                if request.isOpen(at: now) {
                                    el("p", .class("small muted")) {
                                        "If not everybody agreed by \(TimeText.utc(request.expiresAt)), it expires and nothing runs."
                                    }
                                }
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

    /// What the person who looks may do: sign and reject where a role of theirs is asked for, cancel as well when it is
    /// theirs. What is only off now says why.
    private static func actions(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> Node {
        let request = detail.entry.request
        let caller = call.caller
        let isMine = request.requester == caller.person
        let isAsked = detail.signatures.isAsked(caller)
        guard caller.permissions.contains("approval.decide"), isMine || isAsked, request.state.isLive,
            request.state.isDue || request.isOpen(at: now)
        else { return .none }
        let path = "/approvals/\(request.id)"
        return el("div", .class("actions"), Attribute("role", "group"), .label("Actions")) {
            if request.state.isOpen, !isMine {
                if let reason = detail.signatures.hindrance(toApprove: caller) {
                    UI.offButton("Approve", why: "not by you", detail: el("p") { reason })
                } else {
                    UI.linkButton("Approve…", href: "\(path)/approve", style: .primary)
                }
                if detail.signatures.hindrance(of: caller) == nil {
                    UI.linkButton("Reject…", href: "\(path)/reject", style: .warns)
                }
            }
            UI.linkButton("Cancel request…", href: "\(path)/cancel")
        }
    }

    private static func banners(_ detail: ApprovalDetail, call: PageCall, now: Instant) -> Node {
        let request = detail.entry.request
        var out = Node.none
        if !detail.matchesAction {
            out =
                out
                + UI.banner(
                    .danger, "The values below are not the ones the frozen action commits to.",
                    "They were erased or changed since it was asked for. Don’t rely on them.")
        }
        if request.state == .stale {
            out =
                out
                + UI.banner(.warn) {
                    el("p") { el("b") { "It was signed before, and would do something else by now." } }
                    el("p") { "Earlier signatures count no more. What is different:" }
                    differences(detail.difference)
                }
        }
        if let start = request.executeAt, request.state.isDue {
            out =
                out
                + UI.banner(
                    .info, "Everybody agreed who must.",
                    "It is carried out at \(TimeText.utcMinute(start)), if it still comes to the same then. Until then it can be cancelled."
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
        if let ending = detail.ending, request.state == .failed {
            out = out + UI.banner(.danger, "It was approved and could not be carried out.", ending)
        } else if let ending = detail.ending, request.state == .rejected {
            out = out + UI.banner(.plain, "It was rejected.", ending)
        }
        return out
    }

    private static func differences(_ found: [JSON]) -> Node {
        el("ul") {
            for entry in found.prefix(20) {
                el("li") {
                    UI.code(entry["path"]?.string ?? "")
                    ": "
                    said(entry["was"])
                    " → "
                    said(entry["now"])
                }
            }
            if found.count > 20 { el("li") { "and \(found.count - 20) more" } }
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
        let signers = detail.signatures.counting
        return el("ul", .class("rule")) {
            for need in detail.entry.request.needs {
                el("li") {
                    UI.glyph(need.demand.isMet(by: signers) ? .check : .ring)
                    el("div") {
                        el("p") { el("b") { need.demand.sentence } }
                        el("p", .class("small muted")) {
                            need.summary
                            if let cooldown = need.cooldown {
                                ". It then waits \(TimeText.span(cooldown)) before it runs."
                            }
                        }
                        for place in need.demand.nearest(to: signers) {
                            if let signer = place.signer {
                                el("p", .class("small")) {
                                    UI.state("\(place.leaf.sentence): \(detail.names[signer] ?? signer)", .ok, .check)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Who signed, how, and whose signature counts no more.
    private static func signed(_ detail: ApprovalDetail, now: Instant) -> Node {
        let all = detail.signatures.all
        guard !all.isEmpty else { return .none }
        let lapsed = Dictionary(
            detail.signatures.lapsed.map { ($0.person, $0.reason) }, uniquingKeysWith: { first, _ in first })
        let round = detail.entry.request.round
        return UI.panel("Signatures", id: "ap-signed") {
            UI.table(
                caption: "Who decided, and how they showed it was them",
                columns: [
                    Column("Who", isRowHeader: true) { (signature: ApprovalSignature) in
                        UI.person(detail.names[signature.person] ?? signature.person)
                    },
                    Column("Decision") { signature in
                        if signature.decision == .reject {
                            UI.state("Rejected", .danger, .x)
                        } else if signature.round < round {
                            UI.state("Agreed to an earlier plan", .plain, .ring)
                        } else if let reason = lapsed[signature.person] {
                            UI.state("Counts no more: \(reason)", .warn, .tri)
                        } else {
                            UI.state("Agreed", .ok, .check)
                        }
                    },
                    Column("With", priority: 2) { Node(method($0)) },
                    Column("When", .number) { UI.time($0.createdAt, now: now) },
                ], rows: all, density: .normal)
        }
    }

    private static func method(_ signature: ApprovalSignature) -> String {
        if signature.isSigned { return "a passkey’s signature" }
        return switch signature.method {
        case .webauthn: "a passkey, used before"
        case .totp: "a code, used before"
        case .recovery: "a recovery code, used before"
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
                if detail.entry.request.state.isLive {
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
        if let ended = request.outcomeEventID {
            facts.append(
                (
                    "Ended by",
                    call.caller.permissions.contains("audit.view")
                        ? el("a", .href("/audit/\(ended)")) { UI.id(ended) } : UI.id(ended)
                ))
        }
        return UI.facts(facts, tight: true)
    }

    static func stateChip(_ state: ApprovalRequest.State, expired: Bool) -> Node {
        let (word, tone, mark) = words(state, expired: expired)
        return UI.chip(word, tone, mark)
    }

    private static func words(_ state: ApprovalRequest.State, expired: Bool) -> (String, Tone, Glyph) {
        if expired { return ("Expired", .plain, .ring) }
        return switch state {
        case .pending: ("Waiting", .info, .ring)
        case .stale: ("Changed since, waiting", .warn, .tri)
        case .approved: ("Approved", .info, .half)
        case .scheduled: ("Scheduled", .info, .half)
        case .executed: ("Done", .ok, .check)
        case .rejected: ("Rejected", .danger, .x)
        case .expired: ("Expired", .plain, .ring)
        case .cancelled: ("Cancelled", .plain, .box)
        case .failed: ("Failed", .danger, .x)
        }
    }
}
