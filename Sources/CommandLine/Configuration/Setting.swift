/// One thing an operator can set: by `POSTERN_…` in the environment, or by its key in the YAML file.
public struct Setting: Sendable {
    public enum Kind: Sendable, Equatable {
        case text, path, command, host, port, url, flag, networks, databaseURL, retention, count, smtpURL, mailbox,
            days, words, pairs
        case choice([String])

        /// What a right value looks like, after "expected".
        public var expected: String {
            switch self {
            case .text: "text"
            case .path: "a path"
            case .command: "a command for /bin/sh"
            case .host: "an address or host name to listen on, such as 127.0.0.1"
            case .port: "a port from 1 to 65535"
            case .url: "a URL such as https://console.example.com"
            case .flag: "true or false"
            case .networks: "addresses or networks by commas, such as 10.0.0.0/8, 2001:db8::/32"
            case .databaseURL: "sqlite:PATH or postgres://USER@HOST/DATABASE"
            case .retention:
                "classes and how long they are kept, never shorter than they say: access_3y=5y, operational_1y=730d"
            case .count: "a whole number from 0 to 100000"
            case .smtpURL: "smtp://HOST:587 (STARTTLS) or smtps://HOST:465, without a user name"
            case .mailbox: "an address such as Postern <postern@example.com>"
            case .days: "a whole number of days, at least 1"
            case .words: "words without spaces inside, by commas"
            case .pairs: "pairs by commas, such as Support Agents=support_l1, eng-oncall=engineering_oncall"
            case .choice(let words): "one of " + words.joined(separator: ", ")
            }
        }
    }

    /// `staff_port`
    public let key: String
    public let kind: Kind
    /// What holds when nothing is set; a place in the data directory starts with `DATA/`.
    public let fallback: String?
    /// Never shown; may also be given by a file.
    public let isSecret: Bool
    public let summary: String

    init(_ key: String, _ kind: Kind, default fallback: String? = nil, isSecret: Bool = false, _ summary: String) {
        self.key = key
        self.kind = kind
        self.fallback = fallback
        self.isSecret = isSecret
        self.summary = summary
    }

    /// `POSTERN_STAFF_PORT`
    public var variable: String { "POSTERN_" + key.uppercased() }
    /// `POSTERN_DATABASE_URL_FILE`
    public var fileVariable: String? { isSecret ? variable + "_FILE" : nil }
    /// `database_url_file`
    public var fileKey: String? { isSecret ? key + "_file" : nil }

