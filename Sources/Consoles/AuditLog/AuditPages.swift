import HTML
import Kernel

enum AuditPages {
    static let list = Page("/audit", permission: "audit.view", menuPath: "/audit") { call, reader in
        reader.foresee([EventQueries.checkpoint])
        do {
            let list = try EventList.load(call.readCall, from: reader)
            let signed = try reader.first(EventQueries.checkpoint).map {
                (size: try $0.int("size"), at: try $0.instant("at"))
            }
            let now = reader.now
            return PageAnswer(
                title: "Audit log", body: listBody(list, call: call, signed: signed, now: now),
                disclosure: list.disclosure)
        } catch OperationError.invalid(let errors) {
            // A filter that can't be read is shown again as it was typed, with what is wrong.
            var typed: [String: String] = [:]
            for name in EventList.parameters { typed[name] = call.first(name) }
            let body =
                UI.title("Audit log") + filters(typed, catalog: call.catalog, count: nil)
                + UI.banner(.danger, announces: true) {
                    for error in errors { el("p") { error.detail } }
                }
            return PageAnswer(title: "Audit log", body: body)
        }
    }

    static func listBody(
        _ list: EventList, call: PageCall, signed: (size: Int64, at: Instant)?, now: Instant
    ) -> Node {
        let state: Node =
            signed.map { signed in
                el("span", .class("hint")) {
                    UI.icon("proof")
                    " \(Grouped.digits(signed.size)) events signed, newest "
                    UI.time(signed.at, now: now)
                }
            } ?? UI.hint("No checkpoint is signed yet")
        let exports = call.caller.permissions.contains("audit.export")
        let here = query(list.typed)
        return UI.title(
            "Audit log",
            trailing: state
                + (exports
                    ? UI.linkButton(
                        "Export as JSONL", href: "/api/v1/audit-events/export\(here)", icon: "download")
                        + UI.linkButton(
                            "Export as CSV",
                            href: "/api/v1/audit-events/export\(here)\(here.isEmpty ? "?" : "&")format=csv",
                            icon: "download") : .none))
            + filters(list.typed, catalog: call.catalog, count: list.rows.count)
            + el("section", .class("panel"), .label("Events")) {
                if list.rows.isEmpty, let lookedTo = list.lookedTo {
                    UI.empty(
                        "Nothing so far",
                        "Looked at every event of the first filter until \(lookedTo.minuteText). Older and newer go on from there."
                    )
                } else if list.rows.isEmpty {
                    UI.empty(
                        "No event matches", "Take a filter away or widen the time.",
                        action: UI.linkButton("Clear all filters", href: "/audit", size: .small))
                } else {
                    UI.table(
                        caption: "Audit events, newest first", columns: columns(now: now), rows: list.rows,
                        density: .dense, stickyHead: true)
                }
            }
            + UI.pager(
                (list.rows.isEmpty ? "" : "\(list.rows.count) events shown")
                    + (list.lookedTo.map { ", looked until \($0.minuteText): more may match beyond" } ?? ""),
                newer: list.newer.map { "/audit\(query(list.typed, cursor: $0))" },
                older: list.older.map { "/audit\(query(list.typed, cursor: $0))" })
    }

    private static func columns(now: Instant) -> [Column<EventRow>] {
        [
            Column("UTC", .tight) { UI.clock($0.at, now: now) },
            Column("Action", isRowHeader: true) { event in
                el("a", .href("/audit/\(event.id)")) { UI.code(event.action) }
            },
            Column("Actor", priority: 2) { event in
                el("a", .class("plain nowrap"), .href("/audit?actor=\(encode(event.actorID))")) {
                    EventWords.actor(event)
                }
            },
            Column("Target", .clip, priority: 2) { event in UI.muted(EventWords.target(event)) },
            Column("Outcome") { EventWords.outcome($0) },
            Column("Class", priority: 4) { UI.muted($0.eventClass) },
            Column("Index", .number, priority: 3) { event in
                event.index.map { index in el("span", .class("dim")) { Grouped.digits(index) } } ?? UI.hint("waiting")
            },
        ]
    }

