import Foundation
import Kernel

/// What the server was told, checked: environment over file over defaults.
public struct Configuration: Sendable {
    public enum Origin: Sendable, Equatable {
        case environment(String)
        case file(String)
        case fallback
    }

    public struct Entry: Sendable {
        public let text: String
        public let origin: Origin
        /// The variable or file it comes from; `nil` for a default.
        public var source: String? {
            switch origin {
            case .environment(let name), .file(let name): name
            case .fallback: nil
            }
        }
    }

    private var entries: [String: Entry]

    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - file: the settings file's name and members, every value as text.
    ///   - readSecret: reads a secret's file; throws a `CommandFailure` naming it.
    /// - Throws: `CommandFailure(.usage)` that lists every mistake, each with its key, value and what is expected.
    public init(
        environment: [String: String], file: (name: String, members: [String: String])?,
        readSecret: (String) throws(CommandFailure) -> String
    ) throws(CommandFailure) {
        var problems: [String] = []
        var entries: [String: Entry] = [:]

        func take(_ setting: Setting, _ text: String, _ origin: Origin, named name: String) {
            let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
            guard !text.isEmpty else { return }
            if Self.accepts(text, setting.kind) {
                entries[setting.key] = Entry(text: text, origin: origin)
            } else {
                let shown = setting.isSecret ? "(not shown)" : "\"\(text.printable)\""
                problems.append("\(name) is \(shown); expected \(setting.kind.expected).")
            }
        }
        func takeSecret(_ setting: Setting, at path: String, _ origin: Origin, named name: String) {
            do throws(CommandFailure) {
                take(setting, try readSecret(path), origin, named: name)
            } catch {
                problems.append("\(name): \(error.message)")
            }
        }

        if let file {
            let known = Set(Setting.all.map(\.key) + Setting.all.compactMap(\.fileKey))
            for (key, text) in file.members.sorted(by: { $0.key < $1.key }) {
                let name = "\(key) in \(file.name)"
                if let setting = Setting.byKey[key] {
                    take(setting, text, .file(file.name), named: name)
                } else if let setting = Setting.all.first(where: { $0.fileKey == key }) {
                    takeSecret(setting, at: text, .file(file.name), named: name)
                } else {
                    problems.append(
                        Self.unknown("key \(key) in \(file.name)", nearest: Nearest.word(to: key, among: known)))
                }
            }
        }

        let variables = Set(Setting.all.map(\.variable) + Setting.all.compactMap(\.fileVariable))
            .union(Setting.otherVariables)
        for name in environment.keys.sorted() where name.hasPrefix("POSTERN_") && !variables.contains(name) {
            problems.append(Self.unknown("variable \(name)", nearest: Nearest.word(to: name, among: variables)))
        }
        for setting in Setting.all {
            let direct = environment[setting.variable].flatMap { $0.isEmpty ? nil : $0 }
            let byFile = setting.fileVariable.flatMap { environment[$0] }.flatMap { $0.isEmpty ? nil : $0 }
            if direct != nil, byFile != nil, let fileVariable = setting.fileVariable {
                problems.append("\(setting.variable) and \(fileVariable) are both set; keep one.")
            } else if let direct {
                take(setting, direct, .environment(setting.variable), named: setting.variable)
            } else if let byFile, let fileVariable = setting.fileVariable {
                takeSecret(setting, at: byFile, .environment(fileVariable), named: fileVariable)
            }
        }

        self.entries = entries
        for (one, other) in [("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")]
        where entries[one] != nil && entries[other] == nil {
            problems.append("\(one) is set but \(other) is not; TLS needs both.")
        }
        for (one, other, what) in [
            ("slack_token", "slack_channel", "the bot must know where to post"),
            ("slack_channel", "slack_token", "only a bot is told where to post"),
            ("smtp_url", "mail_from", "mail needs a sender"),
            ("smtp_user", "smtp_password", "signing in needs both"),
            ("smtp_password", "smtp_user", "signing in needs both"),
            ("oidc_issuer", "oidc_client_id", "the provider must know who asks"),
            ("oidc_issuer", "oidc_client_secret", "the provider must believe who asks"),
            ("oidc_client_id", "oidc_issuer", "it belongs to a provider"),
            ("oidc_client_secret", "oidc_issuer", "it belongs to a provider"),
            ("oidc_name", "oidc_issuer", "there is nothing to name"),
            ("oidc_acr", "oidc_issuer", "nobody is asked"),
            ("oidc_domains", "oidc_issuer", "nobody signs in through a provider"),
            ("oidc_ca_file", "oidc_issuer", "nobody is asked"),
            ("oidc_roles_claim", "oidc_issuer", "nobody signs in through a provider"),
            ("oidc_roles_claim", "oidc_roles", "no value of it stands for a role"),
            ("oidc_roles", "oidc_roles_claim", "it is not known where the values stand"),
        ] where entries[one] != nil && entries[other] == nil {
            problems.append("\(one) is set but \(other) is not; \(what).")
        }
        if entries["slack_webhook_url"] != nil, entries["slack_token"] != nil {
            problems.append("slack_webhook_url and slack_token are both set; keep one.")
        }
        if entries["oidc_required"]?.text == "true", entries["oidc_issuer"] == nil {
            problems.append("oidc_required is true but oidc_issuer is not set; nobody could sign in.")
        }
        for key in ["slack_webhook_url", "slack_api", "oidc_issuer"] {
            guard let text = entries[key]?.text, !text.hasPrefix("https://"), let host = URL(string: text)?.host(),
                !["127.0.0.1", "::1", "localhost"].contains(host)
            else { continue }
            problems.append("\(key) must begin with https://.")
        }
        for key in ["log_key", "master_key", "pepper"]
        where entries["\(key)_file"] != nil && entries["\(key)_command"] != nil {
            problems.append("\(key)_file and \(key)_command are both set; keep one.")
        }
        guard problems.isEmpty else {
            throw CommandFailure(
                .usage, "The configuration can't be used:\n" + problems.map { "- \($0)" }.joined(separator: "\n"))
        }
        fillIn()
    }

