import Foundation
import HTML
import Kernel
import Testing

@testable import Consoles

@Suite struct HtmlPagesTests {
    /// With POSTERN_PAGES set to a folder, every page is also written there, to be looked at in a browser.
    @Test func `every page holds to the content policy and is small`() throws {
        let folder = ProcessInfo.processInfo.environment["POSTERN_PAGES"]
        for (name, document) in try Sample.pages() {
            let html = document.text
            #expect(!html.contains(" style="), "\(name) has an inline style")
            #expect(!html.contains("<style"), "\(name) has an inline style sheet")
            #expect(html.firstMatch(of: /<script(?![^>]* src=)/) == nil, "\(name) has an inline script")
            #expect(html.firstMatch(of: /\ on[a-z]+=/) == nil, "\(name) has an event handler")
            #expect(
                html.firstMatch(of: /(?:href|src|action)="(?:https?:|data:|javascript:|\/\/)/) == nil,
                "\(name) leads outside")
            #expect(document.byteCount < 60_000, "\(name) has \(document.byteCount) bytes")
            if let folder {
                try html.write(toFile: "\(folder)/\(name).html", atomically: true, encoding: .utf8)
            }
        }
    }

    @Test func `what waits for others is called by name`() throws {
        let page = try Sample.pages().first { $0.name == "pending" }?.document.text ?? ""
        #expect(page.contains("Suspend \(Sample.tenant.name): waiting for approval"))
    }

    @Test func `a list of requests says under each who asked, for where their column is dropped`() throws {
        let page = try Sample.pages().first { $0.name == "approvals" }?.document.text ?? ""
        #expect(page.contains("</a><span class=\"sub sub--p3\">Asked by Leon P.</span></th>"))
    }

