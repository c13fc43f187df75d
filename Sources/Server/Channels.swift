import CommandLine
import Connectors
import Consoles
import Foundation
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

    /// Who vouches for staff elsewhere; `nil` where nobody does.
    var provider: OIDCProvider.Settings? {
        // With its last slash, if it has one: tokens name it to the letter.
        guard let issuer = configuration.text("oidc_issuer"), let id = configuration.text("oidc_client_id"),
            let secret = configuration.text("oidc_client_secret")
        else { return nil }
        let name = configuration.text("oidc_name") ?? URL(string: issuer)?.host() ?? "the identity provider"
        var settings = OIDCProvider.Settings(issuer: issuer, clientID: id, secret: secret, name: name)
        settings.methods = Set(configuration.list("oidc_amr"))
        settings.contexts = configuration.list("oidc_acr")
        settings.skew = .seconds(Int64(configuration.number("oidc_skew_seconds")))
        settings.rolesClaim = configuration.text("oidc_roles_claim")
        settings.authorities = configuration.text("oidc_ca_file")
        return settings
    }

    /// What is set of it otherwise than shipped, each as a digest under a key of the deployment's own: one is a secret, and the
    /// others are short enough to be guessed. With another pepper all of them are other ones.
    func providerDigests(_ key: [UInt8]) -> [String: String] {
        var digests: [String: String] = [:]
        for setting in Setting.all where setting.key.hasPrefix("oidc_") {
            guard let text = configuration.text(setting.key), text != setting.fallback else { continue }
            var bytes = key + Array("\(setting.key)=\(text)".utf8)
            // The file may be another one under the same name.
            if setting.key == "oidc_ca_file", let file = FileManager.default.contents(atPath: text) {
                bytes += sha256(Array(file))
            }
            digests[setting.key] = String(sha256(bytes).hex.prefix(16))
        }
        return digests
    }

    /// The roles that values of the provider's claim stand for; `nil` where no role comes from it.
    func claimMeanings() throws(CommandFailure) -> [String: Set<String>]? {
        guard configuration.text("oidc_roles_claim") != nil else { return nil }
        let roles = Seeds.roles.map(\.id)
        var meanings: [String: Set<String>] = [:]
        for (value, role) in configuration.pairs("oidc_roles") {
            guard roles.contains(role) else {
                throw CommandFailure(
                    .usage,
                    "oidc_roles gives \"\(value)\" the role \(role), which there is not. Roles: \(roles.joined(separator: ", "))."
                )
            }
            meanings[value, default: []].insert(role)
        }
        return meanings
    }

    /// What Slack signs its requests with; `nil` where none are answered.
    var slackSecret: String? {
        configuration.text("slack_signing_secret")?.trimmingCharacters(in: .whitespacesAndNewlines)
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
