import HTML
import Kernel

/// `/settings`, and what stands beside it.
enum SettingsPages {
    static let permission = "setting.view"

    /// Above every page of settings.
    static func title(_ path: String) -> Node {
        UI.title("Settings", lead: "The rules of this deployment, what it is, and what it runs with") + tabs(path)
    }

    private static func tabs(_ path: String) -> Node {
        UI.tabs(
            label: "Settings",
            [
                ("Rules", "/settings"), ("This installation", "/installation"),
                ("Configuration", "/installation/configuration"), ("Workers", "/workers"),
            ].map { UI.Tab($0.0, href: $0.1, isCurrent: $0.1 == path) })
    }

    // MARK: Rules

    static let list = Page("/settings", permission: permission, menuPath: "/settings") { call, reader in
        let settings = try PolicySettingListing.load(call.readCall, from: reader)
        let now = reader.now
        let mayChange = call.caller.permissions.contains(ChangeSetting.spec.permission)
        let columns: [Column<PolicySetting>] = [
            Column("Setting", .wide, isRowHeader: true) { setting in
                el("a", .href("/settings/\(setting.id)")) { setting.key.title } + UI.sub(setting.key.summary)
            },
            Column("Now") { setting in el("b") { setting.words } },
            Column("Shipped as", priority: 3) { setting in
                setting.value == setting.key.shipped
                    ? UI.hint("the same") : Node(setting.key.unit.words(setting.key.shipped))
            },
            Column("Goes", priority: 4) { Node($0.key.bounds) },
            Column("Changed", .number, priority: 2) { setting in
                setting.version > 1 ? UI.time(setting.updatedAt, now: now) : UI.hint("never")
            },
            Column("Change", .actions, hidesTitle: true) { setting in
                mayChange
                    ? UI.linkButton(
                        "Change…", href: "/settings/\(setting.id)/change", size: .small,
                        attributes: [.label("Change \(setting.key.title)…")])
                    : .none
            },
        ]
        let body =
            title("/settings")
            + UI.stack {
                UI.panel("Rules", id: "s-rules", hint: "changed here, followed by every server from its next request") {
                    UI.table(
                        caption: "Rules, \(settings.items.count)", columns: columns,
                        rows: settings.items.sorted { $0.key.place < $1.key.place }, density: .plain)
                }
                elsewhere(call.caller)
            }
        return PageAnswer(title: "Settings", body: body)
    }

    /// Policy that has pages of its own.
    private static func elsewhere(_ caller: Caller) -> Node {
        let places: [(String, String, String, String)] = [
            ("Roles, permissions and approval rules", "/access", "access.view", "who may do what, and who must agree"),
            ("Staff", "/staff", "staff.view", "who holds which role"),
            ("Runtime tokens", "/runtime-tokens", "runtime_token.view", "what your product talks to Postern with"),
            ("Deliveries", "/deliveries", "delivery.view", "webhooks, the staff channel and mail"),
        ].filter { caller.permissions.contains($0.2) }
        guard !places.isEmpty else { return .none }
        return UI.panel("Set elsewhere", id: "s-elsewhere") {
            UI.panelBody {
                UI.facts(places.map { place in (place.3.capitalizedFirst, el("a", .href(place.1)) { place.0 }) })
            }
        }
    }

