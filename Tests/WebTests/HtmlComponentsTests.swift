import HTML
import Kernel
import Testing

@Suite struct HtmlComponentsTests {
    static let hostile = "\"><script>alert('x')</script>&amp;"

    @Test func `text and attributes are escaped wherever they stand`() {
        let nodes: [Node] = [
            el("p", .title(Self.hostile)) { Self.hostile },
            Node("\(Self.hostile)"),
            UI.chip(Self.hostile),
            UI.person(Self.hostile, note: Self.hostile),
            UI.id(Self.hostile, copy: Self.hostile),
            UI.button(Self.hostile, name: Self.hostile, value: Self.hostile),
            UI.json(.string(Self.hostile)),
            UI.json(.object([Self.hostile: 1])),
            UI.offButton(Self.hostile, why: Self.hostile),
            UI.field(
                Field(
                    "x", label: Self.hostile, help: Self.hostile, .prose(rows: 2), value: Self.hostile,
                    error: Self.hostile)),
            UI.field(
                Field(
                    "x", label: "a", help: "b", .select([Field.Choice(Self.hostile, Self.hostile)]), value: Self.hostile
                )),
            UI.diff(before: .object([Self.hostile: 1]), after: .object(["a": .string(Self.hostile)])),
            UI.table(
                caption: Self.hostile, columns: [Column<String>(Self.hostile) { Node($0) }], rows: [Self.hostile]),
        ]
        let html = nodes.map(\.text).joined()
        #expect(!html.contains("<script"))
        #expect(!html.contains("alert('x')"))
        #expect(html.contains("&lt;script&gt;alert(&#39;x&#39;)"))
        #expect(!html.contains("\"\">&lt;"), "a quote ended an attribute")
    }

    @Test func `what is off says so in words, and opens`() {
        let off = UI.offButton("Suspend", why: "a legal hold is on").text
        #expect(off.contains("Suspend<span class=\"vh\">, can’t be used now: </span>"))
        #expect(off.contains("<summary") && !off.contains("disabled"))
    }

    @Test(arguments: [
        "<svg viewBox=\"0 0 1 1\"><script>alert(1)</script></svg>", "<svg onload=\"alert(1)\"></svg>",
        "<svg viewBox=\"0 0 1 1\"><path d=\"M0 0\" style=\"x\"/></svg>", "<p>no picture</p>",
        "<svg viewBox=\"0 0 1 1\"></svg><img src=x>", "<svg viewBox=\"0 0 1 1\"><a href=\"/\"></a></svg>",
    ])
    func `a picture that is more than shapes is not drawn`(_ svg: String) {
        #expect(Node(picture: svg).isEmpty)
    }

    @Test func `a picture of shapes is drawn as it is`() {
        let svg =
            "<svg viewBox=\"0 0 9 9\" role=\"img\" aria-label=\"QR\"><path fill=\"#000\" d=\"M0 0h1v1h-1z\"/></svg>"
        #expect(Node(picture: svg).text == svg)
        let large = "<svg viewBox=\"0 0 9 9\"><path d=\"\(String(repeating: "M0 0h1v1h-1z", count: 2000))\"/></svg>"
        #expect(Node(picture: large).text == large)
    }

    @Test func `a difference shows changed fields only, nested ones by their path`() {
        let diff = DocumentDiff(
            before: ["status": "active", "plan": "team", "settings": ["locale": "en", "zone": "UTC"], "gone": 1],
            after: ["status": "suspended", "plan": "team", "settings": ["locale": "de", "zone": "UTC"], "new": true])
        #expect(diff.lines.map(\.path) == ["status", "gone", "new", "settings.locale"])
        #expect(diff.lines[0].before == "active" && diff.lines[0].after == "suspended")
        #expect(diff.lines[1].after == nil && diff.lines[2].before == nil)
    }

