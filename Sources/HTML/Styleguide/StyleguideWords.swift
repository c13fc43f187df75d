import Kernel

extension Styleguide {
    var wordsBody: Node {
        show("Text", "within sentences and cells") {
            UI.facts([
                ("tag", UI.tag("business")), ("hint", UI.hint("as of 14:32 UTC")), ("muted", UI.muted("quieter words")),
                ("sub", el("span") { "First line" } + UI.sub("a second, quieter line of a cell")),
                ("sub, for a column", UI.sub(insteadOfColumn: "stands where its column is dropped")),
                ("key", UI.key("⌘K")),
                ("id", UI.id(Self.id)), ("id, copied", UI.id(Self.id, copy: "tenant id")),
                ("code", UI.code("impersonation.request_consent")),
                ("coded", UI.coded(Node("Suspend tenant"), "tenant.suspend")),
                ("prose", UI.prose("Run `postern doctor` to see what is set.")),
                ("breakable", UI.breakable("https://console.example.com/settings/undo_hours")),
                ("hash", UI.hash(sha256(Array("sample".utf8)).hex)),
                ("hiddenText", UI.hiddenText("Only heard") + "Seen"),
                ("sealed", UI.sealed("erased under a request")),
            ])
        }
            + show("Money") {
                UI.facts([
                    ("an amount", UI.money(minor: 184_000, currency: "USD")),
                    ("a debt", UI.money(minor: -2_550, currency: "EUR")),
                    ("no minor units", UI.money(minor: 12_000, currency: "JPY")),
                    ("three digits", UI.money(minor: 1_234_567, currency: "KWD")),
                    ("bytes", Node(ByteText.words(3_210_000_000))), ("a number", Node(Grouped.digits(4_812_133))),
                ])
            }
            + show("People") {
                UI.facts([
                    ("person", UI.person("Ines Kovač", note: "Support L2")), ("face", UI.face("Leon Park")),
                    ("systemFace", UI.systemFace()),
                    ("actor, staff", UI.actor(kind: "staff", id: "stf_1", name: "Mira Oduya")),
                    ("actor, system", UI.actor(kind: "system", id: "bootstrap", name: nil)),
                    ("actor, assistant", UI.actor(kind: "assistant", id: "ast_1", name: "Copilot")),
                ])
            }
            + show("Time", "relative on the page, exact in its title") {
                UI.facts([
                    ("time, past", UI.time(now - .minutes(11), now: now)),
                    ("time, ahead", UI.time(now + .hours(3), now: now)),
                    ("time, long ago", UI.time(now - .days(400), now: now)),
                    ("timeWithUTC", UI.timeWithUTC(now - .minutes(2), now: now)),
                    ("clock", UI.clock(now - .minutes(2), now: now)), ("day", UI.day(now.day)),
                    ("countdown", UI.countdown(to: now + .minutes(23), now: now)),
                ])
            }
            + show("Icons", "16 px, never alone") {
                UI.row {
                    for name in Self.icons {
                        el("span", .class("tag")) {
                            UI.icon(name)
                            " \(name)"
                        }
                    }
                }
            }
    }

    /// Every symbol of the sprite.
    public static let icons = [
        "postern", "home", "approve", "ticket", "tenant", "user", "billing", "flag", "eye", "bulk", "send", "agent",
        "incident", "credit", "scale", "log", "shield", "proof", "staff", "settings", "search", "lock", "key", "clock",
        "menu", "down", "right", "left", "arrow", "x", "check", "plus", "alert", "info", "copy", "download", "print",
        "undo", "pause", "play", "stop", "mail", "hook", "more",
    ]