    static let view = Page("/settings/{id}", permission: permission, menuPath: "/settings") { call, reader in
        let setting = try PolicySettingListing.find(call.path["id"] ?? "", from: reader)
        let now = reader.now
        let body =
            UI.crumbs([("Settings", "/settings")], here: setting.key.title)
            + UI.title(setting.key.title) { UI.id(setting.id, copy: "setting’s name") }
            + UI.keyFacts([
                ("Now", Node(setting.words)), ("Shipped as", Node(setting.key.unit.words(setting.key.shipped))),
                ("Goes", Node(setting.key.bounds)),
                ("Changed", setting.version > 1 ? UI.time(setting.updatedAt, now: now) : UI.hint("never")),
            ])
            + UI.actionBar(
                setting, path: "/settings/\(setting.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: setting.id, for: call.caller, from: reader))
            + UI.stack {
                el("p") { setting.key.summary }
                if call.caller.permissions.contains("audit.view") {
                    el("p") {
                        el("a", .href("/audit?action=\(ChangeSetting.spec.name)")) { "Who changed settings, and why" }
                    }
                }
            }
        return PageAnswer(title: setting.key.title, body: body)
    }

    // MARK: The installation

    static func installation(_ facts: InstallationFacts) -> Page {
        Page("/installation", permission: permission, menuPath: "/settings") { call, reader in
            let report = try InstallationReport.load(facts, from: reader)
            let body =
                title("/installation")
                + UI.stack {
                    warnings(report.warnings)
                    UI.split(.even) {
                        UI.stack {
                            program(report)
                            log(report, call.caller)
                        }
                        UI.stack {
                            channels(report, call.caller)
                            retention(report.facts.retention)
                        }
                    }
                }
            return PageAnswer(title: "This installation", body: body)
        }
    }

    /// The same checks as `postern doctor`.
    private static func warnings(_ warnings: [InstallationFacts.Finding]) -> Node {
        guard !warnings.isEmpty else {
            return UI.banner(
                .ok, "Nothing to warn of",
                "Addresses, TLS, clocks and the checkpoints file are looked at for this page; postern doctor also tries each connection."
            )
        }
        return warnings.reduce(Node.none) { all, finding in
            all + UI.banner(finding.level == .problem ? .danger : .warn, finding.about, finding.sentence)
        }
    }

    private static func program(_ report: InstallationReport) -> Node {
        UI.panel("Program and database", id: "i-program") {
            UI.panelBody {
                UI.facts([
                    ("Postern", Node(report.facts.version)), ("Environment", Node(titled(report.facts.environment))),
                    ("Console", UI.breakable(report.facts.consoleURL)),
                    ("Database", Node(report.engine)), ("Where", UI.breakable(report.facts.database)),
                    ("Size", Node(ByteText.words(report.databaseBytes))),
                    (
                        "Schema",
                        report.schema.map { schema in
                            Node("step \(schema.number), \(schema.name), applied ")
                                + UI.time(schema.appliedAt, now: report.now)
                        } ?? UI.hint("unknown")
                    ),
                ])
            }
        }
    }

    private static func log(_ report: InstallationReport, _ caller: Caller) -> Node {
        let checkpoint: Node =
            report.checkpoint.map { checkpoint in
                Node("\(Grouped.digits(checkpoint.size)) events, ") + UI.time(checkpoint.at, now: report.now)
            } ?? UI.hint("none yet")
        var facts: [(label: String, value: Node)] = [
            ("Origin", report.log.map { UI.breakable($0.origin) } ?? UI.hint("not begun yet")),
            ("In the tree", Node(report.log.map { "\(Grouped.digits($0.size)) events" } ?? "none")),
            ("Signed up to", checkpoint),
        ]
        facts += report.facts.keys.map { ($0.title, UI.breakable($0.fingerprint)) }
        return UI.panel(
            "Log and keys", id: "i-log", hint: "fingerprints, never the keys",
            actions: caller.permissions.contains("integrity.view")
                ? el("a", .class("small"), .href("/discrepancies")) { "Integrity" } : .none
        ) { UI.panelBody { UI.facts(facts) } }
    }

    private static func channels(_ report: InstallationReport, _ caller: Caller) -> Node {
        UI.panel(
            "Connections", id: "i-channels",
            actions: caller.permissions.contains("delivery.view")
                ? el("a", .class("small"), .href("/deliveries")) { "Deliveries" } : .none
        ) {
            UI.panelBody {
                UI.facts(
                    report.channels.map { (ChannelPanel.title($0.channel), ChannelPanel.mark($0)) } + [
                        (
                            "Runtime tokens",
                            caller.permissions.contains("runtime_token.view")
                                ? el("a", .href("/runtime-tokens")) { tokens(report.runtimeTokens) }
                                : Node(tokens(report.runtimeTokens))
                        )
                    ])
            }
        }
    }

    private static func tokens(_ count: Int64) -> String { count == 1 ? "1 active" : "\(Grouped.digits(count)) active" }

    private static func retention(_ periods: RetentionPeriods) -> Node {
        UI.panel("Retention", id: "i-retention", hint: "how long events are kept") {
            UI.table(
                caption: "Classes of events and how long they are kept",
                columns: [
                    Column("Class", isRowHeader: true) { (kept: RetentionClass) in UI.code(kept.rawValue) },
                    Column("Kept", .number) { kept in
                        let least = EventWords.retention(kept.rawValue)
                        guard let days = periods.days(kept), days != kept.days else { return Node(least) }
                        return el("b") { "\(Grouped.digits(days)) days" } + UI.sub("at least \(least)")
                    },
                ], rows: RetentionClass.allCases, density: .plain)
        }
    }

    // MARK: Configuration

    static func configuration(_ facts: InstallationFacts) -> Page {
        Page("/installation/configuration", permission: permission, menuPath: "/settings") { call, reader in
            let columns: [Column<InstallationFacts.Entry>] = [
                Column("Setting", .wide, isRowHeader: true) { entry in
                    el("span", .class("id")) { UI.breakable(entry.variable) } + UI.sub(UI.prose(entry.summary))
                },
                Column("Value") { entry in entry.value.map(UI.breakable) ?? UI.hint("not set") },
                Column("From", priority: 2) { entry in
                    entry.origin == "default" || entry.origin.isEmpty
                        ? UI.hint(entry.origin) : UI.breakable(entry.origin)
                },
            ]
            let body =
                title("/installation/configuration")
                + UI.stack {
                    UI.banner(
                        .info, "Set where the server starts.",
                        "Change the variable, or its key in the settings file, then start the server again. Secrets are never shown."
                    )
                    for (index, group) in facts.groups.enumerated() {
                        UI.panel(group.title, id: "c-\(index)") {
                            UI.table(caption: group.title, columns: columns, rows: group.entries, density: .plain)
                        }
                    }
                    if facts.groups.isEmpty {
                        UI.empty("Nothing is known", "This program was not started by postern serve.")
                    }
                }
            return PageAnswer(title: "Configuration", body: body)
        }
    }
}

extension String {
    /// With a capital at its start.
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
