import Kernel

/// A request for an operation on the object at hand, which waits for other people.
public struct WaitingRequest: Sendable {
    public let id: String
    public let expiresAt: Instant
    /// When it is carried out, once everybody agreed.
    public let executesAt: Instant?
    /// The person who looks may open its page.
    public let isOpen: Bool
    /// `nil` when nothing comes of it any more.
    public init?(_ request: ApprovalRequest, for caller: Caller, at now: Instant) {
        guard request.state.isDue || request.isOpen(at: now) else { return nil }
        id = request.id
        expiresAt = request.expiresAt
        executesAt = request.state.isDue ? request.executeAt : nil
        isOpen = request.isOpen(to: caller)
    }

    /// When what happens to it.
    public func outlook(_ now: Instant) -> String {
        if let start = executesAt {
            let when = now < start ? TimeText.relative(start, now: now) : "as soon as Postern can"
            return
                "It was asked for and agreed to. Postern carries it out by itself \(when), unless somebody cancels the request."
        }
        return
            "It was asked for already. It runs when the others have agreed, or expires \(TimeText.relative(expiresAt, now: now))."
    }
}

extension UI {
    /// The operations a person can use on an object: allowed ones as buttons, those that can't be used now off, with the
    /// reason and who can lift it, and none at all for those their roles never allow (a link explains which).
    /// - Parameters:
    ///   - path: the object's page, `/tenants/ten_…`; the forms are below it.
    ///   - waiting: operations on this object that wait for approval, with the request of each.
    ///   - locked: operations that are off for what only other rows say.
    ///   - elsewhere: operations that this page offers where it says what they are for, in a notice or beside a row: they are
    ///     offered once.
    ///   - more: what can be done about this object beside the operations on it.
    public static func actionBar(
        _ entity: any Entity, path: String, catalog: Catalog, caller: Caller, now: Instant,
        waiting: [String: WaitingRequest] = [:], locked: [String: Unavailable] = [:], elsewhere: Set<String> = [],
        more: Node = .none
    ) -> Node {
        let type = Swift.type(of: entity).type
        let offered = catalog.operations(on: type).filter { !$0.creates && !$0.spec.systemOnly }
        let held = offered.filter { caller.permissions.contains($0.spec.permission) }
        var on = Node.none
        var off = Node.none
        // Harmless first, harm last, so that the hand doesn't meet it on the way.
        for operation in held.sorted(by: {
            ($0.spec.isDestructive ? 1 : 0, $0.spec.risk, $0.spec.name) < (
                $1.spec.isDestructive ? 1 : 0, $1.spec.risk, $1.spec.name
            )
        }) where operation.unavailable(entity, now)?.isMoot != true {
            if let button = offButton(
                operation, on: entity, path: path, catalog: catalog, caller: caller, now: now, waiting: waiting,
                locked: locked)
            {
                off = off + button
            } else if !elsewhere.contains(operation.spec.name) {
                on =
                    on
                    + linkButton(
                        "\(shortTitle(operation.spec))…", href: "\(path)/\(operation.spec.verbPath)",
                        style: operation.spec.isDestructive ? .warns : .plain)
            }
        }
        guard !offered.isEmpty else { return .none }
        return el("div", .class("actions"), Attribute("role", "group"), .label("Actions")) {
            on
            off
            more
            if held.count < offered.count {
                el("a", .class("small absent"), .href("/absent?on=\(type)")) { "What can’t I do here?" }
            }
        }
    }

    /// The control of an operation that can't be used on this object now; `nil` when it can.
    /// - Parameter title: what stands on it, "Suspend" by default.
    public static func offButton(
        _ operation: AnyOperation, on entity: any Entity, path: String, catalog: Catalog, caller: Caller, now: Instant,
        waiting: [String: WaitingRequest] = [:], locked: [String: Unavailable] = [:], title: String? = nil
    ) -> Node? {
        let title = title ?? shortTitle(operation.spec)
        if let request = waiting[operation.spec.name] {
            return offButton(
                title, why: request.executesAt == nil ? "waits for approval" : "is approved and waits for its time",
                detail: el("p") { request.outlook(now) }
                    + el("p") {
                        request.isOpen
                            ? el("a", .href("/approvals/\(request.id)")) { "See the request" } : id(request.id)
                    })
        }
        guard let unavailable = locked[operation.spec.name] ?? operation.unavailable(entity, now) else { return nil }
        var detail = el("p") { sentence(unavailable.reason) }
        if let note = unavailable.note { detail = detail + el("p") { note } }
        let lifting = unavailable.lifting.compactMap { catalog[$0] }
        for other in lifting {
            let verb = shortTitle(other.spec)
            detail =
                detail
                + el("p") {
                    if caller.permissions.contains(other.spec.permission), other.unavailable(entity, now) == nil,
                        waiting[other.spec.name] == nil
                    {
                        "You can lift this: "
                        el("a", .href("\(path)/\(other.spec.verbPath)")) { "\(verb)…" }
                    } else {
                        "People with "
                        el("span", .class("id")) { code(other.spec.permission) }
                        " can lift this: \(verb)."
                    }
                }
        }
        if lifting.isEmpty, unavailable.note == nil {
            detail = detail + el("p", .class("muted")) { "Nobody can lift this." }
        }
        return offButton(title, why: unavailable.reason, detail: detail)
    }

    private static func sentence(_ words: String) -> String { words.prefix(1).uppercased() + words.dropFirst() + "." }

    /// "Suspend tenant" on a tenant's page is "Suspend".
    public static func shortTitle(_ spec: OperationSpec) -> String {
        let words = spec.title.split(separator: " ")
        guard words.count > 1, let last = words.last, last.lowercased() == spec.noun else { return spec.title }
        return words.dropLast().joined(separator: " ")
    }
}
