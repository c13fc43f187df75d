import CommandLine
import Connectors
import Consoles
import Foundation
import Kernel
import Store
import StorePostgres

/// Looks at everything a deployment needs and says what is set, what is missing and what to do. Changes nothing.
struct Doctor: Sendable {
    let environment: [String: String]

    typealias Finding = InstallationFacts.Finding

    struct Report: Sendable {
        var findings: [Finding] = []
        var isHealthy: Bool { !findings.contains { $0.level == .problem } }

        mutating func add(_ level: Finding.Level, _ about: String, _ sentence: String) {
            findings.append(Finding(level, about: about, sentence))
        }

        var json: JSON {
            [
                "ok": .bool(isHealthy),
                "findings": .array(findings.map(\.json)),
            ]
        }

        func text(on terminal: Terminal) -> String {
            let width = (findings.map(\.about.count).max() ?? 0) + 2
            let lines = findings.map { finding in
                let mark =
                    switch finding.level {
                    case .ok: "ok       "
                    case .warning: "warning  "
                    case .problem: terminal.bold("problem  ")
                    }
                let gap = String(repeating: " ", count: width - finding.about.count)
                let rest = finding.sentence.replacing("\n", with: "\n" + String(repeating: " ", count: 9 + width))
                return mark + finding.about + gap + rest
            }
            return lines.joined(separator: "\n") + "\n"
        }
    }

    func examine() async -> Report {
        var report = Report()
        let deployment: Deployment
        do throws(CommandFailure) {
            deployment = try Deployment.load(environment: environment)
        } catch {
            report.add(.problem, "configuration", error.message)
            return report
        }
        settings(deployment.configuration, &report)
        Self.names(deployment, &report)
        let keys = keys(deployment, &report)
        Self.files(deployment.configuration, &report)
        await database(deployment, keys, &report)
        await channels(deployment, &report)
        Self.alerts(deployment, &report)
        await provider(deployment, &report)
        return report
    }

    // MARK: Settings

    private func settings(_ configuration: Configuration, _ report: inout Report) {
        for setting in Setting.all {
            guard let entry = configuration.entry(setting.key) else { continue }
            let origin = entry.source.map { "from \($0)" } ?? "default"
            report.add(.ok, setting.key, "\(Self.shown(setting, entry)) (\(origin))")
        }
    }

    /// A value as it may be shown to people.
    static func shown(_ setting: Setting, _ entry: Configuration.Entry) -> String {
        // A database's URL may hold a password: what matters is where it leads.
        if setting.kind == .databaseURL { return Storage(url: entry.text).description }
        // So may a command.
        if setting.kind == .command { return "a command, not shown" }
        return setting.isSecret ? "set, not shown" : entry.text
    }

    /// The addresses under which the listeners are reached, and how.
    static func names(_ deployment: Deployment, _ report: inout Report) {
        let configuration = deployment.configuration
        let urls = ["staff_url", "auditor_url", "runtime_url"]
        let hosts = urls.map { configuration.url($0).flatMap { URL(string: $0) }?.host() }
        for (index, host) in hosts.enumerated() {
            guard let host, let first = hosts.firstIndex(of: host), first < index else { continue }
            report.add(
                .warning, urls[index],
                "Shares the host name \(host) with \(urls[first]). Cookies ignore ports: give each realm a name of its own."
            )
        }
        do throws(PasskeySite.Unfit) {
            let site = try PasskeySite(url: deployment.staffURL)
            report.add(.ok, "passkeys", "Bound to \(site.id), usable at \(site.origin).")
        } catch {
            report.add(.warning, "passkeys", error.description)
        }
        guard configuration.value("environment") != "demo" else { return }
        if configuration.url("staff_url") == nil {
            report.add(
                .warning, "staff_url",
                "Not set: links and sign-in assume \(deployment.staffURL).")
        }
        for key in ["auditor_url", "runtime_url"] where configuration.url(key) == nil {
            report.add(
                .warning, key,
                "Not set, so nobody can tell here whether it shares its host name with another. Cookies ignore ports: give each realm a name of its own."
            )
        }
        if let reason = deployment.insecureStaffURL { report.add(.problem, "staff_url", reason) }
        for listener in ["staff", "auditor", "runtime"]
        where !["127.0.0.1", "::1", "localhost"].contains(configuration.value("\(listener)_host"))
            && configuration.text("tls_certificate") == nil && configuration.list("trusted_proxies").isEmpty
        {
            report.add(
                .warning, "\(listener)_host",
                "Listens beyond this machine without TLS and without a trusted proxy. Set tls_certificate and tls_key, or trusted_proxies."
            )
        }
    }

    // MARK: Files

