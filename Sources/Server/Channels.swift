import CommandLine
import Connectors
import Kernel

extension Deployment {
    /// The way into the staff channel; `nil` without one.
    var slack: SlackCourier.Door? {
        if let url = configuration.text("slack_webhook_url") { return .webhook(url: url) }
        guard let token = configuration.text("slack_token"), let channel = configuration.text("slack_channel"),
            let api = configuration.url("slack_api")
        else { return nil }
        return .bot(token: token, channel: channel, api: api)
    }

    /// The mail server and the sender; `nil` where no mail is sent.
    func mail() throws(CommandFailure) -> MailCourier.Settings? {
        guard let url = configuration.text("smtp_url"), let text = configuration.text("mail_from") else { return nil }
        guard let from = Mailbox(text) else {
            throw CommandFailure(
                .usage, "mail_from is \"\(text)\"; expected an address such as Postern <postern@example.com>.")
        }
        var settings = MailCourier.Settings(url: url, from: from)
        settings.user = configuration.text("smtp_user")
        settings.password = configuration.text("smtp_password")
        settings.authorities = configuration.text("smtp_ca_file")
        return settings
    }
}
