import HTML
import Kernel

/// What is let in by a token that is shown once: somebody's program, an identity provider, a product.
protocol TokenBearer: Entity {
    var name: String { get }
    /// How the token begins, so that people recognise it.
    var beginning: String { get }
    /// When it stops working by itself; `nil` where only revoking ends it.
    var stopsAt: Instant? { get }
    var revokedAt: Instant? { get }
    /// Of its list.
    static var path: String { get }
    /// `id` and `used_at` of those that were used. `ids` MUST NOT be empty.
    static func uses(_ ids: [String]) -> Statement
}

extension TokenBearer {
    func state(at now: Instant) -> TokenState {
        if revokedAt != nil { return .revoked }
        return stopsAt.map { $0 <= now } ?? false ? .expired : .active
    }

    /// What revoking it comes to; refused where it is revoked.
    func revoking() throws(Refusal) -> String {
        guard revokedAt == nil else { throw .conflict("\(name) is revoked already.", legal: []) }
        return "\(name) (\(beginning)…) stops working at once."
    }

    /// What the API answers: also when it was last used.
    func json(usedAt: Instant?) -> JSON {
        guard case .object(var members) = document else { return .null }
        members["last_used_at"] = JSON(usedAt)
        return .object(members)
    }

    /// When each was last used, by id.
    static func lastUses(of items: [Self], from reader: any Reader) throws -> [String: Instant] {
        guard !items.isEmpty else { return [:] }
        var found: [String: Instant] = [:]
        for row in try reader.query(Self.uses(items.map(\.id))) {
            found[try row.string("id")] = try row.instant("used_at")
        }
        return found
    }

    // MARK: Lists and pages

    static func nameColumn(_ title: String) -> Column<Self> {
        Column(title, .clip, isRowHeader: true) { bearer in
            el("a", .href("\(Self.path)/\(bearer.id)")) { bearer.name }
                + el("span", .class("aside p5")) { "\(bearer.beginning)…" }
        }
    }

    static func stateColumn(at now: Instant) -> Column<Self> { Column("State") { $0.state(at: now).mark } }

    /// When they were last used, and until when they work.
    static func timeColumns(_ uses: [String: Instant], at now: Instant) -> [Column<Self>] {
        [
            Column("Last used", .number, priority: 3) { bearer in Self.lastUsed(uses[bearer.id], at: now) },
            Column("Until", .number) { $0.until(at: now) },
        ]
    }

    static func lastUsed(_ time: Instant?, at now: Instant) -> Node {
        time.map { UI.time($0, now: now) } ?? UI.hint("never")
    }

    func until(at now: Instant) -> Node { stopsAt.map { UI.time($0, now: now) } ?? UI.hint("no end") }

    /// On its page, that it was revoked; `nil` while it was not.
    func revocation(of what: String, for why: String?, at now: Instant) -> Node? {
        revokedAt.map { revoked in
            UI.banner(
                .plain, "This \(what) was revoked.",
                "\(why.map { "\($0). " } ?? "")It stopped working \(TimeText.relative(revoked, now: now)).")
        }
    }
}