    /// Everything that can be set. Parsing, `postern doctor` and `docs/configuration.md` read this table.
    public static let all: [Setting] = [
        Setting(
            "environment", .choice(["demo", "staging", "production"]), default: "production",
            "Which deployment this is. It colours the top bar; all but `demo` refuse the demo's keys and database."),
        Setting(
            "data", .path, default: "./var/postern",
            "Directory for keys, the checkpoints file and the embedded database. Made with mode 0700."),
        Setting(
            "database_url", .databaseURL, default: "sqlite:DATA/postern.db", isSecret: true,
            "The database `postern serve` uses. On PostgreSQL, a role that owns nothing."),
        Setting(
            "migrate_database_url", .databaseURL, isSecret: true,
            "The owner's URL, used by `postern migrate`. Without it, database_url is used. Without database_url, the server connects to the database it names, as the role that migrate made."
        ),
        Setting("staff_host", .host, default: "127.0.0.1", "Where the staff listener (console and API) listens."),
        Setting("staff_port", .port, default: "8080", "Its port."),
        Setting("auditor_host", .host, default: "127.0.0.1", "Where the auditor listener (the published log) listens."),
        Setting("auditor_port", .port, default: "8081", "Its port."),
        Setting("runtime_host", .host, default: "127.0.0.1", "Where the runtime listener (your product) connects."),
        Setting("runtime_port", .port, default: "8082", "Its port."),
        Setting("metrics_host", .host, default: "127.0.0.1", "Where Prometheus reads /metrics; keep it internal."),
        Setting("metrics_port", .port, default: "8083", "Its port."),
        Setting(
            "staff_url", .url,
            "The staff listener as browsers see it; enrolment links begin with it. Outside the demo it begins with `https://`, or with `http://localhost`. When it is not set, `localhost` and the port hold. Each realm needs a host name of its own."
        ),
        Setting("auditor_url", .url, "The auditor listener as outsiders see it."),
        Setting("runtime_url", .url, "The runtime listener as your product sees it."),
        Setting("tls_certificate", .path, "PEM file with the certificate chain; without it, run behind a proxy."),
        Setting("tls_key", .path, "PEM file with its private key."),
        Setting(
            "trusted_proxies", .networks,
            "Proxies that are believed about where a request comes from: their header is read, and nobody else's."),
        Setting(
            "trusted_proxy_header", .choice(["x-forwarded-for", "forwarded"]), default: "x-forwarded-for",
            "The header these proxies write. The other is ignored, because a proxy passes on what a client wrote there."
        ),
        Setting(
            "staff_networks", .networks,
            "If set, only these networks reach the staff listener, and staff show their tokens from nowhere else on the others. `/healthz` and `/readyz` answer everybody."
        ),
        Setting(
            "log_origin", .text, "The log's name in its checkpoints, such as console.example.com/log. Never changed."),
        Setting("log_key_file", .path, default: "DATA/keys/log.key", "The key that signs checkpoints. Mode 0600."),
        Setting("log_key_command", .command, "Prints that key, in place of a file."),
        Setting(
            "master_key_file", .path, default: "DATA/keys/master.key", "The key that seals secrets at rest. Mode 0600."),
        Setting("master_key_command", .command, "Prints that key, in place of a file."),
        Setting(
            "pepper_file", .path, default: "DATA/keys/pepper.key",
            "Secret bytes under which recovery codes are digested, and from which the keys of forms, cursors and throttling come. Mode 0600."
        ),
        Setting("pepper_command", .command, "Prints those bytes in base 64, in place of a file."),
        Setting(
            "checkpoints_file", .path, default: "DATA/checkpoints.log",
            "Every published checkpoint; proof against a rewound database. Keep it off the database's disk."),
        Setting(
            "retention", .retention,
            "Keeps classes of events longer than they say, such as `access_3y=5y, operational_1y=2y`. Used by `postern audit prune`."
        ),
        Setting(
            "sweep_minutes", .count, default: "60",
            "How often the server compares every governed row with the log and opens a case for each that differs; 0: never."
        ),
        Setting("session_ip_binding", .flag, default: "true", "Ends a session that moves to another network."),
        Setting(
            "session_ip_v4_bits", .choice(["8", "12", "16", "20", "24", "28", "32"]), default: "24",
            "How many bits of an IPv4 address are its network to that: 32 is the address itself."),
        Setting(
            "session_ip_v6_bits", .choice(["32", "40", "48", "56", "64", "128"]), default: "48",
            "The same of an IPv6 address."),
        Setting(
            "oidc_issuer", .url,
            "The identity provider through which staff sign in (OpenID Connect), exactly as its tokens name it. Without it nobody does. See docs/sso.md."
        ),
        Setting("oidc_client_id", .text, "What the provider calls this deployment."),
        Setting(
            "oidc_client_secret", .text, isSecret: true,
            "The secret with which this deployment proves it to the provider."),
        Setting(
            "oidc_name", .text,
            "What people call the provider, such as `Northwind SSO`. The host of its address, if not set."),
        Setting(
            "oidc_amr", .words, default: "mfa",
            "Words of the token's `amr` that say the provider asked for a second factor. Where it says none, a factor of Postern's own is asked for."
        ),
        Setting(
            "oidc_acr", .words,
            "Values of the token's `acr` that say so too, in order of preference. They are asked for with every sign-in."
        ),
        Setting(
            "oidc_domains", .words,
            "If set, only addresses of these domains sign in through the provider, such as `example.com`."),
        Setting(
            "oidc_required", .flag, default: "false",
            "Takes sign-ins through the provider alone: no passwords, and passkeys only beside it. While the provider is away nobody comes in until this is off."
        ),
        Setting(
            "oidc_roles_claim", .text,
            "The claim of the token that says what somebody belongs to, such as `groups`, or `realm_access.roles` within another. Without it no role comes from the provider."
        ),
        Setting(
            "oidc_roles", .pairs,
            "The roles that values of this claim stand for, as `VALUE=role`, such as `Support Agents=support_l1`. A value may stand for several roles."
        ),
        Setting(
            "oidc_ca_file", .path,
            "PEM file of the authorities to trust for the provider, in place of the system's: for one with a certificate of your own."
        ),
        Setting(
            "oidc_skew_seconds", .count, default: "60",
            "How far apart the clocks of the provider and of this server may be."),
        Setting(
            "webhook_allow_private", .flag, default: "false",
            "Lets webhooks reach private addresses and plain HTTP. For trying things out; it opens your network to whoever may create webhooks."
        ),
        Setting(
            "deliveries_kept", .days, default: "30",
            "For how many days attempts and bodies of deliveries that ended are kept. The deliveries themselves stay."),
        Setting(
            "inbox_kept", .days, default: "90", "For how many days people find in their inbox what they were told."),
        Setting(
            "slack_webhook_url", .url, isSecret: true,
            "An incoming webhook of Slack: what happens is mirrored into its channel. The address is a secret."),
        Setting(
            "slack_token", .text, isSecret: true,
            "A Slack bot's token with `chat:write`, in place of an incoming webhook."),
        Setting("slack_channel", .text, "The channel the bot posts into, by its id."),
        Setting(
            "slack_signing_secret", .text, isSecret: true,
            "The signing secret of your app in Slack: with it `/postern` commands are answered at `/slack/commands`."),
        Setting(
            "slack_names", .flag, default: "false",
            "Lets messages about requests, and answers to commands, name colleagues and customers. Leave it off where people outside your company read the channel."
        ),
        Setting("slack_api", .url, default: "https://slack.com/api", "Where Slack's methods are."),
        Setting(
            "smtp_url", .smtpURL,
            "The mail server: `smtp://` demands STARTTLS, `smtps://` speaks TLS from the first byte. Without it no mail is queued."
        ),
        Setting("smtp_user", .text, "Whom Postern signs in as at the mail server."),
        Setting("smtp_password", .text, isSecret: true, "With this password."),
        Setting(
            "smtp_ca_file", .path, "PEM file of the authorities to trust for the mail server, in place of the system's."
        ),
        Setting("mail_from", .mailbox, "The sender of mail, such as `Postern <postern@example.com>`."),
        Setting(
            "ciso_email", .mailbox,
            "Whom to tell by mail when the review of a break-glass is overdue, beside every super_admin and security."),
        Setting(
            "archive_cancelled", .flag, default: "false",
            "Archives tenants by itself once they are cancelled for 30 days. They can be restored."),
        Setting(
            "request_deletion", .flag, default: "false",
            "Asks by itself for the deletion of tenants that are archived for 90 days. Two super admins sign each; nothing is deleted without them."
        ),
        Setting(
            "drain_seconds", .count, default: "0",
            "How long a server that was told to stop goes on answering while `/readyz` says 503. With several servers behind a balancer: a little longer than the balancer takes to notice."
        ),
        Setting(
            "stop_seconds", .count, default: "10",
            "How long, after that, requests in hand may take to end. In the demo: 1."),
        Setting(
            "log_format", .choice(["text", "json"]), default: "text",
            "How the server writes its own log to standard error."),
        Setting(
            "log_level", .choice(["debug", "info", "warning", "error"]), default: "info",
            "How much the server writes there."),
    ]