    private func keys(_ deployment: Deployment, _ report: inout Report) -> SecretKeys? {
        let configuration = deployment.configuration
        if (try? SecretKeys.lacksOrigin(configuration)) == true {
            report.add(.problem, "log_origin", SecretKeys.missingOrigin.message)
        }
        var keys: SecretKeys?
        do throws(CommandFailure) {
            let found = try SecretKeys.load(configuration, makesMissing: false)
            report.add(
                .ok, "keys",
                """
                log \(found.log.verifier.text)
                master key \(found.master.fingerprint)
                pepper \(found.pepperFingerprint)
                """)
            keys = found
        } catch {
            report.add(.problem, "keys", error.message)
        }
        return keys
    }

    /// The files beside the keys.
    static func files(_ configuration: Configuration, _ report: inout Report) {
        for key in ["tls_certificate", "tls_key"] {
            guard let path = configuration.text(key), !FileManager.default.isReadableFile(atPath: path) else {
                continue
            }
            report.add(.problem, key, "\(path) can't be read.")
        }
        let checkpoints = configuration.value("checkpoints_file")
        let folder = (checkpoints as NSString).deletingLastPathComponent
        if FileManager.default.fileExists(atPath: checkpoints) {
            do {
                let count = try CheckpointFile(path: checkpoints).tail().count
                report.add(
                    count > 0 ? .ok : .warning, "checkpoints", count > 0 ? "Readable." : "\(checkpoints) is empty.")
            } catch {
                report.add(.problem, "checkpoints", "\(error)")
            }
        } else if !FileManager.default.isWritableFile(atPath: folder.isEmpty ? "." : folder) {
            report.add(
                .problem, "checkpoints",
                "\(checkpoints) can't be written: its directory is missing or belongs to somebody else.")
        }
    }

    /// - Parameter now: the database's time.
    static func clock(_ now: Instant, _ report: inout Report) {
        let apart = abs((Clock.system.now - now).microseconds) / 1000
        guard apart > 2000 else { return }
        report.add(
            .problem, "clock", "This machine and the database are \(apart) ms apart; set the time of both by NTP.")
    }

    // MARK: Channels

    /// Asks Slack whether it knows the token, and the mail server whether it takes user and password. Sends nothing.
    private func channels(_ deployment: Deployment, _ report: inout Report) async {
        if let door = deployment.slack {
            let problem = await SlackCourier(door).problem()
            report.add(problem == nil ? .ok : .problem, "slack", problem ?? "Slack answers and knows this deployment.")
        }
        if let secret = deployment.slackSecret {
            let isSecret = secret.utf8.count >= 32 && secret.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            let url = deployment.staffURL
            if !isSecret {
                report.add(
                    .problem, "slack_signing_secret",
                    "Is no signing secret: your app's page in Slack shows 32 hexadecimal digits under Basic Information."
                )
            } else if !url.hasPrefix("https://"), !deployment.isDemo {
                report.add(
                    .problem, "slack_signing_secret", "Slack reaches only https://, and staff_url is \(url).")
            } else {
                report.add(
                    .ok, "slack_signing_secret",
                    "Set in Slack: slash command /postern to \(url)/slack/commands, interactivity to \(url)/slack/interactions."
                )
            }
        }
        do throws(CommandFailure) {
            guard let mail = try deployment.mail() else { return }
            let problem = await MailCourier(mail).problem()
            report.add(problem == nil ? .ok : .problem, "mail", problem ?? "The mail server answers over TLS.")
        } catch {
            report.add(.problem, "mail_from", error.message)
        }
    }

    /// Whether anybody hears of what can't wait for them to open the console.
    static func alerts(_ deployment: Deployment, _ report: inout Report) {
        guard !deployment.isDemo else { return }
        let configuration = deployment.configuration
        let sendsMail = configuration.text("smtp_url") != nil
        if !sendsMail, deployment.slack == nil {
            report.add(
                .warning, "alerts",
                "Neither a mail server (smtp_url, mail_from) nor Slack (slack_webhook_url, or slack_token with slack_channel) is set: that somebody opened break-glass, asked for a recovery or reset factors reaches no mailbox and no channel. Set one; see docs/getting-started.md."
            )
        }
        if !sendsMail, configuration.text("ciso_email") != nil {
            report.add(.warning, "ciso_email", "Nobody is written to: smtp_url is not set.")
        }
    }

    // MARK: Single sign-on

