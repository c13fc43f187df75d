import Kernel

extension Styleguide {
    private struct Row {
        let name: String
        let state: Node
        let plan: String
        let amount: Int64
        let isOpen: Bool
    }

    private var rows: [Row] {
        [
            Row(
                name: "Acme Robotics", state: UI.state("Active", .ok, .on), plan: "business", amount: 184_000,
                isOpen: false),
            Row(
                name: "Marlow Freight", state: UI.state("Suspended", .warn, .pause), plan: "team", amount: -2_550,
                isOpen: true),
            Row(
                name: "Ångström & Söhne Präzisionsinstrumente GmbH", state: UI.state("Failed", .danger, .x),
                plan: "free",
                amount: 0, isOpen: false),
        ]
    }

    private var columns: [Column<Row>] {
        [
            Column(
                "Tenant", .clip, isRowHeader: true, sort: .init(href: "/styleguide/lists?sort=name", ascending: true)
            ) { row in
                el("a", .href("/styleguide/lists")) { row.name }
            },
            Column("State", sort: .init(href: "/styleguide/lists?sort=state", ascending: nil)) { $0.state },
            Column("Plan", .tight, priority: 3) { UI.tag($0.plan) },
            Column("Balance", .number, priority: 2) { UI.money(minor: $0.amount, currency: "USD") },
        ]
    }

    var listsBody: Node {
        show("Filters and tools", "a form that sends them in the address") {
            UI.list(
                facets: UI.facets(
                    [
                        Facet(
                            "status", "Status",
                            [
                                .init("active", "Active", count: 4_812, isOn: true),
                                .init("suspended", "Suspended", count: 17, isOn: false),
                            ]),
                        Facet("plan", "Plan", [.init("team", "Team", isOn: false)]),
                    ], action: "/styleguide/lists", keep: [("sort", "name")], countedAt: "as of 14:32 UTC")
            ) {
                UI.views(
                    label: "Saved views",
                    [
                        ("All", "/styleguide/lists", 4_829, true),
                        ("Trials in Europe", "/styleguide/lists?v=1", nil, false),
                    ],
                    last: el("a", .href("/styleguide/lists?v=new")) { "Save this view…" })
                UI.tools {
                    UI.activeFilter("Status: Active", remove: "/styleguide/lists")
                    UI.filtersButton
                    UI.hint("50 of 4,812")
                }
                UI.table(
                    caption: "Tenants with a selection", columns: columns, rows: rows,
                    select: { (value: $0.name, label: $0.name) }, isOpen: \.isOpen)
                UI.pager("50 of 1,204", newer: nil, older: "/styleguide/lists?cursor=older")
            }
        }
            + show("Densities") {
                UI.tightStack {
                    UI.table(caption: "Normal", columns: columns, rows: rows, density: .normal)
                    UI.table(caption: "Plain", columns: columns, rows: Array(rows.prefix(1)), density: .plain)
                    UI.table(
                        caption: "Cards on a phone", columns: columns, rows: Array(rows.prefix(2)), density: .plain,
                        isCards: true)
                    UI.more(12, el("a", .href("/styleguide/lists?all=true")) { "Show all" })
                }
            }
            + show("Matrix") {
                UI.matrix(
                    Matrix(
                        columns: [
                            .init("Support L2", id: "support_l2", isOwn: true),
                            .init("Security", id: "security", isOwn: false),
                        ],
                        groups: [
                            (
                                "Tenants",
                                [
                                    .init(
                                        title: "Suspend a tenant", code: "tenant.suspend", risk: "high",
                                        cells: [.held, .empty]),
                                    .init(
                                        title: "Give a credit", code: "tenant.credit", risk: "high",
                                        cells: [.upTo("50.00 USD"), .empty]),
                                ]
                            )
                        ]), rowTitle: "Permission", caption: "Permissions by role")
            }
    }

    var recordsBody: Node {
        let before = SampleTenant(status: "active", version: 412).document
        let after = SampleTenant(status: "suspended", version: 413).document
        return show("Difference", "grey and tinted: a change is neither good nor bad") {
            UI.tightStack {
                UI.diff(before: before, after: after, captions: ("Now", "After"))
                UI.diff(before: before, after: after, caption: "Every field, as in the record", fields: .all)
                UI.diff(
                    [
                        .init(
                            type: "breakglass", name: nil, id: nil, before: nil,
                            after: [
                                "tenant_id": "ten_1",
                                "ends_at": .string(DocumentDiff.whenItRuns(after: .minutes(30))),
                            ])
                    ], caption: "What would change, as it is signed", fields: .planned, names: ["ten_1": "Acme"])
                UI.diff(
                    [
                        .init(
                            type: "membership", name: "of ada@acme.example as admin", id: "mem_1", before: nil,
                            after: ["role": "admin"]),
                        .init(title: "Note", before: ["note": "old"], after: ["note": "old"]),
                    ], caption: "Several things")
            }
        }
            + show("Timeline") {
                UI.timeline(
                    [
                        TimelineEntry(
                            at: now - .minutes(21), personName: "Tomas V.",
                            sentence: el("b") { "Tomas V." } + Node(" suspended Acme Robotics"),
                            detail: "Non payment, NW-4766"),
                        TimelineEntry(
                            at: now - .hours(30), personName: nil, systemIcon: "hook", sentence: Node("Imported")),
                        TimelineEntry(at: now - .days(40), personName: nil, sentence: Node("Created by your product")),
                    ], now: now)
            }
            + show("Document") {
                UI.json(["name": "Acme Robotics", "members": [1, 2, 3], "owner": nil, "settings": ["locale": "de"]])
            }
    }

    var layoutBody: Node {
        UI.crumbs([("Tenants", "/tenants"), ("Saved views", "/segments")], here: "Breadcrumb")
            + UI.title(
                "A title", lead: "with what it is about",
                trailing: UI.linkButton("Create…", href: "/styleguide/layout", style: .primary)
            ) {
                UI.chip("Active", .ok, .on)
                UI.tag("business")
            }
            + UI.keyFacts([
                ("Owner", Node("lena.f@acme.example")), ("Region", Node("us-east")),
                ("MRR", UI.money(minor: 184_000, currency: "USD")),
                ("May be long", el("span", .class("long")) { "Lena F., Mira O., Tomas V., Ruth N., Hana L." }),
            ])
            + UI.tabs(
                label: "Tabs of a thing",
                [
                    .init("Overview", href: "/styleguide/layout", isCurrent: true),
                    .init("Members", href: "/styleguide/layout?tab=members", count: 46, isCurrent: false),
                ])
            + UI.pages("50 tenants", first: "/styleguide/layout", next: "/styleguide/layout?cursor=next")
            + UI.split {
                UI.panel(
                    "A panel", id: "sg-panel", hint: "with a hint",
                    actions: el("a", .class("small"), .href("/styleguide/layout")) { "All" },
                    footer: UI.hint("and a footer")
                ) {
                    UI.panelBody {
                        UI.facts([
                            ("External id", UI.id("nwc-004417")), ("Created", UI.time(now - .days(90), now: now)),
                        ])
                    }
                }
                UI.panel("Aside", id: "sg-aside") {
                    UI.panelBody {
                        UI.facts([("Tight", Node("facts"))], tight: true)
                        UI.fold("Folded away") { el("p") { "Opens without script." } }
                        UI.fold("Open", open: true) { el("p") { "As it stands after an error." } }
                    }
                }
            }
    }
}