    var statesBody: Node {
        show("State glyphs", "the shape carries the meaning") {
            UI.row {
                for glyph in Glyph.allCases {
                    el("span", .class("tag")) {
                        UI.glyph(glyph)
                        " \(glyph.rawValue)"
                    }
                }
            }
        }
            + show("Chips and states", "the colour only repeats it") {
                UI.tightStack {
                    for tone in Tone.allCases {
                        UI.row {
                            for glyph in Glyph.allCases { UI.chip(tone.rawValue, tone, glyph) }
                            UI.chip(tone.rawValue, tone)
                            UI.state(tone.rawValue, tone, .on)
                        }
                    }
                }
            }
            + (specimens.isEmpty
                ? .none
                : show("What the consoles say") {
                    UI.facts(specimens.map { specimen in (specimen.title, UI.row { specimen.marks }) })
                })
            + show("Proof") {
                UI.row {
                    UI.proof(.sequenced(4_812_133))
                    UI.proof(.sequenced(4_812_133), href: "/styleguide/states")
                    UI.proof(.waiting)
                    UI.proof(.failed(17))
                }
            }
            + show("Banners") {
                UI.tightStack {
                    for tone in Tone.allCases {
                        UI.banner(tone, "What is so, \(tone.rawValue).", "Then what to do about it.")
                    }
                    UI.banner(
                        .warn, "With something to do.", "The button stands at the right.",
                        action: UI.linkButton("Do it", href: "/styleguide/states", size: .small))
                    UI.banner(.plain) { el("p") { "Of any content." } }
                }
            }
            + show("Toast") {
                UI.toast("Copied the tenant id. ", action: el("a", .href("/styleguide/states")) { "Undo" })
            }
            + show("Empty") {
                UI.empty(
                    "No view yet", "Filter the list of tenants, then save what you see.",
                    action: UI.linkButton("Go to the list", href: "/tenants"))
            }
            + show("Steps") {
                UI.steps(
                    label: "Steps of a job",
                    [
                        ("Cohort", "214 tenants", .done), ("Plan", "looked at item by item", .current),
                        ("Approval", "2 people", .ahead), ("Run", "in batches of 50", .ahead),
                    ])
            }
            + show("Numbers") {
                UI.tightStack {
                    UI.stats {
                        UI.stat("Changes", "1,204")
                        UI.stat("Denied", "7", note: "of 1,211")
                    }
                    UI.sparkline(
                        [2, 1, 1, 0, 0, 0, 1, 4, 8, 12, 15, 14, 10, 11, 16, 17, 13, 9], label: "Changes per hour",
                        scale: "Changes in each hour, at most 17", ends: ("18 h ago", "now"))
                    UI.meter([(.ok, 0.6), (.warn, 0.15), (.danger, 0.05), (.info, 0.1)], label: "60 % done")
                }
            }
    }

    var buttonsBody: Node {
        show("Buttons", "one primary a page") {
            UI.tightStack {
                for size in [UI.ButtonSize.small, .normal, .large] {
                    UI.row {
                        for style in [UI.ButtonStyle.plain, .primary, .danger, .warns, .quiet] {
                            UI.button("\(style.rawValue), \(size.rawValue)", style: style, size: size)
                        }
                    }
                }
                UI.row {
                    UI.button("With an icon", icon: "plus")
                    UI.button("Off", disabled: true)
                    UI.button("Off, primary", style: .primary, disabled: true)
                    UI.linkButton("A link", href: "/styleguide/buttons", icon: "download")
                }
                UI.button("As wide as its place", style: .primary, block: true)
            }
        }
            + show("Off, and why", "opened, it says who can lift it") {
                UI.row {
                    UI.offButton("Suspend", why: "a legal hold is on", detail: el("p") { "Legal can lift the hold." })
                    UI.offButton("Delete", why: "archive it first", size: .small)
                }
            }
            + show("A passkey", "there only where script runs and the browser knows passkeys") {
                el("form", Attribute("method", "post"), Attribute("action", "/styleguide/buttons")) {
                    UI.passkeyButton("Approve with passkey", options: "/step-up/options", style: .primary)
                }
            }
            + show("Small ones", "copy buttons are there only where script runs") {
                UI.row {
                    UI.iconButton("Remove the filter", icon: "x")
                    UI.copyButton(Self.id, label: "Copy the tenant id")
                    UI.copyTextButton("Copy as curl", text: "curl …")
                    UI.buttonGroup {
                        UI.linkButton("Newer", href: "/styleguide/buttons", size: .small)
                        UI.linkButton("Older", href: "/styleguide/buttons", size: .small)
                    }
                    UI.menu(Node("More")) {
                        el("a", .href("/styleguide/buttons")) { "Print the evidence" }
                        el("a", .href("/styleguide/buttons")) { "Copy the address" }
                    }
                }
            }
            + show("Action bar", "what this person may do to this thing, now") {
                UI.tightStack {
                    actionBar(["tenant.suspend", "tenant.archive", "tenant.set_note", "tenant.hard_delete"])
                    actionBar(["tenant.set_note"])
                }
            }
    }

    private func actionBar(_ permissions: [String]) -> Node {
        let caller = Caller(
            actor: Actor(.staff, "stf_1"), person: "stf_1", displayName: "Ines K.",
            permissions: Permissions(
                Dictionary(uniqueKeysWithValues: permissions.map { ($0, [Limit]?.none) })), client: .console,
            requestID: "req_1")
        let request = ApprovalRequest(
            id: "apr_01JCXRRK7QHM2V8T5E0ZB6WYND", version: 1, operation: "tenant.archive", targetType: "tenant",
            targetID: Self.id, aboutTenant: Self.id, requester: "stf_2", action: .object([:]), planDigest: "",
            demands: .array([]), eventID: Self.event, createdAt: now, expiresAt: now + .hours(3))
        return UI.actionBar(
            SampleTenant(status: "active", version: 412), path: "/tenants/\(Self.id)", catalog: catalog, caller: caller,
            now: now,
            waiting: ["tenant.archive": WaitingRequest(request, for: caller, at: now)].compactMapValues { $0 })
    }
}
