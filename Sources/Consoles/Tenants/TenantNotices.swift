import HTML
import Kernel

/// What one must know before doing anything with a tenant: its note, where it stands and why, and what is under way.
struct TenantNotices {
    /// Who did something and when.
    struct Author {
        let at: Instant
        let name: String
        let event: String
    }

    let tenant: Tenant
    /// Of the note.
    let noted: Author?
    /// Of the present status, where it needs to be explained, with its reason in words and what the product said.
    let moved: (author: Author, reason: String?, said: String?)?
    /// Of the changes that are under way.
    let asked: [TenantField: Author]
    let receivers: Receivers?
    let hold: LegalHold

    static func load(_ tenant: Tenant, catalog: Catalog, from reader: any Reader) throws -> TenantNotices {
        let explained: Set<TenantStatus> = [.suspended, .failed, .archived, .cancelled, .expired]
        var line: StatusHistory.Line?
        if explained.contains(tenant.status) {
            line = try reader.first(TenantQueries.history(of: tenant.id, before: nil, limit: 1))
                .map(StatusHistory.Line.init)
        }
        var authors: [String: Author] = [:]
        let events = [tenant.noteEventID].compactMap { $0 } + tenant.desired.values.map(\.event)
        if !events.isEmpty {
            let rows = try reader.query(TenantQueries.authors(of: Set(events).sorted()))
            let names = try TenantPage.staffNames(rows.map { try $0.string("actor_id") }, in: reader)
            for row in rows {
                let id = try row.string("id")
                authors[id] = Author(
                    at: try row.instant("at"), name: name(try row.string("actor_id"), names), event: id)
            }
        }
        var moved: (author: Author, reason: String?, said: String?)?
        if let line, line.to == tenant.status.rawValue {
            let names = try TenantPage.staffNames([line.actor], in: reader)
            let codes = catalog.operations(on: Tenant.type).flatMap(\.spec.reasonCodes)
            let said =
                tenant.status == .failed
                ? try reader.first(TenantQueries.sealedMembers(of: line.event))?
                    .json("members")["details"]?["value"]?["reason"]?.string : nil
            moved = (
                Author(at: line.at, name: name(line.actor, names), event: line.event),
                line.reasonCode.map { code in codes.first { $0.code == code }?.label ?? code }, said
            )
        }
        return TenantNotices(
            tenant: tenant, noted: tenant.noteEventID.flatMap { authors[$0] }, moved: moved,
            asked: tenant.desired.compactMapValues { authors[$0.event] },
            receivers: tenant.desired.isEmpty ? nil : try .gather(from: reader),
            hold: try .load(on: tenant.id, from: reader))
    }

    private static func name(_ actor: String, _ names: [String: String]) -> String {
        names[actor] ?? (["stf_", "sva_", "rtk_"].contains(actor.prefix(4)) ? actor : "Postern (\(actor))")
    }

    // MARK: On the page

    /// Over the buttons.
    func note(_ now: Instant) -> Node {
        let held =
            hold.stands
            ? UI.banner(
                .warn, "A legal hold stands.",
                "It isn’t deleted for good until somebody restores it out of a suspension with the reason \(LegalHold.lifting)."
            ) : .none
        guard let note = tenant.note else { return held }
        return held
            + UI.banner(.warn) {
                el("p") { el("b") { "Handle with care" } }
                for line in note.split(separator: "\n") { el("p") { String(line) } }
                if let noted {
                    el("p", .class("small muted")) {
                        "\(noted.name), "
                        UI.time(noted.at, now: now)
                    }
                }
            }
    }

    /// What `node` offers for the changes that are under way.
    var offered: Set<String> {
        Set(tenant.desired.values.flatMap { change in Self.ways(of: change).map(\.name) })
    }

    /// What can be done about a change that is under way, the likely first.
    private static func ways(of change: DesiredChange) -> [OperationSpec] {
        [change.state == .failed ? RetryChange.spec : ConfirmChange.spec, RevertChange.spec]
    }