    /// The filters, in the URL. Each one that is on can be taken away by itself.
    static func filters(_ typed: [String: String], catalog: Catalog, count: Int?) -> Node {
        func text(_ name: String, _ label: String, _ placeholder: String, list: String? = nil) -> Node {
            el("label", Attribute("for", "a-\(name)")) {
                el("span") { label }
                void(
                    "input",
                    [
                        .class("input"), .id("a-\(name)"), .name(name), .value(typed[name] ?? ""),
                        Attribute("placeholder", placeholder), Attribute("size", "8"),
                        Attribute("autocomplete", "off"), Attribute("spellcheck", "false"),
                        list.map { Attribute("list", $0) } ?? .none,
                    ])
            }
        }
        func choice(_ name: String, _ label: String, _ any: String, _ words: [String]) -> Node {
            el("label", Attribute("for", "a-\(name)")) {
                el("span") { label }
                el("select", .class("input"), .id("a-\(name)"), .name(name)) {
                    el("option", .value("")) { any }
                    for word in words {
                        el("option", .value(word), .when(typed[name] == word, Attribute("selected"))) {
                            word.replacing("_", with: " ")
                        }
                    }
                }
            }
        }
        let on = EventList.parameters.filter { typed[$0] != nil }
        return el(
            "form", .class("query query--line no-print"), .id("filters"), Attribute("role", "search"),
            .label("Filter events"), Attribute("action", "/audit")
        ) {
            text("actor", "Actor", "e-mail or id")
            text("tenant", "Tenant", "acme")
            text("target", "Target", "id")
            text("action", "Action", "tenant.view", list: "a-actions")
            el("datalist", .id("a-actions")) {
                for operation in catalog.operations { void("option", .value(operation.spec.name)) }
            }
            choice("class", "Class", "Any", EventClass.allCases.map(\.rawValue))
            choice("outcome", "Outcome", "Any", EventOutcome.allCases.map(\.rawValue))
            text("from", "From, UTC", "2026-11-17")
            text("until", "Until, UTC", "2026-11-18")
            UI.button("Filter")
        }
            + UI.tools {
                UI.filtersButton
                for name in on {
                    UI.activeFilter(
                        "\(name): \(typed[name] ?? "")", remove: "/audit\(query(typed.filter { $0.key != name }))")
                }
                if !on.isEmpty { UI.linkButton("Clear", href: "/audit", style: .quiet, size: .small) }
            }
    }

    static let detail = Page("/audit/{id}", permission: "audit.view", menuPath: "/audit") { call, reader in
        let event = try EventDetail.load(call.path["id"] ?? "", from: reader)
        let undo = try EventUndo.of(event, for: call.caller, catalog: call.catalog, from: reader)
        return PageAnswer(
            title: "\(EventWords.title(event.row, catalog: call.catalog)), in the audit log",
            body: detailBody(event, undo: undo, call: call, now: reader.now), disclosure: event.disclosure)
    }

    static func detailBody(_ event: EventDetail, undo: EventUndo, call: PageCall, now: Instant) -> Node {
        let row = event.row
        // How to see what a bounded page leaves out.
        let rest = call.first("all") == nil ? el("a", .href("/audit/\(row.id)?all=1")) { "Show everything" } : nil
        let title = EventWords.title(row, catalog: call.catalog)
        return UI.crumbs([("Audit log", "/audit")], here: title)
            + UI.title(title, trailing: actions(event, undo)) {
                EventWords.outcomeChip(row)
            }
            + el("div", .class("print-only evidence")) {
                el("p") {
                    el("b") { "Postern audit evidence" }
                    ", printed \(TimeText.utc(now)) by \(call.caller.displayName), request \(call.caller.requestID)."
                }
            }
            + UI.split(.wide) {
                UI.stack {
                    if !event.isIntact {
                        UI.banner(
                            .danger, "What is stored differs from what the log committed to.",
                            "What is marked below was changed outside the log. Keep this page, and run "
                                + "postern verify on the server.")
                    }
                    UI.panel("Event", id: "e-facts") {
                        UI.panelBody { facts(event, undo, call: call, now: now) }
                    }
                    changes(event, rest: rest)
                    linked(event, catalog: call.catalog, now: now)
                    sealed(event, rest: rest)
                }
                UI.stack {
                    proof(event)
                    UI.panel("As the log holds it", id: "e-leaf", hint: "the event’s leaf, in full") {
                        UI.panelBody {
                            UI.json(event.leaf, rest: rest)
                            if event.leafBytes.count <= largestCopied {
                                UI.copyTextButton(
                                    "Copy the exact bytes", text: String(decoding: event.leafBytes, as: UTF8.self))
                            }
                        }
                    }
                }
            }
    }

