import HTML
import Kernel

/// How the staff channel and mail fare, above the list of deliveries.
enum ChannelPanel {
    static func panel(_ states: [ChannelState], for caller: Caller, now: Instant) -> Node {
        let maySend = caller.permissions.contains(SendTestMessage.spec.permission)
        var columns: [Column<ChannelState>] = [
            Column("Channel", isRowHeader: true) { state in
                state.channel == .slack
                    ? el("a", .href("/deliveries?webhook=slack")) { title(state.channel) } : Node(title(state.channel))
            },
            Column("State") { mark($0) },
            Column("Last sent", .number, priority: 2) { state in
                state.sentAt.map { UI.time($0, now: now) } ?? UI.hint("never")
            },
            Column("Behind", .number, priority: 3) { state in
                state.lag.map { Node($0 == 0 ? "nothing" : $0 == 1 ? "1 entry" : "\(Grouped.digits($0)) entries") }
                    ?? UI.hint("–")
            },
            Column("Last problem", .wide, priority: 2) { state in
                state.isOn ? problem(state, now: now) : setUp(state.channel, for: caller)
            },
        ]
        if maySend, states.contains(where: \.isOn) {
            columns.append(
                Column("Test", .actions, hidesTitle: true) { state in
                    state.isOn
                        ? UI.linkButton(
                            "Send test…", href: "/deliveries/new?input.channel=\(state.channel.rawValue)", size: .small,
                            attributes: [.label("Send test to \(title(state.channel))…")])
                        : .none
                })
        }
        return UI.panel("Staff channel and mail", id: "d-channels") {
            UI.table(caption: "Channels", columns: columns, rows: states)
        }
    }

    static func title(_ channel: DeliveryChannel) -> String {
        switch channel {
        case .slack: "Slack"
        case .mail: "Mail"
        case .webhook: "Webhooks"
        }
    }

    static func mark(_ state: ChannelState) -> Node {
        if !state.isOn { return UI.state("Not set up", .plain, .box) }
        return state.error == nil ? UI.state("On", .ok, .on) : UI.state("Failing", .danger, .x)
    }

    private static func problem(_ state: ChannelState, now: Instant) -> Node {
        guard let error = state.error, let at = state.failedAt else { return UI.hint("none") }
        return Node("\(error), ") + UI.time(at, now: now)
    }

    /// What turns a channel on.
    static func settings(of channel: DeliveryChannel) -> String {
        switch channel {
        case .slack: "Set slack_webhook_url, or slack_token and slack_channel, then start the server again."
        case .mail: "Set smtp_url and mail_from, then start the server again."
        case .webhook: "Create a webhook."
        }
    }

    /// How it is set up, with the way to where the settings stand for who may see them.
    private static func setUp(_ channel: DeliveryChannel, for caller: Caller) -> Node {
        el("p", .class("muted")) {
            settings(of: channel)
            if caller.permissions.contains(SettingsPages.permission) {
                " "
                el("a", .href("/installation/configuration")) { "Configuration" }
            }
        }
    }
}
