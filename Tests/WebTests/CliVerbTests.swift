import Foundation
import HTML
import Kernel
import TestSupport
import Testing

@testable import CommandLine

@Suite struct CliVerbTests {
    private static let tenant = "ten_01JD0000000000000000000000"
    private static let why = ["--reason-code", "non_payment", "--justification", "Three invoices unpaid"]
    private static let preview: JSON = [
        "preview": true, "allowed": true, "reasons": [], "consequence": "Acme is suspended.",
        "before": ["status": "active", "slug": "acme"], "after": ["status": "suspended", "slug": "acme"], "effects": [],
        "approvals": [], "reversibility": "Can be undone for 24 hours.",
    ]
    private static let applied: JSON = [
        "operation": "tenant.suspend", "event_id": "evt_1", "consequence": "Acme is suspended.",
        "undo": ["operation": "tenant.restore", "until": "2026-11-18T09:00:00.000000Z"],
    ]

    private func suspend(_ stage: CliStage, _ more: String...) async -> CommandStatus {
        await PosternCommand.run(["tenant", "suspend", Self.tenant] + Self.why + more, in: stage.invocation())
    }

    @Test func `an operation is sent with its fields, its reason and a key of its own`() async {
        let stage = CliStage([.init(body: Self.applied)])
        #expect(await suspend(stage, "--yes", "--ticket", "BIL-1") == .done)
        let sent = stage.sent
        #expect(sent.map(\.path) == ["/api/v1/tenants/\(Self.tenant)/suspend"])
        #expect(
            sent.first?.body == [
                "input": [:], "reason_code": "non_payment", "justification": "Three invoices unpaid", "ticket": "BIL-1",
            ])
        #expect(sent.first?.headers["Authorization"] == "Bearer pst_test")
        #expect(sent.first?.headers["Idempotency-Key"]?.count ?? 0 > 20)
        #expect(stage.out.contains("postern undo evt_1"))
    }

    @Test func `without a terminal and without --yes nothing is sent`() async {
        let stage = CliStage()
        #expect(await suspend(stage) == .usage)
        #expect(stage.sent.isEmpty)
        #expect(stage.error.contains("--yes"))
    }

    @Test func `a dry run previews and sends nothing else`() async {
        let stage = CliStage([.init(body: Self.preview)])
        #expect(await suspend(stage, "--dry-run") == .done)
        #expect(stage.sent.map(\.path) == ["/api/v1/tenants/\(Self.tenant)/suspend?dry_run=true"])
        #expect(stage.sent.first?.headers["Idempotency-Key"] == nil)
        #expect(stage.out.contains("active → suspended"))
        #expect(
            stage.out.hasPrefix("Nothing has been changed yet. This would happen:\nAcme is suspended."),
            "\(stage.out)")
    }

    @Test func `what can't be done now is not told as if it came`() async {
        var preview = Self.preview.object ?? [:]
        preview["allowed"] = false
        preview["reasons"] = ["A legal hold stands."]
        let stage = CliStage([.init(body: .object(preview))])
        #expect(await suspend(stage, "--dry-run") == .refused)
        #expect(
            stage.out.hasPrefix("If it could be done, this would happen:\nAcme is suspended.")
                && stage.out.contains("Not possible now:\n  A legal hold stands."), "\(stage.out)")
    }

    @Test func `on a terminal the preview is shown and the answer no stops it`() async {
        let stage = CliStage([.init(body: Self.preview)], typed: ["n"], isInteractive: true)
        #expect(await suspend(stage) == .refused)
        #expect(stage.sent.count == 1)
    }

    @Test func `on a terminal the answer yes carries it out`() async {
        let stage = CliStage([.init(body: Self.preview), .init(body: Self.applied)], typed: ["y"], isInteractive: true)
        #expect(await suspend(stage) == .done)
        #expect(stage.sent.count == 2)
    }

    @Test func `what is confirmed is the version that was previewed`() async {
        let seen = CliStage.Answer(headers: ["etag": "\"7\""], body: Self.preview)
        let stage = CliStage([seen, .init(body: Self.applied)], typed: ["y"], isInteractive: true)
        #expect(await suspend(stage) == .done)
        #expect(stage.sent.map { $0.headers["If-Match"] } == [nil, "\"7\""])
        // The version somebody names is the one they mean, from the preview on.
        let named = CliStage([seen, .init(body: Self.applied)], typed: ["y"], isInteractive: true)
        #expect(await suspend(named, "--if-match", "5") == .done)
        #expect(named.sent.map { $0.headers["If-Match"] } == ["\"5\"", "\"5\""])
        let undo = CliStage([seen, .init(body: Self.applied)], typed: ["y"], isInteractive: true)
        #expect(await undo.run("undo", "evt_1") == .done)
        #expect(undo.sent.map { $0.headers["If-Match"] } == [nil, "\"7\""])
        // Nothing was seen, so any version is meant.
        let script = CliStage([.init(body: Self.applied)])
        #expect(await suspend(script, "--yes") == .done)
        #expect(script.sent.map { $0.headers["If-Match"] } == [nil])
    }

    @Test func `a key of one's own tells the version it stands for`() async {
        let seen = CliStage.Answer(headers: ["etag": "\"7\""], body: Self.preview)
        let words = "Version 7 (repeat with --yes --if-match 7)"
        let stage = CliStage([seen, .init(body: Self.applied)], typed: ["y"], isInteractive: true)
        #expect(await suspend(stage, "--idempotency-key", "k-1") == .done)
        #expect(stage.error.contains(words) && !stage.out.contains("Version 7"), "\(stage.error)")
        // The repeat is the same request.
        let again = CliStage([.init(headers: ["idempotency-replayed": "true"], body: Self.applied)])
        #expect(await suspend(again, "--idempotency-key", "k-1", "--yes", "--if-match", "7") == .done)
        for header in ["If-Match", "Idempotency-Key"] {
            #expect(again.sent.last?.headers[header] == stage.sent.last?.headers[header], "\(header)")
        }
        #expect(again.sent.last?.body == stage.sent.last?.body && !again.error.contains("repeat with"))
        let undo = CliStage([seen, .init(body: Self.applied)], typed: ["y"], isInteractive: true)
        #expect(await undo.run("undo", "evt_1", "--idempotency-key", "k-2") == .done)
        #expect(undo.error.contains(words))
        let undone = CliStage([.init(body: Self.applied)])
        #expect(await undone.run("undo", "evt_1", "--idempotency-key", "k-2", "--yes", "--if-match", "7") == .done)
        #expect(undone.sent.map { $0.headers["If-Match"] } == ["\"7\""])
        // Where no version is meant, or the key is the command's own, there is nothing to tell.
        let script = CliStage([.init(body: Self.applied)])
        #expect(await suspend(script, "--yes", "--idempotency-key", "k-3") == .done)
        let own = CliStage([seen, .init(body: Self.applied)], typed: ["y"], isInteractive: true)
        #expect(await suspend(own) == .done)
        #expect(!script.error.contains("Version") && !own.error.contains("Version"))
    }

    @Test func `what changed since the preview is not done`() async {
        let changed = CliStage.Answer(status: 412, body: ["detail": "Its version is 8 now."])
        let stage = CliStage(
            [.init(headers: ["etag": "\"7\""], body: Self.preview), changed], typed: ["y"], isInteractive: true)
        #expect(await suspend(stage) == .preconditionFailed)
        #expect(stage.error.contains("changed since the preview") && stage.error.contains("Look again"))
        // A version that was gone before anything was shown is the server's to tell.
        let late = CliStage([changed], typed: ["y"], isInteractive: true)
        #expect(await suspend(late, "--if-match", "5") == .preconditionFailed)
        #expect(late.sent.count == 1 && late.error.contains("Its version is 8 now."))
    }

    @Test func `a destructive operation is confirmed by typing the slug`() async {
        let hardDelete = [
            "tenant", "hard-delete", Self.tenant, "--reason-code", "retention_policy", "--justification",
            "Kept for long enough",
        ]
        let wrong = CliStage([.init(body: Self.preview)], typed: ["y"], isInteractive: true)
        #expect(await PosternCommand.run(hardDelete, in: wrong.invocation()) == .refused)
        let right = CliStage(
            [.init(body: Self.preview), .init(status: 202, body: ["approval_id": "apr_1", "demands": []])],
            typed: ["acme"], isInteractive: true)
        #expect(await PosternCommand.run(hardDelete, in: right.invocation()) == .waiting)
        #expect(right.out.contains("apr_1"))
    }

    private static func hit(_ slug: String, _ externalID: String, id: String = Self.tenant) -> JSON {
        [
            "type": "tenant", "id": .string(id), "external_id": .string(externalID), "name": "Acme",
            "slug": .string(slug), "status": "active", "matched": "as the server says",
        ]
    }

    @Test(arguments: ["acme-robotics", "ACME-Robotics", "crm-17"])
    func `a customer is named by a whole slug or external id`(text: String) async {
        let found = CliStage.Answer(body: ["items": [Self.hit("acme-robotics", "crm-17")]])
        let stage = CliStage([found, .init(body: Self.applied)])
        let words = ["tenant", "suspend", text] + Self.why + ["--yes"]
        #expect(await PosternCommand.run(words, in: stage.invocation()) == .done)
        #expect(stage.sent.map(\.path).last == "/api/v1/tenants/\(Self.tenant)/suspend")
    }

    @Test(arguments: ["acm", "Acme", "ada@acme.test", "crm-1", "CRM-17", "acme-robotcs"])
    func `what is not named whole is offered and never taken`(text: String) async {
        let person: JSON = ["type": "user", "id": "usr_1", "external_id": "acm", "email": "ada@acme.test"]
        let found = CliStage.Answer(body: ["items": [person, Self.hit("acme-robotics", "crm-17")]])
        let stage = CliStage([found])
        let words = ["tenant", "suspend", text] + Self.why + ["--yes"]
        #expect(await PosternCommand.run(words, in: stage.invocation()) == .notFound)
        #expect(stage.sent.count == 1 && stage.error.contains("Did you mean acme-robotics?"), "\(stage.error)")
    }

    @Test func `a slug that is the external id of another has to be said by its id`() async {
        let other = "ten_01JD0000000000000000000001"
        let found = CliStage.Answer(body: ["items": [Self.hit("acme", "1"), Self.hit("zeta", "acme", id: other)]])
        let stage = CliStage([found])
        let words = ["tenant", "suspend", "acme"] + Self.why + ["--yes"]
        #expect(await PosternCommand.run(words, in: stage.invocation()) == .usage)
        #expect(stage.sent.count == 1 && stage.error.contains(other), "\(stage.error)")
    }

    private static let request: JSON = [
        "id": "apr_1", "version": 3, "operation": "staff.invite", "state": "pending", "concerns": "nadia@acme.test",
        "requester": "stf_1", "requester_name": "Ada", "consequence": "Nadia can enrol.", "matches_action": true,
        "justification": "Joins support\nnext month.", "input": ["email": "nadia@acme.test", "roles": ["support_l1"]],
        "plan": [
            "changes": [["type": "staff", "id": "stf_2", "after": ["email": "nadia@acme.test", "status": "invited"]]],
            "effects": [["kind": "mail", "name": "mail.invitation", "payload": ["to": "stf_2"]]],
        ],
        "action": ["operation": "staff.invite"], "plan_digest": "abc", "still_needed": "1 person with Super admin",
        "demands": [["sentence": "1 person with Super admin", "summary": "An invitation"]], "signatures": [],
        "round": 1,
    ]

    @Test func `whoever decides reads the request in full, and decides on the version that was read`() async {
        let preview: JSON = ["preview": true, "allowed": true, "reasons": [], "consequence": "The last signature."]
        let stage = CliStage(
            [
                .init(headers: ["etag": "\"3\""], body: Self.request), .init(body: preview),
                .init(body: ["event_id": "evt_1"]),
            ],
            typed: ["y"], isInteractive: true)
        #expect(await stage.run("approval", "approve", "apr_1") == .done)
        let sent = stage.sent
        #expect(sent.map(\.method) == ["GET", "POST", "POST"])
        #expect(sent.dropFirst().allSatisfy { $0.headers["If-Match"] == "\"3\"" })
        for part in [
            "Invite staff: nadia@acme.test", "Nadia can enrol.", "Joins support", "next month.", "support_l1",
            "invited", "mail.invitation", "stf_2", "1 person with Super admin: An invitation",
            "The frozen action, in full:", "abc",
            "match the commitments", "Nothing has been changed yet. When it is carried out:\nNadia can enrol.",
            "Nothing has been changed yet. This would happen:\nThe last signature.",
        ] {
            #expect(stage.out.contains(part), "\(part) is missing in: \(stage.out)")
        }
    }

    @Test func `what is made anew is told as that, and of what was done what was recorded`() async {
        var request = Self.request.object ?? [:]
        request["plan"] = [
            "changes": [
                [
                    "type": "staff", "id": "stf_2",
                    "after": ["id": "stf_2", "email": "nadia@acme.test", "ends_at": "2026-11-17T14:32:00.000000Z"],
                ]
            ],
            "effects": [["kind": "mail", "name": "mail.invitation", "payload": ["to": "stf_2"]]],
        ]
        request["anew"] = [
            "consequence": false,
            "values": [
                ["in": "changes", "at": [0], "path": "/id"], ["in": "changes", "at": [0], "path": "/after/id"],
                ["in": "changes", "at": [0], "path": "/after/ends_at", "after_seconds": 1800],
                ["in": "effects", "at": [0], "path": "/payload/to"],
            ],
        ]
        request["reversibility"] = "Can be undone for 24 hours, by Revoke role."
        request["reveals"] = ["enrolment_link"]
        request["sent"] = [["kind": "inbox", "name": "inbox.notice", "summary": "A notice in the inbox of Ada"]]
        let waiting = CliStage([.init(body: .object(request))])
        #expect(await waiting.run("approval", "show", "apr_1") == .done)
        for part in [
            "new staff:", "nadia@acme.test", "ends_at  30 min after it runs", "Can be undone for 24 hours",
            "only to whoever asked: enrolment link.", "What would be sent:",
            "A notice in the inbox of Ada", "see --json",
        ] {
            #expect(waiting.out.contains(part), "\(part) is missing in: \(waiting.out)")
        }
        #expect(!waiting.out.contains("stf_2") && !waiting.out.contains("14:32"), "\(waiting.out)")

        request["state"] = "executed"
        request["changes"] = [["type": "staff", "id": "stf_9", "after": ["email": "nadia@acme.test"]]]
        let done = CliStage([.init(body: .object(request))])
        #expect(await done.run("approval", "show", "apr_1") == .done)
        #expect(done.out.contains("staff stf_9:") && !done.out.contains("after it runs"), "\(done.out)")
        #expect(done.out.contains("It was carried out:\nNadia can enrol.") && done.out.contains("What was sent:"))
        let sent = request["sent"]
        request["sent"] = JSON.null
        let old = CliStage([.init(body: .object(request))])
        #expect(await old.run("approval", "show", "apr_1") == .done)
        #expect(old.out.contains("What was sent:\n  Not known any more."), "\(old.out)")
        request["sent"] = sent
        request["state"] = "rejected"
        let never = CliStage([.init(body: .object(request))])
        #expect(await never.run("approval", "show", "apr_1") == .done)
        #expect(never.out.contains("This did not happen:\nNadia can enrol."), "\(never.out)")
        #expect(never.out.contains("What would have been sent:") && !never.out.contains("Nothing has been changed yet"))
        request["state"] = "pending"
        request["is_overdue"] = true
        let overdue = CliStage([.init(body: .object(request))])
        #expect(await overdue.run("approval", "show", "apr_1") == .done)
        #expect(overdue.out.contains("This did not happen:\nNadia can enrol."), "\(overdue.out)")
        #expect(overdue.out.contains("  expired") && !overdue.out.contains("  pending"), "\(overdue.out)")
        #expect(!overdue.out.contains("Can be undone for 24 hours"))
    }

    @Test func `whoever is not asked says which version they read`() async {
        for verb in ["approve", "reject"] {
            let why = verb == "reject" ? ["--justification", "It is not what was agreed."] : []
            let bare = CliStage()
            #expect(
                await PosternCommand.run(["approval", verb, "apr_1", "--yes"] + why, in: bare.invocation()) == .usage)
            #expect(bare.sent.isEmpty && bare.error.contains("Say which version you read: --if-match"), "\(bare.error)")
            let read = CliStage([.init(body: ["event_id": "evt_1"])])
            let words = ["approval", verb, "apr_1", "--yes", "--if-match", "3"] + why
            #expect(await PosternCommand.run(words, in: read.invocation()) == .done)
            #expect(read.sent.map { $0.headers["If-Match"] } == ["\"3\""])
        }
        let stage = CliStage([.init(body: Self.request)])
        #expect(await stage.run("approval", "show", "apr_1") == .done)
        #expect(stage.out.contains("\nVersion"), "\(stage.out)")
    }

    @Test func `a request whose values are not those it was frozen with says so`() async {
        var request = Self.request.object ?? [:]
        request["matches_action"] = false
        let stage = CliStage([.init(body: .object(request))])
        #expect(await stage.run("approval", "show", "apr_1") == .done)
        #expect(stage.out.contains("don't rely on them") && !stage.out.contains("match the commitments"))
    }

    @Test func `what is shown once is fetched only where it is seen`() async {
        let elsewhere = CliStage()
        #expect(await elsewhere.run("approval", "reveal", "apr_1") == .usage)
        #expect(elsewhere.sent.isEmpty)
        let stage = CliStage([.init(body: ["reveal": ["enrolment_link": "https://postern.test/enrol"]])], width: 40)
        #expect(await stage.run("approval", "reveal", "apr_1") == .done)
        #expect(stage.sent.map(\.path) == ["/api/v1/approvals/apr_1/reveal"])
        #expect(stage.out == "enrolment link: https://postern.test/enrol\n" && stage.error.contains("once"))
    }

    @Test(arguments: [["approvals"], ["approval", "list"]])
    func `requests are listed by what they are about`(words: [String]) async {
        let stage = CliStage([.init(body: ["items": [Self.request], "next_cursor": "more"])])
        #expect(await PosternCommand.run(words + ["--view", "mine"], in: stage.invocation()) == .done)
        #expect(stage.sent.map(\.path) == ["/api/v1/approvals?view=mine&limit=50"])
        #expect(stage.out.contains("Invite staff: nadia@acme.test") && stage.error.contains("--cursor more"))
    }

    private static let lists = [
        "delivery", "webhook", "drift", "segment", "runtime-token", "setting", "discrepancy", "service-account",
        "scim-token",
    ]

    @Test(arguments: lists)
    func `a noun without a command of its own is listed and shown`(noun: String) async throws {
        let reads = ReadVerb.all(of: noun, in: CliStage.catalog)
        #expect(reads.map(\.verb) == ["list", "show"])
        let list = try #require(reads.first)
        let columns = list.shown
        // A column that the API never answers would be empty for ever.
        for name in columns { #expect(list.read.schema["properties"]?[name] != nil, "\(noun) \(name)") }
        #expect(columns.first == "id" && columns.count > 2)

        let item = JSON.object(Dictionary(uniqueKeysWithValues: columns.map { ($0, JSON.string("the \($0)")) }))
        let stage = CliStage([.init(body: ["items": [item], "next_cursor": "more"])])
        #expect(await stage.run(noun, "list", "--limit", "7", "--cursor", "c1") == .done)
        #expect(stage.sent.map(\.path) == ["/api/v1\(list.read.path)?limit=7&cursor=c1"])
        #expect(stage.out.contains("the id") && stage.error == "More: --cursor more\n")
        let empty = CliStage([.init(body: ["items": [], "next_cursor": nil])])
        #expect(await empty.run(noun, "list") == .done)
        #expect(empty.out.isEmpty && empty.error.hasPrefix("There are no such "), "\(empty.error)")

        let one = CliStage([.init(body: ["id": "x_1", "state": "open"])])
        #expect(await one.run(noun, "show", "a b") == .done)
        #expect(one.sent.map(\.path) == ["/api/v1\(list.read.path)/a%20b"])
        #expect(one.out == "id     x_1\nstate  open\n")
        for words in [[noun, "list", "--help"], ["help", noun, "show"]] {
            let helped = CliStage()
            #expect(await PosternCommand.run(words, in: helped.invocation()) == .done)
            #expect(helped.sent.isEmpty && helped.out.contains("USAGE: postern \(noun)"), "\(helped.out)")
        }
    }

    @Test func `a list is narrowed by what the API's list takes, and a wrong word is refused before it is sent`() async
    {
        let stage = CliStage([.init(body: ["items": [["id": "dlv_1"]], "next_cursor": nil])])
        #expect(
            await stage.run("delivery", "list", "--state=dead", "--tenant", "acme", "--webhook", "slack", "--json")
                == .done)
        #expect(stage.sent.map(\.path) == ["/api/v1/deliveries?state=dead&webhook=slack&tenant=acme&limit=50"])
        #expect((try? JSON(parsing: stage.out))?["items"]?.array?.count == 1)
        let wrong = CliStage()
        #expect(
            await wrong.run("delivery", "list", "--state", "lost", "--limit", "900", "--tennant", "acme", "more")
                == .usage)
        #expect(wrong.sent.isEmpty)
        for words in [
            "--state must be one of pending, dead,", "--limit must be from 1 to 200", "Did you mean --tenant?",
            "\"more\" is one argument too many",
        ] {
            #expect(wrong.error.contains(words), "\(wrong.error)")
        }
        let nothing = CliStage()
        #expect(await nothing.run("delivery", "show") == .usage)
        #expect(nothing.error.contains("Say which delivery"))
        let near = CliStage()
        #expect(await near.run("delivery", "lst") == .usage)
        #expect(near.error.contains("Did you mean list?"))
    }

    @Test func `the attempts of a delivery stand below it`() async {
        let attempts: JSON = [
            ["number": 2, "at": "2026-11-26T09:00:20Z", "http_status": 500],
            ["number": 1, "at": "2026-11-26T09:00:00Z"],
        ]
        let stage = CliStage([.init(body: ["id": "dlv_1", "attempts": attempts])])
        #expect(await stage.run("delivery", "show", "dlv_1") == .done)
        #expect(
            stage.out == """
                id  dlv_1

                ATTEMPTS
                NUMBER  AT                    HTTP STATUS
                2       2026-11-26T09:00:20Z  500
                1       2026-11-26T09:00:00Z

                """)
    }

    @Test func `the matrix says which roles hold a permission, and up to what`() async {
        let matrix: JSON = [
            "permissions": [
                [
                    "code": "tenant.credit", "risk": "high", "area": "Money",
                    "held_by": [
                        ["role": "super_admin", "limits": nil],
                        ["role": "support_l2", "limits": [["currency": "USD", "amount": 5000, "daily": 9000]]],
                    ],
                ]
            ]
        ]
        let stage = CliStage([.init(body: matrix)])
        #expect(await stage.run("policy", "matrix") == .done)
        #expect(
            stage.out
                == "Money\n  tenant.credit  high      super_admin, support_l2 up to 50.00 USD (90.00 a day)\n")
    }

    @Test func `a step-up is answered with --code and the same request with the same key`() async {
        let challenge = CliStage.Answer(
            status: 401,
            headers: ["www-authenticate": "Bearer error=\"insufficient_user_authentication\", max_age=300"])
        let stage = CliStage([challenge, .init(status: 204), .init(body: Self.applied)])
        #expect(await suspend(stage, "--yes", "--code", "123456") == .done)
        let sent = stage.sent
        #expect(sent.map(\.path).dropFirst().first == "/api/v1/sessions/step-up")
        #expect(sent.count == 3 && sent[0].headers["Idempotency-Key"] == sent[2].headers["Idempotency-Key"])
    }

    @Test func `a list of users says how many tenants it leaves out`() async {
        let places: JSON = [["id": "ten_1", "name": "Acme"], ["id": "ten_2", "name": "Zeta"]]
        let users: JSON = [
            ["id": "usr_1", "email": "a@x.test", "tenants": places, "tenant_count": 25],
            ["id": "usr_2", "email": "b@x.test", "tenants": places, "tenant_count": 2],
        ]
        let stage = CliStage([.init(body: ["items": users, "next_cursor": .null])])
        #expect(await stage.run("user", "list") == .done)
        #expect(stage.out.contains("Acme, Zeta and 23 more") && stage.out.components(separatedBy: " more").count == 2)
    }

    @Test func `what takes data away asks for the factor too`() async {
        let challenge = CliStage.Answer(
            status: 401, headers: ["www-authenticate": "Bearer error=\"insufficient_user_authentication\""])
        let given = CliStage([challenge, .init(status: 204), .init()])
        #expect(await given.run("user", "list", "--csv", "-", "--code", "123456") == .done)
        #expect(given.sent.map(\.path) == ["/api/v1/users/export", "/api/v1/sessions/step-up", "/api/v1/users/export"])
        let typed = CliStage([challenge, .init(status: 204), .init()], typed: ["123456"], isInteractive: true)
        #expect(await typed.run("audit", "export") == .done)
        #expect(typed.sent.dropFirst().first?.body == ["code": "123456"])
        let silent = CliStage([challenge])
        #expect(await silent.run("audit", "export") == .notSignedIn)
        #expect(silent.error.contains("--code"))
    }

    @Test func `a step-up without a code ends as not signed in`() async {
        let stage = CliStage([
            .init(status: 401, headers: ["www-authenticate": "Bearer error=\"insufficient_user_authentication\""])
        ])
        #expect(await suspend(stage, "--yes") == .notSignedIn)
        #expect(stage.error.contains("--code"))
    }

    @Test(arguments: [
        (400, CommandStatus.usage), (401, .notSignedIn), (403, .forbidden), (404, .notFound), (409, .refused),
        (412, .preconditionFailed), (422, .usage), (423, .refused), (428, .preconditionFailed), (429, .unavailable),
        (500, .unexpected), (503, .unavailable),
    ])
    func `every refusal has its exit code and its words`(status: Int, expected: CommandStatus) async {
        let stage = CliStage([.init(status: status, body: ["detail": "That can't be done now."])])
        #expect(await suspend(stage, "--yes") == expected)
        #expect(stage.error.contains("That can't be done now."))
    }

    @Test func `field errors name their options`() async {
        let stage = CliStage([
            .init(
                status: 422,
                body: [
                    "detail": "Two fields can't be accepted.",
                    "errors": [["pointer": "/input/external_id", "detail": "External id is taken."]],
                ])
        ])
        #expect(
            await stage.run(
                "tenant", "create", "--name", "A", "--slug", "a", "--external-id", "x", "--plan", "pro", "--region",
                "eu",
                "--yes") == .usage)
        #expect(stage.error.contains("- --external-id: External id is taken."))
    }

    @Test func `every mistake of what was typed is told at once, before anything is sent`() async {
        let stage = CliStage()
        #expect(
            await stage.run("tenant", "suspend", "--reason-code", "because", "--justifcation", "x", "--yes") == .usage)
        #expect(stage.sent.isEmpty)
        for part in [
            "Say which tenant", "--reason-code must be one of", "Did you mean --justification?", "Usage: postern",
        ] {
            #expect(stage.error.contains(part), "\(part) is missing in: \(stage.error)")
        }
    }

    @Test func `without a token nothing is sent`() async {
        let stage = CliStage()
        #expect(await stage.run("tenant", "list", token: nil) == .notSignedIn)
        #expect(stage.sent.isEmpty)
    }

    @Test func `a token is never sent in the clear to another machine`() async {
        let stage = CliStage()
        #expect(await stage.run("tenant", "list", "--server", "http://console.example.com") == .usage)
        #expect(stage.sent.isEmpty)
    }

    @Test func `control characters of stored text never reach the terminal`() async {
        let stage = CliStage([.init(body: ["items": [["id": "ten_1", "name": "A\u{1B}[2Jb"]], "next_cursor": nil])])
        #expect(await stage.run("tenant", "list") == .done)
        #expect(!stage.out.contains("\u{1B}"))
    }

    @Test func `options of every verb are known to the text that is copied from a form`() {
        #expect(
            RequestText.commonOptions == Set((OperationVerb.common + OperationVerb.reasoning).map(\.name)))
    }

    /// What a form offers for a terminal, read by the verb it names, is the form's request.
    @Test func `the copied text of every operation is read as the same request`() throws {
        for verb in OperationVerb.all(in: CliStage.catalog) {
            let operation = verb.operation
            var input = Samples.input(for: operation, number: 1).object ?? [:]
            // Every field, not only those that must be there.
            for field in operation.fields() where input[field.name] == nil {
                let sample = Samples.value(for: field, number: 1)
                if (try? field.param.set(sample)) != nil { input[field.name] = sample }
            }
            if operation.fields().contains(where: { $0.name == "metadata" }) {
                input["metadata"] = ["segment": "robo'tics", "billing:plan": "a: b"]
            }
            let request = OperationRequest(
                operation: operation.spec.name, target: operation.creates ? nil : "ten_1", input: .object(input),
                reasonCode: operation.spec.reasonCodes.first?.code, justification: "It's \"needed\",\nsays $HOME",
                ticket: "-1", ifMatch: 7)
            let words = try Self.shellWords(RequestText.cli(request, operation: operation))
            #expect(Array(words.prefix(3)) == ["postern", verb.noun, verb.verb])
            let read = try verb.parse(Array(words.dropFirst(3)))
            #expect(read.target == request.target, "\(operation.spec.name)")
            #expect(JSON.object(read.input) == request.input, "\(operation.spec.name)")
            #expect(read.options["reason-code"] == request.reasonCode)
            #expect(read.options["justification"] == request.justification)
            #expect(read.options["ticket"] == "-1" && read.options["if-match"] == "7")
        }
    }

    /// Splits a command as a POSIX shell does.
    private static func shellWords(_ command: String) throws -> [String] {
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", "for word in \(command); do printf '%s\\0' \"$word\"; done"]
        let pipe = Pipe()
        shell.standardOutput = pipe
        try shell.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        shell.waitUntilExit()
        return data.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test func `every operation people may call has help that names each field`() {
        let tree = PosternCommand.helpTree(in: CliStage().invocation())
        for operation in CliStage.catalog.operations where !operation.spec.systemOnly {
            let noun = operation.spec.noun.replacing("_", with: "-")
            #expect(tree.contains("## postern \(noun) \(operation.spec.verbPath)\n"))
            for field in operation.fields() {
                #expect(tree.contains(field.param.help), "\(operation.spec.name) \(field.name)")
            }
        }
    }

    @Test func `the committed help is the present one`() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Golden/commands.txt")
        let committed = try String(contentsOf: path.standardized, encoding: .utf8)
        let present = PosternCommand.helpTree(in: CliStage().invocation())
        #expect(committed == present, "Run bin/check --fix and read the difference.")
    }
}