    /// Longer leaves are taken from the receipt.
    private static let largestCopied = 8000

    private static func actions(_ event: EventDetail, _ undo: EventUndo) -> Node {
        let row = event.row
        let way: Node =
            switch undo {
            case .absent, .never: .none
            case .now: UI.linkButton("Undo…", href: "/audit/\(row.id)/undo", size: .small, icon: "undo")
            case .off(let why, let detail): UI.offButton("Undo", why: why, detail: detail, size: .small)
            }
        return
            (event.previous.map { UI.linkButton("Earlier event", href: "/audit/\($0)", size: .small, icon: "left") }
            ?? .none)
            + (event.next.map { UI.linkButton("Later event", href: "/audit/\($0)", size: .small, icon: "right") }
                ?? .none)
            + UI.linkButton(
                "Receipt (JSON)", href: "/api/v1/audit-events/\(row.id)/receipt", size: .small, icon: "download",
                attributes: [.title(Receipt.notice)])
            + way
    }

    private static func facts(_ event: EventDetail, _ undo: EventUndo, call: PageCall, now: Instant) -> Node {
        let row = event.row
        let leaf = event.leaf
        func link(_ type: String?, _ id: String, _ text: Node) -> Node {
            EventWords.path(type: type, id: id, for: call.caller).map { path in el("a", .href(path)) { text } } ?? text
        }
        var facts: [(label: String, value: Node)] = [
            ("When", UI.timeWithUTC(row.at, now: now)),
            ("Who", UI.actor(kind: row.actorType, id: row.actorID, name: row.actorName)),
        ]
        if row.isByAccount, let owner = leaf["acting_as"]?.string {
            facts.append(("Acting for", link(Staff.type, owner, UI.id(owner))))
        }
        if let id = row.targetID {
            let name = row.targetName ?? DocumentDiff.label(row.targetType ?? "")
            facts.append(("Target", link(row.targetType, id, Node(name)) + Node(" ") + UI.id(id)))
        }
        if let tenant = row.tenantID, tenant != row.targetID {
            facts.append(("Tenant", link(Tenant.type, tenant, UI.id(tenant))))
        }
        if let words = event.value("details")?["consequence"]?.string {
            // What is only asked for is said in the present tense, too.
            let isAhead = row.outcome == EventOutcome.requested.rawValue || row.action == "approval.stale"
            facts.append((isAhead ? "Would happen" : "In words", Node(words)))
        }
        if let code = leaf["reason_code"]?.string {
            let label = call.catalog[row.action]?.spec.reasonCodes.first { $0.code == code }?.label
            facts.append(("Reason", UI.coded(label.map { Node($0) }, code)))
        }
        if let member = event.members["justification"] { facts.append(("Justification", self.member(member))) }
        if let member = event.members["ticket"] { facts.append(("Ticket", self.member(member))) }
        if let approval = row.approvalID {
            facts.append(("Approval", link("approval", approval, UI.id(approval))))
        }
        if let factors = leaf["auth"]?["factors"]?.array?.compactMap(\.string), !factors.isEmpty {
            let words = factors.map(EventWords.factor).joined(separator: ", ")
            facts.append(("Signed in by", Node(words.prefix(1).uppercased() + words.dropFirst())))
        }
        if let client = leaf["client"]?.string { facts.append(("Through", Node(EventWords.client(client)))) }
        if let member = event.members["actor_ip"] { facts.append(("From", self.member(member))) }
        if let linked = row.linked {
            facts.append(("Belongs to", el("a", .href("/audit/\(linked)")) { UI.id(linked) }))
        }
        for (name, value) in (leaf["facts"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            let spoken = DocumentDiff.spoken(value, at: name)
            facts.append((DocumentDiff.label(name), el("span", .class("long")) { spoken }))
        }
        switch undo {
        case .never(let sentence): facts.append(("Undo", Node(sentence)))
        case .now(let title, let until): facts.append(("Undo", Node("until \(TimeText.utcMinute(until)), by \(title)")))
        case .absent, .off: break
        }
        if let request = row.requestID { facts.append(("Request", UI.id(request))) }
        facts.append(("Action", el("span", .class("id")) { UI.code(row.action) }))
        facts.append(("Event", UI.id(row.id, copy: "event id")))
        facts.append(("Kept", UI.coded(Node(EventWords.retention(row.retention)), row.retention)))
        return UI.facts(facts, tight: true)
    }

    private static func member(_ member: EventDetail.Member) -> Node {
        switch member {
        case .present(let value, _, let matches):
            el("span", .class("long")) { DocumentDiff.words(value) }
                + (matches ? .none : Node(" ") + UI.state("differs from its fingerprint in the log", .danger, .x))
        case .erased(let event): UI.sealed("erased under ") + el("a", .href("/audit/\(event)")) { UI.id(event) }
        case .missing: UI.state("missing, and nobody erased it", .danger, .x)
        }
    }

    private static func changes(_ event: EventDetail, rest: Node?) -> Node {
        let changes = event.changes
        guard !changes.isEmpty else { return .none }
        func group(_ change: EventDetail.RecordedChange) -> UI.DiffGroup {
            let document = change.before ?? change.after
            return UI.DiffGroup(
                type: change.type,
                name: (document?["name"] ?? document?["email"])?.string
                    ?? document?["user_id"]?.string.map { "of \($0)" }, id: change.id,
                before: change.before, after: change.after)
        }
        return UI.panel("What changed", id: "e-changes") {
            UI.panelBody {
                UI.stack {
                    for change in changes where change.isErased {
                        el("p") {
                            UI.sealed(
                                "\(DocumentDiff.label(change.type)) \(change.id): before or after was erased, so the difference can’t be shown"
                            )
                        }
                    }
                    let kept = changes.filter { !$0.isErased }
                    if !kept.isEmpty {
                        el(
                            "div", .class("scroll"), Attribute("role", "group"), .label("What changed, in full"),
                            Attribute("tabindex", "0")
                        ) {
                            UI.diff(
                                kept.map(group), caption: "Every field that changed", fields: .all,
                                showsCaption: false, rest: rest)
                        }
                    }
                }
            }
        }
    }

    private static func linked(_ event: EventDetail, catalog: Catalog, now: Instant) -> Node {
        guard !event.linked.isEmpty else { return .none }
        return UI.panel("What followed", id: "e-linked") {
            UI.table(
                caption: "Events that belong to this one",
                columns: [
                    Column("UTC", .tight) { UI.clock($0.at, now: now) },
                    Column("What", isRowHeader: true) { event in
                        el("a", .href("/audit/\(event.id)"), .title(event.action)) {
                            EventWords.action(event, catalog: catalog)
                        }
                    },
                    Column("Actor", priority: 2) { Node(EventWords.actor($0)) },
                    Column("Outcome") { EventWords.outcome($0) },
                ], rows: event.linked)
        }
    }

    private static func proof(_ event: EventDetail) -> Node {
        let state: UI.Proof =
            event.row.index.map { event.hashMatches == false ? .failed($0) : .sequenced($0) } ?? .waiting
        return UI.panel("Proof", id: "e-proof", actions: UI.proof(state)) {
            UI.panelBody {
                if let index = event.row.index {
                    UI.facts(
                        [
                            (
                                "Position",
                                el("span", .title("Its leaf’s index")) { "#\(Grouped.digits(index)) in the log" }
                            ),
                            (
                                "Fingerprint",
                                UI.hash(sha256([0] + event.leafBytes).hex) + UI.sub("SHA-256 of the leaf")
                            ),
                            (
                                "In the log",
                                event.hashMatches == true
                                    ? UI.state("the same fingerprint", .ok, .check)
                                    : UI.state("another fingerprint", .danger, .x)
                            ),
                        ], tight: true)
                    el("p", .class("small muted")) {
                        "The receipt holds the path to a signed checkpoint; it can be checked without this server."
                    }
                    el(
                        "p", .class("row small"), Attribute("hidden"),
                        Attribute("data-receipt", "/api/v1/audit-events/\(event.row.id)/receipt")
                    ) {
                        el("button", .class("btn btn--small"), .type("button")) { "Check it in this browser" }
                        el("span", Attribute("role", "status"), Attribute("data-verdict")) { Node.none }
                    }
                } else {
                    el("p") { "Recorded; the log takes it in within a second. Load the page again to see its place." }
                }
            }
        }
    }

    /// One line of the sealed members.
    private struct SealedLine {
        let name: String
        let value: Node
        let state: Node
    }

    /// What is kept beside the leaf, with the check that it is what the log committed to.
    private static func sealed(_ event: EventDetail, rest: Node?) -> Node {
        guard !event.members.isEmpty else { return .none }
        var lines: [SealedLine] = []
        var documents = 0
        for (name, member) in event.members.sorted(by: { $0.key < $1.key }) {
            // Before and after stand above; here they are counted, and named only when something is wrong.
            if name.hasPrefix("changes."), case .present(_, _, true) = member {
                documents += 1
                continue
            }
            lines.append(
                SealedLine(name: name, value: sealedValue(name, member, rest: rest), state: commitment(member)))
        }
        if documents > 0 {
            lines.append(
                SealedLine(
                    name: "changes",
                    value: UI.muted(
                        documents == 1 ? "1 document, above" : "\(Grouped.digits(documents)) documents, above"),
                    state: UI.state(documents == 1 ? "matches" : "all match", .ok, .check)))
        }
        return UI.panel(
            "Kept sealed", id: "e-sealed", hint: "sealed members: erasable, checked against the commitments in the leaf"
        ) {
            UI.table(
                caption: "What is kept sealed, and whether its fingerprint is the one in the log",
                columns: [
                    Column<SealedLine>("What", .tight, isRowHeader: true) { line in
                        el("span", .title(line.name)) { EventWords.member(line.name) }
                    },
                    Column("Value") { $0.value },
                    Column("Fingerprint", .tight) { $0.state },
                ], rows: lines, density: .plain)
        }
    }

    private static func sealedValue(_ name: String, _ member: EventDetail.Member, rest: Node?) -> Node {
        switch member {
        case .present(let value, _, _):
            if let text = value.string { return el("span", .class("long")) { text } }
            return UI.fold("Show") { UI.json(value, rest: rest) }
        case .erased(let event): return Node("erased under ") + el("a", .href("/audit/\(event)")) { UI.id(event) }
        case .missing: return UI.muted("nobody erased it")
        }
    }

    private static func commitment(_ member: EventDetail.Member) -> Node {
        switch member {
        case .present(_, _, true): UI.state("matches", .ok, .check)
        case .present(_, _, false): UI.state("differs", .danger, .x)
        case .erased: UI.state("erased", .plain, .box)
        case .missing: UI.state("missing", .danger, .x)
        }
    }

    static func query(_ typed: [String: String], cursor: String? = nil) -> String {
        var parts = EventList.parameters.compactMap { name in typed[name].map { "\(name)=\(encode($0))" } }
        if let cursor { parts.append("cursor=\(encode(cursor))") }
        return parts.isEmpty ? "" : "?" + parts.joined(separator: "&")
    }

    /// Percent-encodes a query value.
    static func encode(_ text: String) -> String { PageAddress.escape(text) }
}