    @Test func `every difference of a request to be signed anew is listed`() throws {
        let found = try Sample.detail()
        let differences = (0..<30).map { number -> JSON in
            ["path": .string("tenant \(number)"), "was": .int(Int64(number)), "now": .string("later \(number)")]
        }
        var request = Sample.approval().request
        request.state = .stale
        let stale = ApprovalDetail(
            entry: ApprovalEntry(request: request, requesterName: "Leon P.", targetName: Sample.tenant.name),
            event: found,
            planEvent: EventDetail(
                row: found.row, leaf: found.leaf, leafBytes: found.leafBytes, hashMatches: true,
                members: ["details": .present(["difference": .array(differences)], salt: [], matches: true)],
                linked: [], previous: nil, next: nil),
            signatures: ApprovalSignatures(of: request, all: [], standings: [:], at: Sample.now), names: [:],
            ending: nil, hasReveal: false, shift: nil)
        let page = ApprovalPages.detailBody(stale, call: Sample.call(), now: Sample.now).text
        for number in 0..<30 { #expect(page.contains("“later \(number)”"), "\(number)") }
        #expect(page.contains("And 10 more"))
    }

    @Test func `every id is unique and every reference has its element`() throws {
        for (name, document) in try Sample.pages() {
            let html = document.text
            let ids = html.matches(of: /\ id="([^"]+)"/).map { String($0.1) }
            #expect(
                Set(ids).count == ids.count,
                "\(name) repeats an id: \(ids.filter { id in ids.filter { $0 == id }.count > 1 })")
            for match in html.matches(of: /\ (?:for|aria-labelledby|aria-describedby|list)="([^"]+)"/) {
                for id in match.1.split(separator: " ") {
                    #expect(ids.contains(String(id)), "\(name) refers to #\(id), which isn't there")
                }
            }
            for match in html.matches(of: /\ href="#([^"]+)"/) where match.1 != "m" {
                #expect(ids.contains(String(match.1)), "\(name) links to #\(match.1), which isn't there")
            }
        }
    }

    @Test func `every control has a label`() throws {
        for (name, document) in try Sample.pages() {
            let html = document.text
            let labelled = Set(html.matches(of: /<label[^>]* for="([^"]+)"/).map { String($0.1) })
            for match in html.matches(of: /<(?:input|select|textarea)\b([^>]*)>/)
            where !match.1.contains("type=\"hidden\"") {
                let attributes = String(match.1)
                let id = attributes.firstMatch(of: /\ id="([^"]+)"/).map { String($0.1) }
                let wrapped = attributes.contains("type=\"checkbox\"") || attributes.contains("type=\"radio\"")
                #expect(
                    id.map(labelled.contains) ?? false || attributes.contains("aria-label=") || wrapped,
                    "\(name): <input\(attributes)> has no label")
            }
        }
    }

    @Test func `every field of every operation has a label and says what it is for`() {
        for operation in Sample.catalog.operations {
            let model = Sample.form(operation.spec.name)
            for field in model.fields {
                #expect(!field.label.isEmpty && !field.help.isEmpty, "\(operation.spec.name) \(field.name)")
                let html = field.node.text
                #expect(html.contains("<label") || html.contains("<legend"), "\(operation.spec.name) \(field.name)")
                #expect(
                    html.contains("\(field.id)-h\""), "\(operation.spec.name) \(field.name) isn't described by its help"
                )
            }
        }
    }

    @Test func `every icon that is used is in the sprite`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let sprite = try Data(contentsOf: root.appending(path: "Sources/Web/Assets/icons.svg"))
        let text = String(decoding: sprite, as: UTF8.self)
        let symbols = Set(text.matches(of: /<symbol id="([^"]+)"/).map { String($0.1) })
        for (name, document) in try Sample.pages() {
            for match in document.text.matches(of: /icons\.svg\?v=[0-9a-f]+#([a-z-]+)/) {
                #expect(symbols.contains(String(match.1)), "\(name) uses the icon \(match.1)")
            }
        }
        for item in Consoles.all.flatMap(\.menu) { #expect(symbols.contains(item.icon), "menu icon \(item.icon)") }
        #expect(
            IconSprite.version == String(sha256(sprite).hex.prefix(12)),
            "icons.svg changed: set IconSprite.version to its new fingerprint")
    }

    @Test func `the menu holds what the permissions open and marks where one is`() {
        let none = FrameModel.menu(of: Consoles.all, permissions: .none, current: "/")
        #expect(!none.flatMap(\.items).contains { $0.path == "/audit" })
        let sections = FrameModel.menu(of: Consoles.all, permissions: Sample.caller.permissions, current: "/audit")
        #expect(sections.flatMap(\.items).filter(\.isCurrent).map(\.path) == ["/audit"])
    }

    @Test func `an error summary links to its field and nothing typed is lost`() {
        let typed = "oops & <more>"
        let html = OperationViews.form(
            Sample.form(
                values: ["justification": typed, "reason_code": "abuse"],
                errors: [FieldError(pointer: "/justification", detail: "Justification is too short.")])
        ).text
        #expect(html.contains("<a href=\"#f-justification\">Justification is too short.</a>"))
        #expect(html.contains("aria-invalid=\"true\""))
        #expect(html.contains("oops &amp; &lt;more&gt;"))
        #expect(html.contains("<option value=\"abuse\" selected>"))
    }

    @Test func `the choice of a reason asks for what the operation wants to know`() {
        #expect(OperationViews.form(Sample.form("breakglass.open")).text.contains(">What the emergency is<"))
        let form = OperationViews.form(Sample.form()).text
        #expect(form.contains(">Reason<"))
        // In words: the codes are for the log and the command line.
        for reason in Sample.catalog["tenant.suspend"]!.spec.reasonCodes {
            #expect(form.contains(">\(reason.label)</option>") && !form.contains("(\(reason.code))"))
        }
    }

    @Test func `a result says what was sent, or nothing where that is not known`() {
        func result(_ sent: [Effect]?) -> String {
            let applied = Applied(
                operation: "tenant.suspend", operationID: "op_01JCXR5T0H6V9E2M7QKZBN4WYD",
                eventID: "evt_01JCXRRK7QHM2V8T5E0ZB6WYND", target: nil, before: nil, after: nil,
                consequence: "It is done.", undo: nil, reveal: [:], version: 2, created: false)
            var model = OperationResultModel(
                applied: applied, spec: Sample.catalog["tenant.suspend"]!.spec, undo: nil, target: nil,
                replayed: false, now: Sample.now)
            model.sent = sent
            return OperationViews.result(model).text
        }
        #expect(result(Sample.preview().effects).contains("Webhook tenant.suspended to the endpoints that ask for it"))
        #expect(result([]).contains("Nothing."))
        #expect(!result(nil).contains("What was queued"))
        // The operation in words, its code below.
        let code = "<span class=\"sub\"><span class=\"id\">tenant.<wbr>suspend</span></span>"
        #expect(result(nil).contains("Suspend tenant\(code)"))
        #expect(result(nil).contains("Reference") && !result(nil).contains(">Request<"))
    }

    @Test func `Enter in a field previews and never confirms`() throws {
        let html = OperationViews.form(Sample.form(preview: Sample.preview())).text
        let first = try #require(html.range(of: "type=\"submit\""))
        let element = html[first.upperBound...].prefix { $0 != ">" }
        #expect(element.contains("value=\"preview\""))
        #expect(html.contains("value=\"confirm\""))
    }

    @Test func `a confirm is offered only after a preview that allows it`() {
        #expect(!OperationViews.form(Sample.form()).text.contains("value=\"confirm\""))
        let refused = OperationViews.form(Sample.form(preview: Sample.preview(allowed: false))).text
        #expect(!refused.contains("value=\"confirm\""))
        #expect(refused.contains("If it could be done, this would happen: <b>") && !refused.contains(". This would"))
        let html = OperationViews.form(Sample.form(preview: Sample.preview())).text
        // Whether it has happened is read before the sentence that says it in the present tense.
        #expect(html.contains("Nothing has been changed yet. This would happen: <b>Acme Robotics is suspended"))
        #expect(html.contains(">Suspend Acme Robotics</button>"))
        #expect(html.contains("btn--danger"))
        let asking = OperationViews.form(Sample.form(preview: Sample.preview(approvals: [ApprovalNeed(Sample.rule)])))
            .text
        #expect(asking.contains(">Ask to suspend Acme Robotics</button>"))
    }

    @Test func `a form posts the version it shows, whatever the preview saw since`() {
        var model = Sample.form(preview: Sample.preview())
        model.version = 411
        #expect(OperationViews.form(model).text.contains("name=\"version\" value=\"411\""))
    }

    @Test func `whoever has a passkey is offered no other way to confirm what is of high risk`() {
        var model = Sample.form(preview: Sample.preview())
        model.hasPasskey = true
        model.needsCode = true
        let html = OperationViews.form(model).text
        #expect(html.contains("data-passkey") && html.contains("Suspend with passkey"))
        #expect(!html.contains(">Suspend Acme Robotics</button>") && !html.contains("name=\"code\""))
    }

    @Test func `the fingerprint of a form changes with what decides and not with proofs`() {
        let values = ["input.name": "A", "justification": "because", "csrf": "x", "code": "123456"]
        let print = OperationFormModel.fingerprint(values)
        #expect(
            OperationFormModel.fingerprint(values.merging(["code": "654321", "csrf": "y"]) { _, new in new }) == print)
        #expect(OperationFormModel.fingerprint(values.merging(["input.name": "B"]) { _, new in new }) != print)
        #expect(OperationFormModel.fingerprint(values.merging(["input.note": ""]) { _, new in new }) == print)
    }

    @Test func `the frame and what is missing call roles by their titles`() {
        let frame = Sample.frame("Home", "/", UI.title("Home")).text
        #expect(frame.contains("<small>Support L2</small>") && !frame.contains("support_l2"))
        let missing = OperationViews.absent(Sample.catalog.operations, caller: Sample.caller, on: "access_review").text
        #expect(missing.contains("with an access review") && missing.contains("You hold Security, Support L2."))
        #expect(!missing.contains("support_l2") && !missing.contains("super_admin"))
        let token = OperationViews.absent(Sample.catalog.operations, caller: Sample.caller, on: "scim_token").text
        #expect(token.contains("with a SCIM token"), "\(token)")
    }

    @Test func `an action bar leaves out what the roles never allow`() {
        let html = UI.actionBar(
            Sample.tenant, path: "/tenants/x", catalog: Sample.catalog, caller: Sample.caller, now: Sample.now
        ).text
        #expect(html.contains("href=\"/tenants/x/suspend\""))
        #expect(!html.contains("hard-delete") && !html.contains("Delete"))
        #expect(html.contains("/absent?on=tenant"))
        // Restore is held but can't be used on an active tenant: off, with the reason.
        #expect(html.contains("<details class=\"off\">") && !html.contains("href=\"/tenants/x/restore\""))
    }

    @Test func `a heading has one colon, and a client its name alone`() throws {
        func heading(_ operation: String, of name: String) throws -> String {
            OperationFormModel(
                operation: try #require(Sample.catalog[operation]),
                target: .init(id: "apr_1", name: name, path: "/", listTitle: "Approvals", listPath: "/approvals"),
                url: "", cancelURL: "/", csrf: "c", idempotencyKey: "key_1"
            ).heading
        }
        let request = "Invite staff: ada@acme.test"
        #expect(try heading("approval.approve", of: request) == "Approve “\(request)”")
        #expect(try heading("approval.cancel", of: request) == "Cancel request “\(request)”")
        #expect(try heading("approval.approve", of: "Suspend Acme") == "Approve: Suspend Acme")
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36"
        #expect(MyPage.browser(chrome) == "Chrome on Linux")
        #expect(MyPage.browser("nightly/1.0 (build 7; host)") == "nightly" && MyPage.browser("") == "Unknown client")
    }

    @Test func `an action bar leaves out what the page offers where it says why`() {
        func bar(_ elsewhere: Set<String>) -> String {
            UI.actionBar(
                Sample.tenant, path: "/tenants/x", catalog: Sample.catalog, caller: Sample.caller, now: Sample.now,
                elsewhere: elsewhere
            ).text
        }
        let html = bar(["tenant.suspend", "tenant.restore"])
        #expect(bar([]).contains("href=\"/tenants/x/suspend\"") && !html.contains("href=\"/tenants/x/suspend\""))
        // What is off says so in the bar all the same.
        #expect(html.contains("<details class=\"off\">"))
    }

    @Test func `home says what was tried and by whom, and where its curve begins`() throws {
        var model = Sample.home(
            denials: [try Sample.event(3, action: "staff.recover", outcome: "denied", part: "recovery")])
        let page = HomeView.body(model, call: Sample.call()).text
        for words in [
            "Tried to recover an account from the server", "Somebody on the server’s machine", ">24 h ago<", ">now<",
            "Changes in each hour, at most 17", "The audit log is signed up to event #4,812,130",
            "Nothing of yours waits for others",
        ] {
            #expect(page.contains(words), "\(words)")
        }
        #expect(!page.contains(">Recover an account from the server<") && !page.contains("System recovery"))
        #expect(!page.contains("drift"), "not for everybody")
        let refused = try Sample.event(
            4, action: "authz.denied", outcome: "denied", eventClass: "authz", actor: "Tomas V.")
        var missing = Sample.home(denials: [refused])
        let unknown = HomeView.body(missing, call: Sample.call()).text
        #expect(unknown.contains(">Tried what their roles don’t allow</a>") && !unknown.contains("permission missing"))
        missing.attempted = [refused.id: "tenant.suspend"]
        #expect(HomeView.body(missing, call: Sample.call()).text.contains(">Tried to suspend tenant</a>"))
        model.drift = 0
        #expect(HomeView.body(model, call: Sample.call()).text.contains("No open drift"))
        model.drift = 1000
        let drifted = HomeView.body(model, call: Sample.call()).text
        #expect(drifted.contains("at least 1,000") && drifted.contains("href=\"/drifts\""))
    }

    @Test func `a tampered member is said so on the event's page`() throws {
        let intact = AuditPages.detailBody(try Sample.detail(), undo: .absent, call: Sample.call(), now: Sample.now)
            .text
        #expect(!intact.contains("differs from"))
        // Where it stands is said in words, as above, and so are the ways on.
        let title = EventWords.title(try Sample.detail().row, catalog: Sample.catalog)
        #expect(intact.contains("aria-current=\"page\">\(title)</span>") && intact.contains("Earlier event</a>"))
        let tampered = AuditPages.detailBody(
            try Sample.detail(tampered: true), undo: .absent, call: Sample.call(), now: Sample.now
        )
        .text
        #expect(tampered.contains("What is stored differs from what the log committed to."))
        #expect(tampered.contains("differs from its fingerprint in the log"))
        // Plain words first; what an auditor calls it stands beside.
        for words in ["Kept sealed", "sealed members", " in the log</span>", "SHA-256 of the leaf"] {
            #expect(intact.contains(words), "\(words)")
        }
        #expect(!intact.contains(">Leaf<") && !intact.contains(">Commitment<"))
    }
}