    @Test func `a difference begins with the status and ends with what is kept inside`() {
        let diff = DocumentDiff(
            before: nil,
            after: [
                "created_at": "x", "email": "x", "event_id": "x", "id": "x", "invited_by": "x", "name": "x",
                "resumes_to": "x", "secret_sha256": "x", "status": "x", "status_since": "x", "tier": "x",
                "then_resumes_to": "x",
            ])
        #expect(
            diff.lines.map(\.path) == [
                "status", "name", "email", "invited_by", "tier", "created_at", "status_since", "event_id", "id",
                "resumes_to", "secret_sha256", "then_resumes_to",
            ])
        #expect(DocumentDiff.label("resumes_to") == "Once restored")
    }

    @Test func `a difference tells null from absent, lists and empty objects apart`() {
        #expect(DocumentDiff(before: ["a": nil], after: .object([:])).lines.map(\.before) == [.null])
        #expect(DocumentDiff(before: ["a": ["x"]], after: ["a": ["x"]]).lines.isEmpty)
        #expect(DocumentDiff(before: ["a": ["x"]], after: ["a": ["x", "y"]]).lines.count == 1)
        #expect(DocumentDiff(before: ["a": .object([:])], after: ["a": ["b": 1]]).lines.map(\.path) == ["a", "a.b"])
        #expect(DocumentDiff(before: nil, after: ["a": 1, "b": 2]).lines.count == 2)
        #expect(DocumentDiff(before: ["a": 1], after: ["a": 1]).lines.isEmpty)
    }

    @Test func `a field with an error says so to everybody`() {
        let html = UI.field(
            Field("input.name", label: "Name", help: "As they write it.", .line, value: "x", error: "Name is taken.")
        ).text
        #expect(html.contains("id=\"f-input-name\""))
        #expect(html.contains("aria-invalid=\"true\""))
        #expect(html.contains("aria-describedby=\"f-input-name-e f-input-name-h\""))
        #expect(html.contains("id=\"f-input-name-e\""))
    }

    @Test func `a chosen value that is no longer offered is kept`() {
        let html = UI.field(Field("x", label: "a", help: "b", .select([.init("new", "New")]), value: "old")).text
        #expect(html.contains("<option value=\"old\" selected>old</option>"))
    }

    static let times: [(seconds: Int64, words: String)] = [
        (3, "now"), (42, "42 s ago"), (660, "11 min ago"), (18_059, "5 h ago"), (90_000, "1 day ago"),
        (259_200, "3 days ago"), (864_000, "7 Nov"), (34_560_000, "13 Oct 2025"), (-2_820, "in 47 min"),
        (28_740, "7 h ago"), (-59, "in 59 s"), (-28_740, "in 8 h"), (-28_800, "in 8 h"), (-3_541, "in 59 min"),
        (-3_570, "in 1 h"), (-82_801, "in 23 h"), (-84_600, "in 1 day"), (-86_401, "in 1 day"),
        (-129_600, "in 2 days"), (-604_799, "in 7 days"),
    ]

    @Test(arguments: times)
    func `times are said relative to the given now`(_ seconds: Int64, _ words: String) {
        let now = Instant(rfc3339: "2026-11-17T14:32:00Z")!
        #expect(TimeText.relative(now - .seconds(seconds), now: now) == words)
    }

    static let amounts: [(minor: Int64, currency: String, words: String)] = [
        (184_000, "USD", "1,840.00"), (5, "USD", "0.05"), (-9050, "USD", "−90.50"), (1840, "JPY", "1,840"),
        (1_234_567, "KWD", "1,234.567"), (Int64.min, "USD", "−92,233,720,368,547,758.08"),
    ]

    @Test(arguments: amounts)
    func `money has the digits of its currency`(_ minor: Int64, _ currency: String, _ words: String) {
        #expect(MoneyText.amount(minor: minor, currency: currency) == words)
        #expect(MoneyText.words(minor, currency) == "\(words) \(currency)")
    }

    @Test func `a request as typed into a shell can't break out of its quotes`() throws {
        let operation = try #require(Sample.catalog["tenant.create"])
        let request = OperationRequest(
            operation: "tenant.create", input: ["name": "it's; rm -rf /", "slug": "acme"], justification: "$(id) `id`")
        #expect(
            RequestText.cli(request, operation: operation)
                == "postern tenant create --name 'it'\\''s; rm -rf /' --slug acme --justification '$(id) `id`'"
        )
        let curl = RequestText.curl(request, origin: "http://127.0.0.1:8080", path: "/api/v1/tenants")
        #expect(curl.contains("it'\\''s; rm -rf /"))
    }

    @Test func `the text of an undo names the event and sends no fields`() throws {
        let operation = try #require(Sample.catalog["tenant.update"])
        let request = OperationRequest(
            operation: "tenant.update", target: "ten_1", input: ["metadata": ["a": "b"]], justification: "--why",
            ifMatch: 7, idempotencyKey: "key_1", undoes: "evt_1")
        #expect(RequestText.cli(request, operation: operation) == "postern undo evt_1 --justification=--why")
        let curl = RequestText.curl(request, origin: "http://a", path: "/api/v1/audit-events/evt_1/undo")
        #expect(!curl.contains("input") && curl.contains("If-Match: \"7\"") && curl.contains("\"key_1\""))
    }

    @Test func `each of several carries the version that is shown`() throws {
        let operation = try #require(Sample.catalog["access_review_item.keep"])
        var model = SeveralModel(
            operation: operation,
            targets: [
                .init(id: "rvi_1", name: "Ada", consequence: "Ada keeps security.", reasons: [], version: 4),
                .init(id: "rvi_2", name: "Ben", consequence: nil, reasons: ["It is gone."], version: nil),
                .init(id: "rvi_3", name: "Cy", consequence: "Cy keeps it.", reasons: ["Cy decides on it."], version: 7),
            ], back: "/", csrf: "c", author: "a", idempotencyKey: "key_1", needsCode: false)
        let html = OperationViews.several(model).text
        // The heading counts what was ticked, the button what will be done.
        #expect(html.contains("<h1>Keep 3 grants</h1>") && html.contains(">Keep 1 grant</button>"))
        #expect(html.contains("<h2>What would happen</h2><p>Nothing has been changed yet.</p>"))
        #expect(html.contains("name=\"seen\" value=\"rvi_1 4\""))
        #expect(html.contains("value=\"rvi_2\"") && !html.contains("value=\"rvi_2 "))
        // What the page says can't be done is not done either, should its reason pass.
        #expect(html.contains("value=\"rvi_3\"") && !html.contains("value=\"rvi_3 "))
        // The way back is called after what it leads to.
        #expect(html.contains("<a href=\"/\">Home</a>") && html.contains("Each is decided and recorded separately."))
        // It speaks of all of them.
        let summary = try #require(operation.spec.several).summary
        #expect(html.contains("<p>\(summary)</p>"))
        #expect(!html.contains(operation.spec.summary) && !html.contains("Whether it can be undone"))
        model.back = "/access-reviews/rev_1?state=open"
        model.listTitle = "Access reviews"
        model.listPath = "/access-reviews"
        let below = OperationViews.several(model).text
        #expect(below.contains("<a href=\"/access-reviews\">Access reviews</a>"))
        #expect(below.contains("<a href=\"/access-reviews/rev_1?state=open\">Grants</a>"))
    }

    @Test func `several at once say whether each can be undone`() throws {
        let operation = try #require(Sample.catalog["access_review_item.revoke"])
        func page(_ sentences: [String]) -> String {
            var targets = sentences.enumerated().map { index, sentence in
                SeveralModel.Target(
                    id: "rvi_\(index)", name: "Ada", consequence: "Ada has it no more.", reasons: [], version: 1,
                    reversibility: sentence)
            }
            targets.append(
                .init(
                    id: "rvi_x", name: "Ben", consequence: "Ben has it no more.", reasons: ["It is gone."], version: 1,
                    reversibility: "Never said of what can’t be done."))
            let model = SeveralModel(
                operation: operation, targets: targets, back: "/", csrf: "c", author: "a", idempotencyKey: "key_1",
                needsCode: false)
            return OperationViews.several(model).text
        }
        let same = page(["Grant it again.", "Grant it again."])
        #expect(same.contains("<h2>Whether it can be undone</h2><p>Grant it again.</p>"))
        #expect(same.ranges(of: "Grant it again.").count == 1 && !same.contains("Never said"))
        let other = page(["Grant it again.", "Can be undone for 24 hours."])
        #expect(!other.contains("Whether it can be undone") && !other.contains("Never said"))
        #expect(other.contains("Grant it again.") && other.contains("Can be undone for 24 hours."))
    }

    @Test func `what became of several is counted in the heading`() throws {
        let title = try #require(Sample.catalog["access_review_item.revoke"]).spec.title(of: 3)
        func heading(_ outcomes: [SeveralResult.Line.Outcome]) -> String {
            let lines = outcomes.map { SeveralResult.Line(name: "Ada", outcome: $0, detail: "", reference: nil) }
            return SeveralResult(title: title, lines: lines, back: "/", linksEvents: false).heading
        }
        #expect(heading([.applied, .refused, .applied]) == "Revoke 3 grants: 2 of 3 done")
        #expect(heading([.applied, .pending, .pending]) == "Revoke 3 grants: 1 of 3 done, 2 wait for approval")
        #expect(heading([.pending, .refused, .refused]) == "Revoke 3 grants: 0 of 3 done, 1 waits for approval")
        let alone = try #require(Sample.catalog["tenant.update"]).spec
        #expect(alone.several == nil && alone.title(of: 2) == alone.title)
    }

    @Test func `a thing is called by its kind once`() {
        #expect(DocumentDiff.subject("tenant", "Acme") == "Tenant Acme")
        #expect(DocumentDiff.subject("tenant", nil) == "Tenant" && DocumentDiff.subject("tenant", "") == "Tenant")
        #expect(DocumentDiff.subject("membership", "Membership of Ada as member") == "Membership of Ada as member")
        // A word that only begins like it is another one.
        #expect(DocumentDiff.subject("user", "user1@acme.test") == "User user1@acme.test")
        let opened = UI.DiffGroup(type: "breakglass", name: "Break-glass bgs_1", id: "bgs_1", before: nil, after: nil)
        #expect(opened.title == "Break-glass" && opened.id == "bgs_1")
    }

    @Test func `a difference of very many parts shows the first and counts the others`() {
        let groups = (0..<400).map { number in
            UI.DiffGroup(
                type: "membership", name: "member \(number)", id: "mem_\(number)", before: ["status": "joined"],
                after: ["status": "revoked"])
        }
        let html = UI.diff(groups, caption: "What changes", rest: el("a", .href("?all=1")) { "All" }).text
        #expect(html.contains("and 350 more") && html.contains("?all=1"))
        #expect(html.contains("member 49") && !html.contains("member 50"))
        #expect(UI.diff(groups, caption: "What changes").text.contains("member 399"))
        let json = JSON.array((0..<400).map { .int(Int64($0 + 1000)) })
        #expect(!UI.json(json, rest: el("a", .href("?all=1"))).text.contains("1050"))
        #expect(UI.json(json).text.contains("1399"))
    }

    @Test func `a difference is in words, with what the log holds in the title`() {
        let html = UI.diff(
            before: ["suspended_at": nil, "lines": [["amount": 1]]],
            after: ["suspended_at": "2026-11-17T14:31:07.418203Z", "lines": [["amount": 2]]], fields: .all
        ).text
        #expect(html.contains("title=\"suspended_at\">Suspended at</th>"))
        #expect(html.contains("<del title=\"null\">none</del>"))
        #expect(html.contains("<ins title=\"2026-11-17T14:31:07.418203Z\">17 Nov 2026, 14:31:07 UTC</ins>"))
        #expect(html.contains("Lines, 1, amount"))
    }

    @Test func `where nothing was before there is no column for it, unless two things are compared`() {
        let made = UI.DiffGroup(title: "Grant", before: nil, after: ["role": "legal", "area": "all"])
        let html = UI.diff([made], caption: "What changes", captions: ("Now", "After")).text
        #expect(html.contains("diff--made") && html.contains(">After</th>") && html.contains("colspan=\"2\""))
        #expect(!html.contains(">Now</th>") && !html.contains("absent") && !html.contains("–"))
        let compared = UI.diff(before: nil, after: ["tier": "pro"], fields: .all, showsBefore: true).text
        #expect(!compared.contains("diff--made") && compared.contains(">Before</th>") && compared.contains("absent"))
        // One line that was something keeps it for all; what is not there is seen, and heard as a word.
        let changed = UI.DiffGroup(title: "Tenant", before: ["tier": "free"], after: ["tier": "pro"])
        let both = UI.diff([made, changed], caption: "What changes", captions: ("Now", "After")).text
        #expect(!both.contains("diff--made") && both.contains(">Now</th>") && both.contains("colspan=\"3\""))
        #expect(both.contains("aria-hidden=\"true\">–</span><span class=\"vh\">absent</span>"))
        // Nothing that changes is not something new.
        #expect(UI.diff(before: ["tier": "pro"], after: ["tier": "pro"]).text.contains(">Before</th>"))
    }

    @Test func `the code of a reason stands in the record, not where a person decides`() {
        let opened = UI.DiffGroup(title: nil, before: nil, after: ["reason_code": "outage", "state": "open"])
        for fields in [UI.DiffFields.essential, .planned] {
            let html = UI.diff([opened], caption: "What changes", fields: fields).text
            #expect(html.contains(">open</ins>") && !html.contains("outage"))
        }
        #expect(UI.diff([opened], caption: "What changed", fields: .all).text.contains(">outage</ins>"))
    }

    @Test func `a difference cuts codes and addresses, and no word`() {
        let digest = String(repeating: "0af3", count: 16)
        let html = UI.diff(
            before: ["note": "Administrators handle everything with care", "digest": "none"],
            after: ["note": "Ask ada.lovelace@example.com first", "digest": .string(digest)]
        ).text
        #expect(html.contains(">Administrators handle everything with care</del>"))
        #expect(html.contains(">Ask <span class=\"cut\">ada.lovelace@example.com</span> first</ins>"))
        #expect(html.contains("<ins><span class=\"cut\">\(digest)</span></ins>"))
    }

    @Test func `a difference does not say that a list was removed where it got its first members`() {
        let html = UI.diff(before: ["limits": nil], after: ["limits": [["amount": 5000, "currency": "EUR"]]]).text
        #expect(html.contains(">Limits, EUR</th>") && html.contains(">50.00 EUR</ins>") && !html.contains("removed"))
    }

    @Test func `a difference says what a day may come to beside the limit of one action`() {
        let html = UI.diff(
            before: ["limits": [["amount": 5000, "currency": "USD", "daily": 5000]]],
            after: ["limits": [["amount": 5000, "currency": "USD"]]]
        ).text
        #expect(html.contains(">Limits, USD</th>") && html.contains(">50.00 USD (50.00 a day)</del>"))
        #expect(html.contains(">50.00 USD</ins>"))
    }

    @Test func `a difference calls whoever is known by their name`() {
        let change = UI.DiffGroup(title: nil, before: ["ended_by": nil], after: ["ended_by": "stf_1"])
        let html = UI.diff([change], caption: "What changes", names: ["stf_1": "Samir B."]).text
        #expect(html.contains("<ins title=\"stf_1\">Samir B.</ins>"))
        #expect(UI.diff([change], caption: "What changes").text.contains("<ins>stf_1</ins>"))
    }

    @Test func `a plan says whom something new is about and until when`() {
        let session = UI.DiffGroup(
            type: "breakglass", name: nil, id: nil, before: nil,
            after: [
                "tenant_id": "ten_01JCXRRK7QHM2V8T5E0ZB6WYND", "person": "stf_01JCXRRK7QHM2V8T5E0ZB6WYND",
                "event_id": "evt_01JCXRRK7QHM2V8T5E0ZB6WYND",
                "opened_at": .string(DocumentDiff.whenItRuns(after: .seconds(0))),
                "ends_at": .string(DocumentDiff.whenItRuns(after: .minutes(30))),
            ])
        let names = ["ten_01JCXRRK7QHM2V8T5E0ZB6WYND": "Acme", "stf_01JCXRRK7QHM2V8T5E0ZB6WYND": "Ann"]
        let html = UI.diff([session], caption: "What changes", fields: .planned, names: names).text
        #expect(html.contains(">Break-glass</th>") && html.contains(">Tenant</th>") && html.contains(">Acme</ins>"))
        #expect(html.contains(">Ann</ins>") && html.contains(">30 min after it runs</ins>"))
        #expect(!html.contains("evt_") && !html.contains("Opened at"))
    }

    @Test func `what begins when it runs is said of a change, and known of a new thing`() {
        let words = JSON.string(DocumentDiff.whenItRuns(after: .seconds(0)))
        let made = UI.diff(before: nil, after: ["name": "Acme", "status_since": words]).text
        #expect(made.contains(">Acme</ins>") && !made.contains("when it runs"))
        let changed = UI.diff(
            before: ["resumes_to": nil, "status_since": "2026-11-27T09:00:00.000000Z"],
            after: ["resumes_to": "active", "status_since": words]
        ).text
        #expect(changed.contains(">Status since</th>") && changed.contains("<ins>when it runs</ins>"))
        #expect(changed.contains(">Once restored</th>") && !changed.contains("Resumes"))
    }

    @Test func `a difference names the roles that are kept apart, and the record their lists`() {
        let change = UI.DiffGroup(
            title: nil, before: ["first_roles": ["billing_ops"], "second_roles": ["security", "legal"]],
            after: ["first_roles": ["billing_ops"], "second_roles": ["legal"]])
        let titles = ["role:billing_ops": "Billing operations", "role:legal": "Legal", "role:security": "Security"]
        let html = UI.diff([change], caption: "What changes", names: titles).text
        #expect(html.contains(">Kept apart</th>") && html.contains(">Billing operations and Legal</ins>"))
        #expect(html.contains(">Billing operations and Security, Billing operations and Legal</del>"))
        #expect(UI.diff([change], caption: "What changed", fields: .all).text.contains(">Other side</th>"))
    }

    @Test func `a difference calls roles by their titles where a field names them, and nowhere else`() {
        let change = UI.DiffGroup(
            title: nil, before: nil, after: ["role": "legal", "roles": ["legal", "made_up"], "area": "legal"])
        let html = UI.diff([change], caption: "What changes", names: ["role:legal": "Legal"]).text
        #expect(html.contains("<ins title=\"legal\">Legal</ins>"))
        #expect(html.contains("<ins title=\"legal, made_up\">Legal, made_up</ins>"))
        #expect(html.contains("<ins>legal</ins>"))
    }

    @Test func `what was ticked and is no longer offered stays to be seen`() {
        let field = Field(
            "f", label: "Roles", help: "", .checkboxes([Field.Choice("a", "A"), Field.Choice("b", "B")]), value: "b\nc")
        let html = UI.field(field).text
        #expect(html.contains("value=\"c\" checked") && html.contains("not offered any more"))
        #expect(html.contains("value=\"b\" checked") && !html.contains("value=\"a\" checked"))
    }

    @Test func `a difference says what a policy says in sentences, money and time by their units`() {
        let html = UI.diff(
            before: [
                "demand": ["role": ["security"]], "condition": .object([:]), "window_seconds": 86_400,
                "limits": [["amount": 5000, "currency": "USD"]],
            ],
            after: [
                "demand": ["role": ["security", "super_admin"]], "condition": ["tier": ["eq": "enterprise"]],
                "window_seconds": 5400, "cooldown_seconds": 600,
                "limits": [["amount": 700, "currency": "JPY"], ["amount": 5000, "currency": "USD"]],
            ]
        ).text
        #expect(html.contains(">Time to sign</th>") && html.contains(">1 day</del>") && html.contains(">90 min</ins>"))
        #expect(html.contains(">Waits before it runs</th>") && html.contains(">10 min</ins>"))
        #expect(html.contains(">Who must agree</th>") && html.contains(">1 person with Security or Super admin</ins>"))
        #expect(html.contains(">always</del>") && html.contains(">tier = enterprise</ins>"))
        #expect(html.contains(">Limits, JPY</th>") && html.contains(">700 JPY</ins>") && !html.contains("Limits, USD"))
    }
}
