import HTML
import Kernel

/// Accounts of Slack that are linked with staff; what is asked from there is answered by `StaffSlack`.
public enum SlackConsole {
    public static let console = Console("Slack", entities: [AnyEntityType(SlackLink.self)])
}

/// A person's own accounts of Slack, on their own page.
enum SlackPanel {
    static func node(_ call: PageCall, now: Instant, from reader: any Reader) throws -> Node {
        let links = try reader.query(SlackQueries.links(of: call.caller.person)).map(SlackLink.init)
        guard !links.isEmpty else { return .none }
        return UI.panel("Slack", id: "p-slack", hint: "accounts that may look up what you may") {
            UI.table(
                caption: "Your accounts of Slack, \(links.count)",
                columns: [
                    Column("Account", isRowHeader: true) { link in
                        UI.id(link.slackUser) + UI.sub("workspace \(link.team)")
                    },
                    Column("Linked", .number) { UI.time($0.linkedAt, now: now) },
                    Column("End link", .actions, hidesTitle: true) { link in
                        el("form", Attribute("method", "post"), Attribute("action", "/me/slack/\(link.id)/unlink")) {
                            UI.hiddenField("csrf", call.csrf)
                            UI.button(
                                "Unlink", style: .warns, size: .small, attributes: [.label("Unlink \(link.slackUser)")])
                        }
                    },
                ], rows: links, density: .plain)
        }
    }

    /// What was just done.
    static func done(_ word: String?) -> Node {
        switch word {
        case "slack": UI.banner(.ok, "Your account of Slack is linked.", "Type /postern help there.")
        case "unlinked": UI.banner(.ok, "The account of Slack is linked no more.")
        default: .none
        }
    }
}