    /// Asks the provider for what it publishes, and says what has to be registered there.
    private func provider(_ deployment: Deployment, _ report: inout Report) async {
        guard let settings = deployment.provider else { return }
        let (problems, notes) = await OIDCProvider(settings).examination()
        for problem in problems { report.add(.problem, "sso", problem) }
        for note in notes { report.add(.ok, "sso", note) }
        let provider = StaffProvider(client: OIDCProvider(settings), consoleURL: deployment.staffURL)
        report.add(
            deployment.configuration.url("staff_url") == nil ? .warning : .ok, "sso",
            """
            Register at \(settings.name), to the letter:
            redirect address \(provider.redirect)
            after signing out \(provider.farewell)
            back-channel logout \(provider.redirect)/logout
            """
                + (deployment.configuration.url("staff_url") == nil
                    ? "\nThey are made of staff_url, which is not set." : ""))
        do throws(CommandFailure) {
            guard let meanings = try deployment.claimMeanings(), let claim = settings.rolesClaim else { return }
            let count = meanings.count == 1 ? "1 value of it stands" : "\(meanings.count) values of it stand"
            let roles = Set(meanings.values.joined()).sorted().joined(separator: ", ")
            report.add(.ok, "oidc_roles", "The claim is \(claim); \(count) for \(roles).")
            if !deployment.configuration.flag("oidc_required") {
                report.add(
                    .warning, "oidc_roles",
                    "Roles are compared when somebody signs in through \(settings.name). Whoever signs in with a password or a passkey keeps what they were given; oidc_required: true takes that way out."
                )
            }
        } catch {
            report.add(.problem, "oidc_roles", error.message)
        }
    }

    // MARK: Database

    private func database(_ deployment: Deployment, _ keys: SecretKeys?, _ report: inout Report) async {
        do {
            let storage = try await deployment.serverStorage()
            if case .sqlite(let path) = storage, !FileManager.default.fileExists(atPath: path) {
                report.add(.problem, "database", "There is no database at \(path) yet. Run: postern migrate")
                return
            }
            let (database, _) = try storage.open()
            do {
                try await examine(database, storage, deployment, keys, &report)
                await database.close()
            } catch {
                await database.close()
                throw error
            }
        } catch {
            report.add(.problem, "database", CommandFailure(error, deployment.storage).message)
        }
        guard let text = deployment.configuration.text("migrate_database_url") else { return }
        let owner = Storage(url: text)
        do {
            let (database, _) = try owner.open()
            do {
                _ = try await Migrator.pending(database)
                await database.close()
                report.add(.ok, "owner", "Reachable: \(owner.description).")
            } catch {
                await database.close()
                throw error
            }
        } catch {
            report.add(.problem, "owner", CommandFailure(error, owner).message)
        }
    }

    private func examine(
        _ database: any Database, _ storage: Storage, _ deployment: Deployment, _ keys: SecretKeys?,
        _ report: inout Report
    ) async throws {
        let pending = try await Migrator.pending(database)
        guard pending.isEmpty else {
            report.add(.problem, "database", "Reachable, but it lacks \(pending.count) steps. Run: postern migrate")
            return
        }
        // The file before the database: a server that runs goes on publishing.
        let file = CheckpointFile(path: deployment.configuration.value("checkpoints_file"))
        let published = (try? file.tail()) ?? []
        let (now, log) = try await database.read { reader in (reader.now, try SQLLogStore().state(reader)) }
        report.add(.ok, "database", "Reachable and up to date: \(storage.description).")
        Self.clock(now, &report)
        if case .postgres = storage {
            let leaders = try await PostgresLeadership.leaders(in: database).map {
                "\($0.name): process \($0.process)\($0.host.isEmpty ? "" : " on \($0.host)")"
            }
            report.add(
                .ok, "leaders", leaders.isEmpty ? "No server runs." : leaders.joined(separator: "\n"))
        }
        report.add(.ok, "log", log.map { "\($0.origin), \($0.size) events in the tree." } ?? "Not begun yet.")
        for case .checkpoint(let note) in published {
            guard let text = try? SignedNote(parsing: note).text, let known = try? Checkpoint(text: text),
                known.origin == log?.origin, known.size > log?.size ?? 0
            else { continue }
            report.add(
                .problem, "log",
                """
                A checkpoint of \(known.size) events was published, but the database holds \(log?.size ?? 0): it was set back. \
                postern serve refuses it; see docs/audit-log.md.
                """)
            break
        }
        if let jump = try await database.read({ try ClockJump.open(from: $0) }) {
            report.add(
                .warning, "clock",
                "Was set, \(jump.words), and what goes by dates is held until somebody has confirmed it: postern clock confirm \(jump.id)"
            )
        }
        if let master = keys?.master {
            let (kept, opened) = try await database.read { try SealedSecrets.count(with: master, from: $0) }
            if kept > 0, opened == 0 {
                report.add(.problem, "master_key", SecretKeys.otherMaster.message)
            } else if opened < kept {
                report.add(
                    .warning, "master_key",
                    """
                    It does not open \(kept - opened) of the newest \(kept) secrets that are sealed here: these were damaged or \
                    edited. A password or code of them is called wrong, and a webhook sends nothing, until there is a new one.
                    """)
            }
        }
        if !deployment.isDemo {
            do {
                try await deployment.refuseTooPowerful(database)
                if let keys { try await deployment.refuseDemoSecrets(keys, database) }
            } catch let failure as CommandFailure {
                report.add(.problem, "safety", failure.message)
            }
        }
    }
}