    /// Puts the defaults in, places in the data directory last.
    private mutating func fillIn() {
        let data = entries["data"]?.text ?? Setting.byKey["data"]!.fallback!
        for setting in Setting.all where entries[setting.key] == nil {
            guard let fallback = setting.fallback else { continue }
            entries[setting.key] = Entry(text: fallback.replacing("DATA/", with: data + "/"), origin: .fallback)
        }
    }

    /// The same configuration with other defaults: what the demo uses where nothing was said.
    public func defaulting(_ defaults: [String: String]) -> Configuration {
        var copy = self
        copy.entries = entries.filter { $0.value.origin != .fallback }
        for (key, text) in defaults where copy.entries[key] == nil {
            copy.entries[key] = Entry(text: text, origin: .fallback)
        }
        copy.fillIn()
        return copy
    }

    public func entry(_ key: String) -> Entry? {
        precondition(Setting.byKey[key] != nil, "\(key) is not a setting")
        return entries[key]
    }
    public func text(_ key: String) -> String? { entry(key)?.text }
    /// A setting that always has a value.
    public func value(_ key: String) -> String {
        guard let text = text(key) else { preconditionFailure("\(key) has no default") }
        return text
    }
    public func port(_ key: String) -> Int { Int(value(key))! }
    public func number(_ key: String) -> Int { Int(value(key))! }
    public func flag(_ key: String) -> Bool { value(key) == "true" }
    public func list(_ key: String) -> [String] {
        (text(key) ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
    public func pairs(_ key: String) -> [(key: String, value: String)] { text(key).flatMap { Self.pairs($0) } ?? [] }
    /// Without a trailing slash.
    public func url(_ key: String) -> String? {
        text(key).map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
    }

    static func accepts(_ text: String, _ kind: Setting.Kind) -> Bool {
        switch kind {
        case .text, .path, .command: !text.isEmpty
        case .host: !text.contains { $0.isWhitespace || $0 == "/" }
        case .port: Int(text).map { (1...65535).contains($0) } ?? false
        case .url:
            if let url = URL(string: text), let scheme = url.scheme, ["http", "https"].contains(scheme),
                let host = url.host()
            {
                !host.isEmpty && url.query() == nil && url.fragment() == nil
            } else {
                false
            }
        case .flag: ["true", "false"].contains(text)
        case .networks: text.split(separator: ",").allSatisfy { isNetwork($0.trimmingCharacters(in: .whitespaces)) }
        case .databaseURL:
            text.hasPrefix("sqlite:") && text.count > 7 || text.hasPrefix("postgres://")
                || text.hasPrefix("postgresql://")
        case .count: Int(text).map { (0...100_000).contains($0) } ?? false
        case .retention: (try? RetentionPeriods(text)) != nil
        case .smtpURL: isMailServer(text)
        // A look at the form; the courier parses it.
        case .mailbox:
            text.wholeMatch(of: /[^\p{Cc}<>]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+/) != nil
        case .days: Int(text).map { (1...36_500).contains($0) } ?? false
        case .words:
            text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy {
                let word = $0.trimmingCharacters(in: .whitespaces)
                return !word.isEmpty && word.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
            }
        case .pairs: pairs(text) != nil
        case .choice(let words): words.contains(text)
        }
    }

    /// What stands before the last `=` of each, and behind it; `nil` when one is no pair.
    static func pairs(_ text: String) -> [(key: String, value: String)]? {
        var pairs: [(key: String, value: String)] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let sign = part.lastIndex(of: "=") else { return nil }
            let key = part[..<sign].trimmingCharacters(in: .whitespaces)
            let value = part[part.index(after: sign)...].trimmingCharacters(in: .whitespaces)
            guard !key.isEmpty, !value.isEmpty, !value.contains(where: \.isWhitespace) else { return nil }
            pairs.append((key, value))
        }
        return pairs
    }

    private static func isMailServer(_ text: String) -> Bool {
        guard let url = URL(string: text), ["smtp", "smtps"].contains(url.scheme ?? ""), let host = url.host(),
            !host.isEmpty, url.user() == nil, url.query() == nil, url.fragment() == nil
        else { return false }
        return url.port.map { (1...65535).contains($0) } ?? true
    }

    private static func isNetwork(_ text: String) -> Bool {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var four = in_addr()
        var six = in6_addr()
        let bits: Int
        if inet_pton(AF_INET, String(parts[0]), &four) == 1 {
            bits = 32
        } else if inet_pton(AF_INET6, String(parts[0]), &six) == 1 {
            bits = 128
        } else {
            return false
        }
        return parts.count == 1 || Int(parts[1]).map { (0...bits).contains($0) } ?? false
    }

    private static func unknown(_ what: String, nearest: String?) -> String {
        "There is no \(what)." + (nearest.map { " Did you mean \($0)?" } ?? "")
    }
}

extension Configuration {
    /// `docs/configuration.md`, made from the table of settings.
    public static var reference: String {
        var out = """
            # Configuration

            Every setting can stand in the environment or, by its key, in a YAML file (`POSTERN_CONFIG`, else `./postern.yaml`
            when present). The environment wins over the file. A secret can also be read from a file of mode 0600: add `_FILE` to
            the variable or `_file` to the key. The keys can come from a command instead (`…_command`): `/bin/sh` runs it, what it
            prints on standard output is the key, and it has ten seconds. An unknown key or variable stops the start. `postern doctor`
            shows what is in force.

            `DATA` stands for the `data` directory. `postern demo` uses other defaults for `environment` (`demo`), `data`
            (`./var/demo`) and `log_origin` (`demo.postern.example/log`).

            | key | variable | default | meaning |
            |---|---|---|---|

            """
        for setting in all {
            out += "| `\(setting.key)` | `\(setting.variable)`\(setting.isSecret ? " (or `_FILE`)" : "") | "
            out += (setting.fallback.map { "`\($0)`" } ?? "") + " | \(setting.summary)"
            if case .choice(let words) = setting.kind {
                out += " One of \(words.map { "`\($0)`" }.joined(separator: ", "))."
            }
            if [.networks, .words, .pairs].contains(setting.kind) { out += " By commas." }
            out += " |\n"
        }
        return out
    }

    private static var all: [Setting] { Setting.all }
}
