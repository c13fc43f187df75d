import Foundation
import Kernel
import TestSupport
import Testing

@testable import Web

@Suite struct StaffConsoleTests {
    /// What a form of the page would send, hidden fields included.
    private func form(_ page: Loopback.Answer, _ typed: [String: String]) -> [String: String] {
        var fields = typed
        for name in ["csrf", "author", "idempotency_key", "version", "previewed"] {
            if let value = page.field(name) { fields[name] = value }
        }
        return fields
    }

    private static let reasons = ["reason_code": "non_payment", "justification": "Three invoices are <unpaid> & late."]

    @Test func `a page without a session leads to sign-in and back`() async throws {
        try await Loopback.run { loopback in
            let page = try await loopback.send("GET", "/probe/x?tab=1")
            #expect(page.status == 303)
            #expect(page["Location"] == "/signin?next=%2Fprobe%2Fx%3Ftab%3D1")
            let signIn = try await loopback.send("GET", page["Location"] ?? "")
            #expect(signIn.status == 200)
            #expect(signIn.field("next") == "/probe/x?tab=1")
            let evil = try await loopback.send("GET", "/signin?next=//evil.example")
            #expect(evil.field("next") == nil)
        }
    }

    @Test func `signing in works without script and sets one guarded cookie`() async throws {
        try await Loopback.run { loopback in
            _ = loopback.door.token("ann", permissions: ["probe.view"])
            let start = try await loopback.send("GET", "/signin?next=/probe/x")
            let formCookie = try #require(start["Set-Cookie"]).prefix { $0 != ";" }
            let csrf = try #require(start.field("csrf"))
            var fields = ["email": "ann@example.test", "password": "right", "next": "/probe/x", "csrf": csrf]

            // Each guard alone is enough to refuse.
            let cookieless = try await loopback.post("/signin", token: nil, fields)
            #expect(cookieless.status == 403)
            #expect(cookieless.field("email") == "ann@example.test")
            let foreign = try await loopback.post(
                "/signin", token: nil, cookies: [String(formCookie)], site: "cross-site", fields)
            #expect(foreign.status == 403)
            fields["csrf"] = "forged"
            let forged = try await loopback.post("/signin", token: nil, cookies: [String(formCookie)], fields)
            #expect(forged.status == 403)
            fields["csrf"] = csrf

            let second = try await loopback.post("/signin", token: nil, cookies: [String(formCookie)], fields)
            #expect(second.status == 200)
            #expect(second.all("Set-Cookie").isEmpty)
            let challenge = try #require(second.field("challenge"))
            var code = [
                "challenge": challenge, "next": "/probe/x", "csrf": second.field("csrf") ?? "", "code": "111111",
            ]
            let wrong = try await loopback.post("/signin/code", token: nil, cookies: [String(formCookie)], code)
            #expect(wrong.status == 401)
            #expect(wrong.field("challenge") == challenge)
            code["code"] = "123456"
            let done = try await loopback.post("/signin/code", token: nil, cookies: [String(formCookie)], code)
            #expect(done.status == 303)
            #expect(done["Location"] == "/probe/x")
            let cookie = try #require(done["Set-Cookie"])
            #expect(cookie.hasPrefix("__Host-postern_staff=pst_"))
            for part in ["Path=/", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=28800"] {
                #expect(cookie.contains(part))
            }
            #expect(!cookie.contains("Domain"))

            let token = String(cookie.dropFirst("__Host-postern_staff=".count).prefix { $0 != ";" })
            let page = try await loopback.page("/probe/<b>", token: token)
            #expect(page.status == 200)
            #expect(page.text.contains("<p>&lt;b&gt;</p>"))
            let csrfOut = try #require(page.field("csrf"))
            let out = try await loopback.post("/signout", token: token, ["csrf": csrfOut])
            #expect(out.status == 303)
            #expect(out["Set-Cookie"]?.contains("Max-Age=0") == true)
            #expect(try await loopback.page("/probe/x", token: token).status == 303)
        }
    }