    /// The same, under headings.
    public static let groups: [(title: String, keys: [String])] = [
        ("Deployment", ["environment", "data", "database_url", "migrate_database_url"]),
        (
            "Listeners",
            [
                "staff_host", "staff_port", "auditor_host", "auditor_port", "runtime_host", "runtime_port",
                "metrics_host", "metrics_port", "staff_url", "auditor_url", "runtime_url", "tls_certificate", "tls_key",
                "trusted_proxies", "trusted_proxy_header", "staff_networks", "session_ip_binding",
                "session_ip_v4_bits", "session_ip_v6_bits",
            ]
        ),
        (
            "Single sign-on",
            [
                "oidc_issuer", "oidc_client_id", "oidc_client_secret", "oidc_name", "oidc_amr", "oidc_acr",
                "oidc_domains", "oidc_required", "oidc_roles_claim", "oidc_roles", "oidc_ca_file", "oidc_skew_seconds",
            ]
        ),
        (
            "Log and keys",
            [
                "log_origin", "log_key_file", "log_key_command", "master_key_file", "master_key_command", "pepper_file",
                "pepper_command", "checkpoints_file", "retention", "sweep_minutes",
            ]
        ),
        (
            "Deliveries, inboxes, staff channel and mail",
            [
                "webhook_allow_private", "deliveries_kept", "inbox_kept", "slack_webhook_url", "slack_token",
                "slack_channel", "slack_signing_secret", "slack_names", "slack_api", "smtp_url", "smtp_user",
                "smtp_password", "smtp_ca_file", "mail_from", "ciso_email",
            ]
        ),
        ("Automation", ["archive_cancelled", "request_deletion"]),
        ("The server’s own log", ["log_format", "log_level"]),
    ]

    public static let byKey = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })

    /// Variables that are not settings of the server: the config file's place, the client's, and the tests'.
    static let otherVariables: Set<String> = [
        "POSTERN_CONFIG", "POSTERN_URL", "POSTERN_TOKEN", "POSTERN_TEST_POSTGRES",
    ]
}
