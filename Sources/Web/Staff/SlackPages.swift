import HTML
import HTTPTypes
import Hummingbird
import Kernel

extension StaffConsole {
    /// Where `/postern link` leads: the person signed in confirms that an account of Slack is theirs.
    func slackRoutes() -> [Route] {
        guard let slack = context.slack else { return [] }
        return [
            signedPage("/slack/link") { exchange, signed in
                let token = exchange.first("token") ?? ""
                let offer = try await slack.offer(token)
                let isFresh = signed.caller.authentication?.isFresh ?? false
                return framed(
                    "Link with Slack", Self.confirmation(of: offer, token: token, isFresh: isFresh, signed), signed,
                    menuPath: "/me")
            }
        ]
    }

    func slackFormRoutes() -> [FormRoute] {
        guard let slack = context.slack else { return [] }
        return [
            FormRoute("/slack/link") { posted in
                let token = posted.text("token")
                do throws(OperationError) {
                    try await slack.link(token, to: posted.signed.session, by: posted.signed.caller)
                } catch {
                    guard case .stepUpRequired = error else { throw error }
                    return .seeOther("/step-up?next=\(URLText.encode(Self.path(to: token)))")
                }
                return .seeOther("/me?done=slack")
            },
            FormRoute("/me/slack/{id}/unlink") { posted in
                try await slack.unlink(
                    posted.parameters["id"] ?? "", of: posted.signed.session, by: posted.signed.caller)
                return .seeOther("/me?done=unlinked")
            },
        ]
    }

    private static func path(to token: String) -> String { "/slack/link?token=\(URLText.encode(token))" }

    private static func confirmation(of offer: SlackOffer, token: String, isFresh: Bool, _ signed: Signed) -> Node {
        UI.title("Link with Slack", lead: signed.session.email)
            + el("div", .class("narrow stack")) {
                UI.facts([
                    ("Account of Slack", Node(offer.userName) + UI.sub(offer.user)),
                    ("Workspace", Node(offer.teamName) + UI.sub(offer.team)),
                ])
                el("p", .class("prose")) {
                    "Whoever uses this account of Slack may then look up there what you may look up here. It decides nothing: "
                    "what is signed is signed in the console. You end it on your own page."
                }
                UI.banner(
                    .warn, "Link it only if you have just typed /postern link yourself.",
                    "If somebody sent you here, close this page: it would give them what you may see.")
                if isFresh {
                    el("form", .class("row"), Attribute("method", "post"), Attribute("action", "/slack/link")) {
                        UI.hiddenField("csrf", signed.session.csrfToken)
                        UI.hiddenField("token", token)
                        UI.button("Link this account", style: .primary)
                        UI.linkButton("Cancel", href: "/me", style: .quiet)
                    }
                } else {
                    el("p") { "Needs a fresh code from your authenticator first." }
                    el("p") {
                        UI.linkButton(
                            "Use your authenticator", href: "/step-up?next=\(URLText.encode(path(to: token)))")
                    }
                }
            }
    }
}
