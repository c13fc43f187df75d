import Kernel

extension UI {
    /// The operations a person can use on an object: allowed ones as buttons, those that can't be used now off and with
    /// the reason, and none at all for those their roles never allow (a link explains which).
    /// - Parameter path: the object's page, `/tenants/ten_…`; the forms are below it.
    public static func actionBar(
        _ entity: any Entity, path: String, catalog: Catalog, caller: Caller, now: Instant
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
        }) {
            let title = shortTitle(operation.spec)
            if let reason = operation.unavailable(entity, now) {
                off = off + offButton(title, why: reason)
            } else {
                on =
                    on
                    + linkButton(
                        "\(title)…", href: "\(path)/\(operation.spec.verbPath)",
                        style: operation.spec.isDestructive ? .warns : .plain)
            }
        }
        return el("div", .class("actions"), Attribute("role", "group"), .label("Actions")) {
            on
            if !off.isEmpty { el("span", .class("offs")) { off } }
            if held.count < offered.count {
                el("a", .class("small absent"), .href("/absent?on=\(type)")) { "What can’t I do here?" }
            }
        }
    }

    /// "Suspend tenant" on a tenant's page is "Suspend".
    static func shortTitle(_ spec: OperationSpec) -> String {
        let words = spec.title.split(separator: " ")
        guard words.count > 1, let last = words.last, last.lowercased() == spec.noun else { return spec.title }
        return words.dropLast().joined(separator: " ")
    }
}
