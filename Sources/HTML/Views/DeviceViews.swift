import Kernel

/// The question whether a command line is let in. It posts `code` and `csrf` to `/device/approve` or `/device/deny`.
public struct DeviceModel: Sendable {
    public var device: WaitingDevice
    /// Who would be signed in there.
    public var name: String
    public var roles: [String]
    public var csrf: String
    /// The factor was used recently enough to agree.
    public var isFresh: Bool
    /// When the session there would end at the latest.
    public var expiresAt: Instant
    public var now: Instant
    public init(
        device: WaitingDevice, name: String, roles: [String], csrf: String, isFresh: Bool, expiresAt: Instant,
        now: Instant
    ) {
        self.device = device
        self.name = name
        self.roles = roles
        self.csrf = csrf
        self.isFresh = isFresh
        self.expiresAt = expiresAt
        self.now = now
    }
}

/// Letting a command line in. The pages stand inside the ordinary frame: the person is signed in.
public enum DeviceViews {
    public static let title = "Sign in a command line"

    /// Asks for the code a terminal shows.
    public static func ask(csrf: String, code: String = "", error: String? = nil) -> Node {
        UI.title(title)
            + el("div", .class("narrow stack")) {
                el("p", .class("prose")) {
                    "Somebody typed postern login at a machine, which now shows an address and a code. If that was you, "
                    "compare the code here with the one in your terminal."
                }
                el("form", .class("stack"), Attribute("method", "post"), Attribute("action", "/device")) {
                    UI.hiddenField("csrf", csrf)
                    UI.field(
                        Field(
                            "code", label: "Code in your terminal", help: "Eight letters, as in BCDF-GHJK.", .line,
                            value: code,
                            error: error, isRequired: true, maximumCharacters: 12, autocomplete: "off", hasFocus: true))
                    UI.button("Continue", style: .primary)
                }
            }
    }

    /// Shows who asks, and lets the person say yes or no.
    public static func found(_ model: DeviceModel) -> Node {
        let device = model.device
        return UI.title(title)
            + el("div", .class("narrow stack")) {
                UI.banner(
                    .warn, "Did you type postern login yourself, a moment ago?",
                    "If somebody sent you this address or this code, they are trying to sign in as you: deny it, and tell whoever "
                        + "looks after security.")
                UI.panel("Who asks", id: "p-device") {
                    UI.panelBody {
                        UI.facts([
                            ("Code", el("span", .class("usercode")) { device.code }),
                            ("Machine", Node("\(device.machine), ") + UI.hint("as it calls itself")),
                            (
                                "Address",
                                Node("\(device.ip), ")
                                    + (device.isElsewhere
                                        ? el("b") { "in another network than yours: be sure it is your machine" }
                                        : UI.hint("in the same network as you"))
                            ),
                            ("Client", Node(device.client == "cli" ? "Postern command line" : "a program of the API")),
                            ("Asked", UI.time(device.askedAt, now: model.now)),
                            ("Runs out", UI.time(device.expiresAt, now: model.now)),
                        ])
                    }
                }
                UI.panel("What it may do", id: "p-may") {
                    UI.panelBody {
                        UI.tightStack {
                            el("p") { "Everything you may do, in your name." }
                            UI.facts([
                                ("As", Node(model.name)),
                                (
                                    "Roles",
                                    model.roles.isEmpty
                                        ? UI.hint("none")
                                        : UI.row { for role in model.roles { UI.tag(RoleTitle.of(role)) } }
                                ),
                                ("Until", Node("\(model.expiresAt.minuteText) at the latest")),
                            ])
                            el("p", .class("hint")) {
                                "It stands among your sessions under My security, where you can end it."
                            }
                        }
                    }
                }
                if !model.isFresh {
                    el("p") { "To approve, use your factor first. Then you come back to this code." }
                }
                UI.row {
                    if model.isFresh {
                        decision("/device/approve", model, UI.button("Approve: it is my machine", style: .primary))
                    } else {
                        UI.linkButton(
                            "Use your authenticator", href: "/step-up?next=/device%3Fcode%3D\(device.code)",
                            style: .primary)
                    }
                    decision("/device/deny", model, UI.button("Deny", style: .warns))
                }
            }
    }

    private static func decision(_ action: String, _ model: DeviceModel, _ button: Node) -> Node {
        el("form", Attribute("method", "post"), Attribute("action", action)) {
            UI.hiddenField("csrf", model.csrf)
            UI.hiddenField("code", model.device.code)
            button
        }
    }

    /// What was decided.
    public static func decided(isApproved: Bool) -> Node {
        UI.title(title)
            + el("div", .class("narrow stack")) {
                if isApproved {
                    UI.banner(
                        .ok, "The command line is let in.",
                        "Your terminal goes on by itself within a few seconds. You can close this page.")
                    el("p") { el("a", .href("/me")) { "Your sessions" } }
                } else {
                    UI.banner(
                        .ok, "The command line is turned away.",
                        "Nobody was signed in. If you did not ask for it, tell whoever looks after security.")
                    el("p") { el("a", .href("/")) { "The first page" } }
                }
            }
    }
}