    @Test func `plain HTTP on an address has a cookie of another name`() {
        var configuration = WebConfiguration(staffURL: "http://127.0.0.1:8080")
        #expect(configuration.sessionCookie == "postern_staff")
        configuration.staffURL = "http://localhost:8080"
        #expect(configuration.sessionCookie == "__Host-postern_staff")
        configuration.staffURL = "https://10.0.0.1"
        #expect(configuration.sessionCookie == "__Host-postern_staff")
    }

    @Test func `every page carries the security headers`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            for page in [
                try await loopback.page("/probe/x", token: token), try await loopback.send("GET", "/signin"),
                try await loopback.page("/nowhere", token: token),
                try await loopback.page("/tenants/new", token: token),
            ] {
                let policy = try #require(page["Content-Security-Policy"])
                for part in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
                    #expect(policy.contains(part))
                }
                #expect(!policy.contains("unsafe"))
                #expect(page["X-Content-Type-Options"] == "nosniff")
                #expect(page["Referrer-Policy"] == "same-origin")
                #expect(page["Cross-Origin-Opener-Policy"] == "same-origin")
                #expect(page["Cache-Control"] == "no-store")
            }
            let missing = try await loopback.page("/nowhere", token: token)
            #expect(missing.status == 404)
            #expect(missing["Content-Type"] == "text/html; charset=utf-8")
            let weak = loopback.door.token("bob", permissions: [])
            #expect(try await loopback.page("/probe/x", token: weak).status == 403)
        }
    }

    @Test func `assets are kept for ever under their fingerprint`() async throws {
        try await Loopback.run { loopback in
            let page = try await loopback.send("GET", "/signin")
            let sheet = try #require(page.text.firstMatch(of: /href="(\/assets\/console\.css\?v=[0-9a-f]{12})"/))
            let asset = try await loopback.send("GET", String(sheet.1))
            #expect(asset.status == 200)
            #expect(asset["Cache-Control"] == "public, max-age=31536000, immutable")
            let tag = try #require(asset["ETag"])
            #expect(try await loopback.send("GET", String(sheet.1), headers: [("If-None-Match", tag)]).status == 304)
            #expect(try await loopback.send("GET", "/assets/console.css?v=old")["Cache-Control"] == "no-cache")
            #expect(try await loopback.send("GET", "/assets/secret.txt").status == 404)

            // Compressed for who takes it, each form under a tag of its own.
            #expect(asset["Content-Encoding"] == nil && asset["Vary"] == "Accept-Encoding")
            let gzip = [("Accept-Encoding", "br;q=0.5, gzip")]
            let small = try await loopback.send("GET", String(sheet.1), headers: gzip)
            #expect(small["Content-Encoding"] == "gzip" && small["Vary"] == "Accept-Encoding")
            #expect(Array(small.body.prefix(2)) == [0x1F, 0x8B])
            #expect(small.body.count * 3 < asset.body.count)
            let smallTag = try #require(small["ETag"])
            #expect(smallTag != tag)
            let kept = try await loopback.send(
                "GET", String(sheet.1), headers: gzip + [("If-None-Match", smallTag)])
            #expect(kept.status == 304)
            for refusing in ["gzip;q=0", "identity", "*;q=0"] {
                let plain = try await loopback.send("GET", String(sheet.1), headers: [("Accept-Encoding", refusing)])
                #expect(plain["Content-Encoding"] == nil && plain.body == asset.body, "\(refusing)")
            }
        }
    }

    @Test func `what a form offers for a terminal is the request it would confirm`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let url = "/tenants/\(tenant.id)/update"
            let blank = try await loopback.page(url, token: token)
            #expect(blank.text.contains("data-guard=\"\""))
            let fields = form(
                blank, ["action": "preview", "input.name": "Acme", "input.metadata": "segment: robotics\nsize: 7"])
            let preview = try await loopback.post(url, token: token, fields)
            // Leaving now would lose what was typed.
            #expect(preview.text.contains("data-guard=\"filled\""))
            let text = preview.text.replacingOccurrences(of: "&#39;", with: "'").replacingOccurrences(
                of: "&quot;", with: "\"")
            #expect(text.contains("--metadata 'segment: robotics\nsize: 7' --if-match \(tenant.version)"))
            #expect(text.contains("-H 'If-Match: \"\(tenant.version)\"'"))
            #expect(text.contains("-H 'Idempotency-Key: \"\(preview.field("idempotency_key") ?? "")\"'"))
            let sure = form(
                preview, ["action": "confirm", "input.name": "Acme", "input.metadata": "segment: robotics\nsize: 7"])
            let done = try await loopback.post(url, token: token, sure)
            let result = try await loopback.page(try #require(done["Location"]), token: token)
            let event = try #require(result.text.firstMatch(of: /\/audit\/(evt_[0-9A-Z]{26})\/undo/)).1
            let undo = try await loopback.page("/audit/\(event)/undo", token: token)
            #expect(undo.text.contains("postern undo \(event)"))
            #expect(undo.text.contains("data-guard=\"\""))
            #expect(!undo.text.contains("&quot;input&quot;"))
        }
    }

    @Test func `what may not be searched or taken back has no control`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let all = loopback.door.token("ann", permissions: loopback.allPermissions)
            let key = Identifier.mint("key", at: loopback.test.clock.clock.now)
            let done = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/suspend", token: all, key: key, StaffAPITests.suspend)
            let event = try #require(done.json["event_id"]?.string)
            let strong = try await loopback.page("/audit/\(event)", token: all)
            #expect(strong.text.contains("/audit/\(event)/undo") && strong.text.contains("action=\"/search\""))
            #expect(strong.text.contains("href=\"/tenants/\(tenant.id)\""))

            let auditor = loopback.door.token("eve", permissions: ["audit.view"])
            let weak = try await loopback.page("/audit/\(event)", token: auditor)
            #expect(weak.status == 200)
            #expect(!weak.text.contains("/undo") && !weak.text.contains("href=\"/tenants/"))
            // Ids of events are all there is to look up.
            #expect(weak.text.contains("Search events") && !weak.text.contains("Search tenants"))
            let verifier = loopback.door.token("vic", permissions: ["integrity.view", "user.view"])
            #expect(!(try await loopback.page("/", token: verifier)).text.contains("action=\"/search\""))
            #expect(try await loopback.page("/search?q=acme", token: verifier).status == 403)

            let suspender = loopback.door.token("sue", permissions: ["tenant.view", "tenant.suspend"])
            let other = try await loopback.tenant("zeta")
            let mine = try await loopback.api(
                "POST", "/tenants/\(other.id)/suspend", token: suspender, key: key, StaffAPITests.suspend)
            #expect(mine.status == 200, "\(mine.text)")
            let result = try await loopback.page("/done/\(key)", token: suspender)
            #expect(result.status == 200 && !result.text.contains("/undo"))

            // Too late: off, with the reason.
            loopback.test.clock.advance(.hours(25))
            let late = try await loopback.page(
                "/audit/\(event)", token: loopback.door.token("ann", permissions: loopback.allPermissions))
            #expect(!late.text.contains("/audit/\(event)/undo") && late.text.contains("possible until"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an operation is previewed, confirmed once and undone`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let url = "/tenants/\(tenant.id)/suspend"
            let blank = try await loopback.page(url, token: token)
            #expect(blank.status == 200)
            #expect(blank.text.contains("Tenant acme"))

            // Errors stand at their fields and what was typed is still there.
            var fields = form(blank, ["action": "preview", "reason_code": "non_payment", "justification": "short"])
            let bad = try await loopback.post(url, token: token, fields)
            #expect(bad.text.contains("must have at least 10 characters"))
            #expect(bad.text.contains(">short</textarea>"))

            fields = form(blank, Self.reasons.merging(["action": "preview"]) { _, new in new })
            let preview = try await loopback.post(url, token: token, fields)
            #expect(preview.status == 200)
            #expect(preview.text.contains("Three invoices are &lt;unpaid&gt; &amp; late."))
            #expect(preview.text.contains("is suspended"))
            #expect(try await loopback.document(tenant.id)?["status"] == "active")

            // A confirm of other fields than the previewed ones is a preview again.
            var confirm = form(preview, Self.reasons.merging(["action": "confirm"]) { _, new in new })
            let changed = try await loopback.post(
                url, token: token, confirm.merging(["reason_code": "abuse"]) { _, new in new })
            #expect(changed.status == 200)
            #expect(changed.text.contains("changed after the preview"))
            #expect(try await loopback.document(tenant.id)?["status"] == "active")

            // A double click.
            let request = confirm
            async let first = loopback.post(url, token: token, request)
            async let second = loopback.post(url, token: token, request)
            let answers = try await [first, second]
            #expect(answers.map(\.status) == [303, 303])
            #expect(answers[0]["Location"] == answers[1]["Location"])
            let document = try await loopback.document(tenant.id)
            #expect(document?["status"] == "suspended")
            #expect(document?["version"] == .int(tenant.version + 1))

            let place = try #require(answers[0]["Location"])
            let result = try await loopback.page(place, token: token)
            #expect(result.status == 200)
            let event = try #require(result.text.firstMatch(of: /\/audit\/(evt_[0-9A-Z]{26})\/undo/)).1
            let other = loopback.door.token("bob", permissions: loopback.allPermissions)
            #expect(try await loopback.page(place, token: other).status == 404)

            // The same form with another key meets the new state and says so; nothing is lost.
            confirm["idempotency_key"] = Identifier.mint("key", at: loopback.test.clock.clock.now)
            let late = try await loopback.post(url, token: token, confirm)
            #expect(late.status == 412)
            #expect(late.text.contains("Three invoices are"))

            let undo = try await loopback.page("/audit/\(event)/undo", token: token)
            #expect(undo.status == 200, "\(undo.text)")
            let back = form(
                undo,
                ["action": "preview", "reason_code": "payment_recovered", "justification": "They paid this morning."])
            let again = try await loopback.post("/audit/\(event)/undo", token: token, back)
            let sure = form(
                again,
                ["action": "confirm", "reason_code": "payment_recovered", "justification": "They paid this morning."])
            let undone = try await loopback.post("/audit/\(event)/undo", token: token, sure)
            #expect(undone.status == 303, "\(undone.text)")
            #expect(try await loopback.document(tenant.id)?["status"] == "active")
            let repeated = try await loopback.post("/audit/\(event)/undo", token: token, sure)
            #expect(repeated["Location"] == undone["Location"])
        }
    }

    @Test func `what was sent is not said where whom it told can't be looked up`() async throws {
        let inboxes = StreamsTests.Counted()
        try await Loopback.run(inboxes: inboxes) { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let url = "/tenants/\(tenant.id)/suspend"
            let blank = try await loopback.page(url, token: token)
            let preview = try await loopback.post(
                url, token: token, form(blank, Self.reasons.merging(["action": "preview"]) { _, new in new }))
            let confirm = form(preview, Self.reasons.merging(["action": "confirm"]) { _, new in new })
            let place = try #require(try await loopback.post(url, token: token, confirm)["Location"])
            #expect(try await loopback.page(place, token: token).text.contains("What was queued"))
            inboxes.state.withLock { $0.fails = true }
            let unknown = try await loopback.page(place, token: token)
            #expect(unknown.status == 200 && !unknown.text.contains("What was queued"), "\(unknown.text)")
        }
    }

    @Test func `a form needs the session's token and this site`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let url = "/tenants/\(tenant.id)/suspend"
            let blank = try await loopback.page(url, token: token)
            let preview = try await loopback.post(
                url, token: token, form(blank, Self.reasons.merging(["action": "preview"]) { _, new in new }))
            let confirm = form(preview, Self.reasons.merging(["action": "confirm"]) { _, new in new })
            for (site, origin) in [
                ("cross-site", nil), ("same-site", nil), ("none", "http://localhost:8080"), (nil, nil),
                (nil, "https://evil.example"), (nil, "null"),
            ] as [(String?, String?)] {
                let answer = try await loopback.post(url, token: token, site: site, origin: origin, confirm)
                #expect(answer.status == 403, "\(site ?? "-") \(origin ?? "-")")
            }
            let tokenless = try await loopback.post(url, token: token, confirm.filter { $0.key != "csrf" })
            #expect(tokenless.text.contains("Nothing was done"))
            #expect(try await loopback.document(tenant.id)?["status"] == "active")
            let json = try await loopback.send(
                "POST", url,
                headers: [
                    ("Cookie", "__Host-postern_staff=\(token)"), ("Sec-Fetch-Site", "same-origin"),
                    ("Content-Type", "application/json"),
                ], body: Array("{}".utf8))
            #expect(json.status == 415)
            let own = try await loopback.post(url, token: token, site: nil, origin: "http://localhost:8080", confirm)
            #expect(own.status == 303)
            #expect(try await loopback.document(tenant.id)?["status"] == "suspended")
        }
    }

    @Test func `several are carried out as they were shown, each that was`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let csrf = try #require(try await loopback.page("/tenants/new", token: token).field("csrf"))
            let ids = (0..<2).map { _ in Identifier.mint("rvi", at: loopback.test.clock.clock.now) }
            var fields = [
                "csrf": csrf, "operation": "access_review_item.keep", "id": ids.joined(separator: "\n"),
                "reason_code": "needed", "justification": "Both are on the rota of this quarter.",
            ]
            let shown = try await loopback.post("/several", token: token, fields)
            #expect(shown.status == 200 && shown.text.contains("2 of them can’t be done"))
            #expect(shown.field("seen") == nil)
            #expect(shown.text.contains("<a href=\"/access-reviews\">Access reviews</a>"))
            // One says that it was shown; the other can't have been.
            fields["action"] = "confirm"
            fields["seen"] = "\(ids[1]) 3"
            let done = try await loopback.post("/several", token: token, fields)
            #expect(done.status == 200 && done.text.contains("0 of 2 done"))
            #expect(done.text.components(separatedBy: "It could not be done when it was shown").count == 2)
            #expect(done.text.contains("There is no access_review_item \(ids[1])"))
        }
    }

    @Test func `an old factor is asked for in place`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions, factorAge: .minutes(6))
            let url = "/tenants/\(tenant.id)/suspend"
            let blank = try await loopback.page(url, token: token)
            let preview = try await loopback.post(
                url, token: token, form(blank, Self.reasons.merging(["action": "preview"]) { _, new in new }))
            #expect(preview.text.contains("name=\"code\""))
            let confirm = form(preview, Self.reasons.merging(["action": "confirm"]) { _, new in new })
            let asked = try await loopback.post(url, token: token, confirm)
            #expect(asked.status == 401)
            #expect(asked.text.contains("name=\"code\"") && asked.text.contains("Three invoices are"))
            let wrong = try await loopback.post(
                url, token: token, confirm.merging(["code": "000000"]) { _, new in new })
            #expect(wrong.status == 401)
            #expect(wrong.text.contains("did not fit"))
            let done = try await loopback.post(url, token: token, confirm.merging(["code": "654321"]) { _, new in new })
            #expect(done.status == 303, "\(done.text)")
            #expect(try await loopback.document(tenant.id)?["status"] == "suspended")
        }
    }

    @Test func `a session that ends while a form is open costs nothing that was typed`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            let url = "/tenants/\(tenant.id)/suspend"
            let blank = try await loopback.page(url, token: token)
            loopback.door.endAll()
            let lost = try await loopback.post(
                url, token: token, form(blank, Self.reasons.merging(["action": "confirm"]) { _, new in new }))
            #expect(lost.status == 401)
            let next = try #require(lost.field("next"))
            #expect(next.hasPrefix("/resume?form="))
            #expect(!next.contains("invoices"))
            let cookie = String(try #require(lost["Set-Cookie"]).prefix { $0 != ";" })
            let second = try await loopback.post(
                "/signin", token: nil, cookies: [cookie],
                ["email": "ann@example.test", "password": "right", "next": next, "csrf": lost.field("csrf") ?? ""])
            let back = try await loopback.post(
                "/signin/code", token: nil, cookies: [cookie],
                [
                    "challenge": second.field("challenge") ?? "", "code": "123456", "next": second.field("next") ?? "",
                    "csrf": second.field("csrf") ?? "",
                ])
            #expect(back.status == 200, "\(back.text)")
            #expect(back.text.contains("Three invoices are &lt;unpaid&gt; &amp; late."))
            #expect(back.text.contains("action=\"\(url)\""))
            #expect(try await loopback.document(tenant.id)?["status"] == "active")
            let fresh = String(
                try #require(back["Set-Cookie"]).dropFirst("__Host-postern_staff=".count).prefix { $0 != ";" })
            let preview = try await loopback.post(
                url, token: fresh, form(back, Self.reasons.merging(["action": "preview"]) { _, new in new }))
            let done = try await loopback.post(
                url, token: fresh, form(preview, Self.reasons.merging(["action": "confirm"]) { _, new in new }))
            #expect(done.status == 303, "\(done.text)")
        }
    }

    @Test func `a form that was kept comes back to nobody but the person who typed it`() async throws {
        try await Loopback.run { loopback in
            let tenant = try await loopback.tenant("acme")
            let token = loopback.door.token("ann", permissions: loopback.allPermissions)
            _ = loopback.door.token("bob", permissions: loopback.allPermissions)
            let url = "/tenants/\(tenant.id)/suspend"
            let blank = try await loopback.page(url, token: token)
            loopback.door.endAll()
            let typed = form(blank, Self.reasons.merging(["action": "confirm"]) { _, new in new })
            // Without a mark of whose it is, or with a forged one, it comes back to nobody.
            for author in [typed["author"], nil, "forged"] {
                var fields = typed
                fields["author"] = author
                let lost = try await loopback.post(url, token: token, fields)
                let cookie = String(try #require(lost["Set-Cookie"]).prefix { $0 != ";" })
                let second = try await loopback.post(
                    "/signin", token: nil, cookies: [cookie],
                    [
                        "email": author == "forged" ? "ann@example.test" : "bob@example.test", "password": "right",
                        "next": lost.field("next") ?? "", "csrf": lost.field("csrf") ?? "",
                    ])
                let back = try await loopback.post(
                    "/signin/code", token: nil, cookies: [cookie],
                    [
                        "challenge": second.field("challenge") ?? "", "code": "123456",
                        "next": second.field("next") ?? "", "csrf": second.field("csrf") ?? "",
                    ])
                #expect(back.status == 303)
                #expect(back["Location"] == "/")
                #expect(back["Set-Cookie"]?.contains("postern_staff=pst_") == true)
                #expect(!back.text.contains("invoices"))
            }
        }
    }

    @Test func `enrolment keeps its secret through a wrong code`() async throws {
        try await Loopback.run { loopback in
            let page = try await loopback.send("GET", "/enrol?token=enr_new")
            #expect(page.status == 200)
            let secret = try #require(page.text.firstMatch(of: /SECR ET\d+/)).0
            let cookie = String(try #require(page["Set-Cookie"]).prefix { $0 != ";" })
            var fields = [
                "token": "enr_new", "sealed_secret": page.field("sealed_secret") ?? "",
                "csrf": page.field("csrf") ?? "",
                "password": "a long enough password", "code": "000000",
            ]
            let wrong = try await loopback.post("/enrol", token: nil, cookies: [cookie], fields)
            #expect(wrong.status == 422)
            #expect(wrong.text.contains(secret))
            #expect(wrong.text.contains("does not fit"))
            fields["code"] = "123456"
            let done = try await loopback.post("/enrol", token: nil, cookies: [cookie], fields)
            #expect(done.status == 200, "\(done.text)")
            #expect(done.text.contains("<code>one</code>"))
            #expect(done["Set-Cookie"]?.hasPrefix("__Host-postern_staff=pst_new") == true)
            #expect(try await loopback.send("GET", "/enrol?token=enr_old").status == 404)
        }
    }
}
