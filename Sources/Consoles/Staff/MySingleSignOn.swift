import HTML
import Kernel

/// The part of one's own page about the identity provider.
enum MySingleSignOn {
    /// What was just done, in words.
    static func done(_ word: String?, _ call: PageCall) -> Node {
        let provider = call.provider ?? "The identity provider"
        switch word {
        case "linked": return UI.banner(.ok, "\(provider) signs you in from now on.")
        case "unlinked":
            return UI.banner(
                .ok, "\(provider) no longer signs you in.", "Your other sessions that came by it have ended.")
        default: return .none
        }
    }

    static func panel(
        _ call: PageCall, _ links: [Factor], hasPasskey: Bool, wrong: String?, now: Instant
    ) -> Node {
        guard call.provider != nil || !links.isEmpty else { return .none }
        return UI.panel("Single sign-on", id: "p-sso", hint: call.provider) {
            if let wrong { UI.panelBody { UI.banner(.danger, wrong, announces: true) } }
            if links.isEmpty {
                UI.panelBody { link(call, hasPasskey: hasPasskey) }
            } else {
                UI.table(
                    caption: "Linked accounts, \(links.count)",
                    columns: [
                        Column("Account", isRowHeader: true) { (link: Factor) in
                            Node(link.providerAccount?.email ?? "without an address") + UI.sub(link.label)
                        },
                        Column("Linked", .number) { UI.time($0.createdAt, now: now) },
                        Column("Unlink", .actions, hidesTitle: true) { unlink($0, call) },
                    ], rows: links, density: .plain)
            }
        }
    }

    private static func link(_ call: PageCall, hasPasskey: Bool) -> Node {
        MyPage.guarded("/me/oidc", call, hasPasskey: hasPasskey, "Linking an account", takesOwn: false) {
            el("p") {
                "Link your account at \(call.provider ?? "the identity provider"), and its sign-in is enough here, or needs only a "
                "factor of yours beside it."
            }
            el("p") { UI.button("Link \(call.provider ?? "an account")", icon: "shield") }
        }
    }

    private static func unlink(_ link: Factor, _ call: PageCall) -> Node {
        guard call.isFactorFresh else {
            return UI.linkButton(
                "Unlink…", href: "/step-up?next=/me", size: .small, attributes: [.label("Unlink \(link.label)")])
        }
        return el("form", Attribute("method", "post"), Attribute("action", "/me/oidc/\(link.id)/unlink")) {
            UI.hiddenField("csrf", call.csrf)
            UI.button("Unlink", style: .warns, size: .small, attributes: [.label("Unlink \(link.label)")])
        }
    }
}