    /// Where the tenant stands, and what is under way.
    func node(_ call: PageCall, now: Instant) -> Node {
        TenantField.allCases.reduce(status(call, now: now)) { node, field in
            tenant.desired[field].map { node + change(field, $0, call, now: now) } ?? node
        }
    }

    private func status(_ call: PageCall, now: Instant) -> Node {
        switch tenant.status {
        case .suspended:
            banner(
                .warn, "Nobody of \(tenant.name) can sign in.", did: "Suspended", call, now: now,
                then: "Restoring makes it \(tenant.resumesTo?.rawValue ?? "active") again.")
        case .archived:
            banner(
                .warn, "\(tenant.name) is archived.", did: "Archived", call, now: now,
                then: tenant.deletionEligibleAt.map {
                    now >= $0
                        ? "It may be deleted for good since \(TimeText.day($0.day))."
                        : "It can be restored; from \(TimeText.day($0.day)) on it may be deleted for good."
                } ?? "")
        case .failed:
            banner(
                .danger, "Your product could not set this tenant up.", did: "Reported", call, now: now,
                then: "Set it up again, or archive it.")
        case .cancelled:
            banner(.plain, "The subscription has ended.", did: "Reported", call, now: now, then: "")
        case .expired: banner(.plain, "The trial has ended.", did: "Reported", call, now: now, then: "")
        case .deleted:
            UI.banner(
                .plain, "This tenant was deleted for good.", "What stays is its id and its place in the audit log.")
        case .pending, .ready, .active: .none
        }
    }

    /// "Suspended by Mira O. 2 h ago: Invoices are unpaid. Restoring makes it active again."
    private func banner(
        _ tone: Tone, _ headline: String, did: String, _ call: PageCall, now: Instant, then: String
    ) -> Node {
        UI.banner(
            tone,
            action: moved.map { moved in
                call.caller.permissions.contains("audit.view")
                    ? el("a", .class("small"), .href("/audit/\(moved.author.event)")) { "See the event" } : .none
            } ?? .none
        ) {
            el("p") { el("b") { headline } }
            el("p") {
                if let moved {
                    "\(did) by \(moved.author.name) "
                    UI.time(moved.author.at, now: now)
                    moved.reason.map { ": \($0)." } ?? "."
                    if let said = moved.said { " It says: “\(said)”" }
                } else {
                    "Since "
                    UI.time(tenant.statusSince, now: now)
                    "."
                }
                then.isEmpty ? "" : " \(then)"
            }
        }
    }

    private func change(_ field: TenantField, _ wanted: DesiredChange, _ call: PageCall, now: Instant) -> Node {
        let isFailed = wanted.state == .failed
        let path = "/tenants/\(tenant.id)"
        let settles = call.caller.permissions.contains(ConfirmChange.spec.permission)
        func link(_ spec: OperationSpec) -> Node {
            UI.linkButton(
                "\(spec.title.split(separator: " ").first ?? "")…",
                href: "\(path)/\(spec.verbPath)?input.field=\(field.rawValue)", size: .small)
        }
        return UI.banner(
            isFailed ? .danger : .info,
            action: settles
                ? el("span", .class("row")) { for way in Self.ways(of: wanted) { link(way) } } : .none
        ) {
            el("p") {
                el("b") {
                    isFailed
                        ? "The \(field.rawValue) could not be changed to \(wanted.value)."
                        : "The \(field.rawValue) is to become \(wanted.value)."
                }
            }
            el("p") {
                isFailed
                    ? "It is \(tenant.actual(field)) as before."
                    : "It is \(tenant.actual(field)) until that is confirmed."
                if let author = asked[field] {
                    " Asked for by \(author.name) "
                    UI.time(author.at, now: now)
                    "."
                }
                if isFailed {
                    " Your product reported that "
                    UI.time(wanted.since, now: now)
                    wanted.reason.map { ": “\($0)”" } ?? "."
                } else if let receivers {
                    " " + receivers.who(field)
                }
            }
        }
    }
}
