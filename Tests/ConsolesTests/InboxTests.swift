import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// What people are told in the console, and when they are reminded (decision 27).
@Suite struct InboxTests {
    /// A tenant that may be deleted, people around it, and what tells them.
    struct Stage {
        let world: World
        let tenant: String
        let asker: Caller
        let signer: Caller
        let other: Caller
        let inbox: StaffInbox

        init(_ kind: TestDatabase.Kind, sendsMail: Bool = false) async throws {
            world = try await World.make(kind, populated: false, sendsMail: sendsMail)
            tenant = try await world.tenant("leaving", then: [("tenant.archive", "customer_departed")])
            world.test.clock.advance(.days(91))
            asker = try await world.staff("asker", roles: ["super_admin"])
            signer = try await world.staff("signer", roles: ["super_admin"])
            other = try await world.staff("other", roles: ["support_l2"])
            inbox = StaffInbox(pipeline: world.pipeline)
            try await tell()
        }

        func ask() async throws -> PendingApproval {
            try await world.ask(
                "tenant.hard_delete", on: tenant, reason: "retention_policy", by: world.caller(asker.person))
        }

        @discardableResult
        func decide(_ verb: String, _ id: String, by caller: Caller) async throws -> Outcome {
            try await world.pipeline.run(
                OperationRequest(
                    operation: "approval.\(verb)", target: id, justification: "looked at it, and this is right",
                    idempotencyKey: world.key()), by: world.caller(caller.person))
        }

        var outbox: DeliveryOutbox {
            var settings = DeliveryOutbox.Settings()
            settings.channels = [.webhook]
            return DeliveryOutbox(pipeline: world.pipeline, settings: settings, clock: world.test.clock.clock)
        }

        /// Everything that waits is looked at.
        func tell() async throws { while try await outbox.distribute() {} }

        func remind() async throws {
            try await ReminderTurn(pipeline: world.pipeline, channels: [.webhook], clock: world.test.clock.clock).turn()
        }

        func listing(of caller: Caller, _ query: [String: [String]] = [:]) async throws -> InboxListing {
            let call = ReadCall(
                path: [:], query: query, caller: caller, cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
            let catalog = world.catalog
            return try await world.test.database.read { try InboxListing.load(call, catalog: catalog, from: $0) }
        }

        func kinds(of caller: Caller, all: Bool = false) async throws -> [String] {
            try await listing(of: caller, all ? ["view": ["all"]] : [:]).entries.map(\.notice.kind.rawValue)
        }

        func mails() async throws -> [String] {
            try await world.test.database.read { reader in
                try reader.query(
                    Statement(
                        "SELECT name, payload FROM outbox WHERE kind = 'mail' ORDER BY created_at, name, id")
                ).map { "\(try $0.string("name")) \(try $0.json("payload")["to"]?.string ?? "")" }
            }
        }
    }

    private static func with(
        _ kind: TestDatabase.Kind, sendsMail: Bool = false, _ body: (Stage) async throws -> Void
    ) async throws {
        let stage = try await Stage(kind, sendsMail: sendsMail)
        do {
            try await body(stage)
            await stage.world.close()
        } catch {
            await stage.world.close()
            throw error
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who could sign is told, and who asked hears what became of it`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let id = try await stage.ask().approvalID
            try await stage.tell()
            #expect(try await stage.kinds(of: stage.signer) == ["request_asked"])
            #expect(try await stage.kinds(of: stage.asker) == [])
            #expect(try await stage.kinds(of: stage.other) == [])
            let asked = try #require(try await stage.listing(of: stage.signer).entries.first)
            #expect(asked.title.hasPrefix("Your signature is asked for: ") && asked.title.hasSuffix(": Tenant leaving"))
            #expect(asked.who == "asker" && asked.path == "/approvals/\(id)")
            #expect(asked.detail?.hasPrefix("It can be signed until ") == true)

            try await stage.decide("approve", id, by: stage.signer)
            try await stage.tell()
            // Whoever signed is asked no more; the notice stays, read.
            #expect(try await stage.kinds(of: stage.signer) == [])
            #expect(try await stage.kinds(of: stage.signer, all: true) == ["request_asked"])
            #expect(try await stage.kinds(of: stage.asker) == ["request_scheduled"])
            let scheduled = try #require(try await stage.listing(of: stage.asker).entries.first)
            #expect(scheduled.who == "signer" && scheduled.detail?.hasPrefix("It is carried out at ") == true)

            stage.world.test.clock.advance(.hours(24) + .seconds(1))
            #expect(try await stage.world.pipeline.executeDue() == 1)
            try await stage.tell()
            #expect(try await stage.kinds(of: stage.asker) == ["request_executed", "request_scheduled"])
            // What was said stays, in the past, with what became of it.
            let told = try #require(try await stage.listing(of: stage.asker).entries.last)
            let time = (scheduled.detail ?? "").replacing("It is carried out at ", with: "")
                .replacing(", unless somebody cancels it.", with: "")
            #expect(scheduled.title.hasPrefix("Your request was approved: "), "\(scheduled.title)")
            #expect(told.title.hasPrefix("Your request was approved: "), "\(told.title)")
            #expect(told.detail == "It was to be carried out at \(time), and was.", "\(told.detail ?? "")")
            let signed = try #require(try await stage.listing(of: stage.signer, ["view": ["all"]]).entries.first)
            #expect(signed.title.hasPrefix("Your signature was asked for: "))
            #expect(signed.detail == "Nothing is left to sign: it has been carried out.")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a burst of refusals says who asked how often, and says it once`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let guardian = try await stage.world.staff("guardian", roles: ["security"])
            for _ in 1...5 {
                try await stage.world.pipeline.recordDenial("tenant.hard_delete", operation: nil, by: stage.asker)
            }
            try await stage.tell()
            let entries = try await stage.listing(of: guardian).entries
            let told = try #require(entries.first { $0.notice.kind == .denialBurst })
            #expect(told.detail == "asker asked 5 times within 10 minutes for what their roles don’t allow.")
            #expect(told.who == nil)
            let call = PageCallFixture.make(guardian)
            let shown = try await stage.world.test.database.read { try InboxPages.list.render(call, $0).body.text }
            #expect(shown.contains(" table--cards\"") && shown.contains("asker asked 5 times"))
            #expect(!shown.contains("by asker</span>") && !shown.contains("<span>asker</span>"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `notices stand at the time they were told, and one that was told late says when it happened`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let clock = stage.world.test.clock
            func page(of caller: Caller) async throws -> String {
                let call = PageCallFixture.make(caller, query: ["view": ["all"]])
                return try await stage.world.test.database.read { try InboxPages.list.render(call, $0).body.text }
            }
            let asked = clock.clock.now
            let id = try await stage.ask().approvalID
            clock.advance(.hours(2))
            try await stage.tell()
            let late = try #require(try await stage.listing(of: stage.signer).entries.first)
            #expect(late.detail?.hasPrefix("It can be signed until ") == true)
            #expect(
                late.detail?.hasSuffix(". It was asked for on \(asked.minuteText).") == true, "\(late.detail ?? "")")
            let shown = try await page(of: stage.signer)
            #expect(shown.contains("datetime=\"\(late.notice.createdAt.rfc3339)\""))
            #expect(!shown.contains("datetime=\"\(asked.rfc3339)\""))

            // What is told within minutes says it by its place alone.
            try await stage.decide("reject", id, by: stage.signer)
            clock.advance(.minutes(4))
            try await stage.tell()
            let soon = try #require(try await stage.listing(of: stage.asker).entries.first)
            #expect(soon.detail == "“looked at it, and this is right”")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what was cancelled while it waited for its time says so`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let id = try await stage.ask().approvalID
            try await stage.decide("approve", id, by: stage.signer)
            try await stage.tell()
            stage.world.test.clock.advance(.minutes(1))
            try await stage.decide("cancel", id, by: stage.signer)
            try await stage.tell()
            let entries = try await stage.listing(of: stage.asker).entries
            #expect(entries.map(\.notice.kind) == [.cancelled, .scheduled])
            #expect(entries.last?.detail == "It was cancelled before it was carried out.")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an exception waits for its review, and has waited once somebody looked`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let world = stage.world
            let both = try await world.staff("both", roles: ["support_l1"])
            let pending = try await world.ask(
                "staff.grant_role", on: both.person,
                ["role": "billing_ops", "exception": "One person alone works in this week of holidays."],
                by: world.caller(stage.asker.person))
            try await stage.decide("approve", pending.approvalID, by: stage.signer)
            try await stage.tell()
            func entry() async throws -> InboxEntry {
                let entries = try await stage.listing(of: stage.signer, ["view": ["all"]]).entries
                return try #require(entries.first { $0.notice.kind == .reviewOwed })
            }
            let owed = try await entry()
            #expect(owed.title == "An exception waits for its review")
            #expect(owed.detail == "Support L1 and Billing operations are held together by one person.")
            let flag = try #require(
                try await world.test.database.read { reader in
                    try reader.query(StaffFlag.selectAll(after: "", limit: 1)).first?.string("id")
                })
            try await world.run(
                "staff_flag.clear", on: flag, reason: "accepted", by: try await world.caller(stage.signer.person))
            let seen = try await entry()
            #expect(seen.title == "An exception waited for its review")
            #expect(seen.detail?.hasSuffix(": the exception stands.") == true)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request for somebody who is not there yet is called after them`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let pending = try await stage.world.ask(
                "staff.invite", ["email": "mia@staff.test", "name": "Mia", "roles": ["support_l1"]],
                by: stage.world.caller(stage.asker.person))
            try await stage.tell()
            let asked = try #require(try await stage.listing(of: stage.signer).entries.first)
            #expect(asked.title == "Your signature is asked for: Invite staff: mia@staff.test")
            let call = PageCallFixture.make(stage.signer, path: ["id": pending.approvalID])
            let page = try await stage.world.test.database.read { try ApprovalPages.detail.render(call, $0) }
            #expect(page.title == "Invite staff: mia@staff.test")
        }
    }

    @Test(arguments: [false, true])
    func `the page of what was carried out lists mail where some was sent`(sendsMail: Bool) async throws {
        try await Self.with(.sqlite, sendsMail: sendsMail) { stage in
            let world = stage.world
            let pending = try await world.ask(
                "staff.invite", ["email": "mia@staff.test", "name": "Mia", "roles": ["support_l1"]],
                by: world.caller(stage.asker.person))
            try await stage.decide("approve", pending.approvalID, by: stage.signer)
            var settings = DeliveryOutbox.Settings()
            settings.channels = [.webhook, .mail]
            let outbox = DeliveryOutbox(
                pipeline: world.pipeline, settings: settings, clock: world.test.clock.clock)
            while try await outbox.distribute() {}
            let call = PageCallFixture.make(stage.signer, path: ["id": pending.approvalID])
            let page = try await world.test.database.read { try ApprovalPages.detail.render(call, $0) }
            #expect(page.body.text.contains("What it did"))
            #expect(page.body.text.contains("Mail to the person invited") == sendsMail)
            #expect(page.body.text.contains("A notice in the inbox of asker: it was carried out"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a rejection says who and why, and asks nobody else any more`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let third = try await stage.world.staff("third", roles: ["super_admin"])
            let id = try await stage.ask().approvalID
            try await stage.tell()
            #expect(try await stage.kinds(of: third) == ["request_asked"])
            try await stage.decide("reject", id, by: stage.signer)
            try await stage.tell()
            let rejected = try #require(try await stage.listing(of: stage.asker).entries.first)
            #expect(rejected.notice.kind == .rejected && rejected.who == "signer")
            #expect(rejected.detail == "“looked at it, and this is right”")
            let moot = try #require(try await stage.listing(of: third, ["view": ["all"]]).entries.first)
            #expect(moot.notice.isMoot && moot.notice.readAt != nil)
            #expect(moot.detail == "Nothing is left to sign: it has been rejected.")
            #expect(try await stage.kinds(of: third) == [])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever takes their own request back is not told, and others are`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            try await stage.decide("cancel", try await stage.ask().approvalID, by: stage.asker)
            try await stage.tell()
            #expect(try await stage.kinds(of: stage.asker, all: true) == [])
            // It was over before anybody looked: nobody is asked for it.
            #expect(try await stage.kinds(of: stage.signer, all: true) == [])
            let id = try await stage.ask().approvalID
            try await stage.decide("cancel", id, by: stage.signer)
            try await stage.tell()
            #expect(try await stage.kinds(of: stage.asker) == ["request_cancelled"])
            let other = try await stage.ask().approvalID
            stage.world.test.clock.advance(.hours(25))
            #expect(try await stage.world.pipeline.expireOverdue() == 1)
            try await stage.tell()
            #expect(try await stage.kinds(of: stage.asker) == ["request_expired", "request_cancelled"])
            #expect(try await stage.world.approval(other).state == .expired)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `everything is told once, however many servers look`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            _ = try await stage.ask()
            let (one, two) = (stage.outbox, stage.outbox)
            async let first: Void = { while try await one.distribute() {} }()
            async let second: Void = { while try await two.distribute() {} }()
            _ = try await (first, second)
            try await stage.tell()
            #expect(try await stage.kinds(of: stage.signer, all: true) == ["request_asked"])
            let waiting = try await stage.world.test.database.read { try TestQueries.count("inbox_pending", $0) }
            #expect(waiting == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `numbers change where something changed, and reading is one’s own`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let inbox = stage.inbox
            let start = try await inbox.news(since: nil, andOf: []).mark
            _ = try await stage.ask()
            try await stage.tell()
            let news = try await inbox.news(since: start, andOf: [])
            #expect(news.unread == ["stf_signer": 1] && news.mark > start)
            #expect(try await inbox.news(since: news.mark, andOf: []).unread == [:])
            #expect(
                try await inbox.news(since: news.mark, andOf: ["stf_signer", "stf_other"]).unread
                    == ["stf_signer": 1, "stf_other": 0])
            let id = try #require(try await stage.listing(of: stage.signer).entries.first).notice.id
            #expect(try await inbox.markRead(id, of: "stf_other") == false)
            #expect(try await inbox.markRead("ntc_1", of: "stf_signer") == false)
            #expect(try await inbox.news(since: news.mark, andOf: []).unread == [:])
            #expect(try await inbox.markRead(id, of: "stf_signer"))
            let read = try await inbox.news(since: news.mark, andOf: [])
            #expect(read.unread == ["stf_signer": 0])
            // Again is no change.
            #expect(try await inbox.markRead(id, of: "stf_signer"))
            #expect(try await inbox.news(since: read.mark, andOf: []).unread == [:])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `all are read up to what was seen, pages are by key, and old ones go`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            let clock = stage.world.test.clock
            for number in 1...7 {
                clock.advance(.minutes(1))
                try await stage.world.test.database.write { tx in
                    var telling = Telling(tx)
                    telling.tell(
                        ["stf_other"], .sessionsEnded, of: "evt_\(number)", about: ("staff", "stf_other"))
                    try telling.finish()
                }
            }
            var seen: [String] = []
            var cursor: String?
            repeat {
                let page = try await stage.listing(
                    of: stage.other, ["limit": ["3"], "cursor": cursor.map { [$0] } ?? []])
                seen += page.entries.map(\.notice.event)
                cursor = page.next
            } while cursor != nil
            #expect(seen == (1...7).reversed().map { "evt_\($0)" })
            let fifth = try #require(
                try await stage.listing(of: stage.other).entries.first { $0.notice.event == "evt_5" })
            #expect(try await stage.inbox.markAllRead(of: "stf_other", until: fifth.notice.createdAt) == 5)
            #expect(try await stage.listing(of: stage.other).entries.map(\.notice.event) == ["evt_7", "evt_6"])
            await #expect(throws: OperationError.self) { _ = try await stage.listing(of: stage.other, ["view": ["x"]]) }
            await #expect(throws: OperationError.self) {
                _ = try await stage.listing(of: stage.other, ["cursor": ["x"]])
            }
            clock.advance(.minutes(90 * 24 * 60 - 3))
            try await StaffInbox.forget(after: .days(90), in: stage.world.test.database)
            #expect(
                try await stage.listing(of: stage.other, ["view": ["all"]]).entries.map(\.notice.event)
                    == ["evt_7", "evt_6", "evt_5", "evt_4"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an account’s owner hears what others do to it`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            _ = try await stage.world.run(
                "staff.revoke_role", on: "stf_other", ["role": "support_l2"], reason: "moved",
                by: stage.world.caller("stf_asker"))
            try await stage.tell()
            let entry = try #require(try await stage.listing(of: stage.other).entries.first)
            #expect(entry.title == "You no longer hold Support L2" && entry.who == "asker" && entry.path == "/me")
            #expect(try await stage.kinds(of: stage.asker) == [])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a tenant’s own manager signs for it, and another’s does not`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let asker = try await world.staff("asker", roles: ["super_admin"])
        let namer = try await world.staff("namer", roles: ["head_of_cs"])
        let own = try await world.staff("own", roles: ["customer_success"])
        let other = try await world.staff("other", roles: ["customer_success", "support_l1"])
        try await world.put([
            .create(
                ApprovalRuleRow(
                    ApprovalRule(
                        id: "suspend_csm", operation: "tenant.suspend", condition: .always,
                        demand: .role([Demand.managerRole, "executive"]), window: .hours(1), cooldown: nil, version: 1,
                        summary: "Suspending")))
        ])
        func ask(_ slug: String, looksAfter: Caller, namedBy: Caller) async throws -> ApprovalRequest {
            let tenant = try await world.tenant(slug)
            try await world.run("tenant.set_csm", on: tenant, ["csm": .string(looksAfter.person)], by: namedBy)
            let pending = try await world.ask("tenant.suspend", on: tenant, reason: "abuse", by: asker)
            #expect(pending.needs.map(\.demand.sentence) == ["1 person with Customer success manager or Executive"])
            return try await world.approval(pending.approvalID)
        }
        func awaited(_ request: ApprovalRequest) async throws -> [String] {
            try await world.test.database.read { try Signers.awaited(for: request, signatures: [], from: $0).people }
        }
        let request = try await ask("acme", looksAfter: own, namedBy: namer)
        #expect(try await awaited(request) == [own.person])
        #expect(request.isOpen(to: own) && !request.isOpen(to: other))
        let elsewhere = try await ask("elsewhere", looksAfter: other, namedBy: namer)
        #expect(try await awaited(elsewhere) == [other.person])
        // Whom they named themselves signs nothing for them.
        #expect(try await awaited(ask("mine", looksAfter: own, namedBy: asker)) == [])

        await #expect(throws: OperationError.self) {
            try await world.run("approval.approve", on: request.id, by: other)
        }
        try await world.run("approval.approve", on: request.id, by: own)
        #expect(try await world.approval(request.id).state == .executed)

        // Without a role that looks after tenants their name signs nothing, and nobody names them any more.
        try await world.revoke("customer_success", of: other.person)
        let left = try await world.caller(other.person)
        #expect(try await awaited(elsewhere) == [])
        #expect(!elsewhere.isOpen(to: left))
        await #expect(throws: OperationError.self) {
            try await world.run("approval.approve", on: elsewhere.id, by: left)
        }
        let unmanaged = try await world.tenant("unmanaged")
        await #expect(throws: OperationError.self) {
            try await world.run("tenant.set_csm", on: unmanaged, ["csm": .string(other.person)], by: namer)
        }
        let offered = try await world.test.database.read { try SetTenantCSM.colleagues($0).map(\.label) }
        #expect(offered.contains("own") && !offered.contains("other") && offered == offered.sorted())
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `security hears of a row that is not what the log says, until it is settled`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind, sendsMail: true) { stage in
            let world = stage.world
            let guardian = try await world.staff("guard", roles: ["security"])
            let before = try await world.snapshot()
            let found = try await world.run(
                "discrepancy.report",
                ["row_type": "tenant", "row_id": .string(stage.tenant), "kind": "edited"], by: world.system)
            #expect(try await world.events(after: before).map(\.eventClass) == ["incident"])
            try await stage.tell()
            let entry = try #require(try await stage.listing(of: guardian).entries.first)
            let tenant = try await world.test.database.read { try Tenant.load(stage.tenant, from: $0) }
            // "Tenant leaving" says itself what it is.
            #expect(entry.title == "A row is not what the log says: \(try #require(tenant).name)")
            #expect(entry.path == "/discrepancies/\(found.target ?? "")")
            #expect(try await stage.mails().contains { $0.hasPrefix("mail.row_differs") })
            #expect(try await stage.kinds(of: stage.other) == [])
            try await world.run("discrepancy.close", on: found.target, by: world.system)
            try await stage.tell()
            #expect(try await stage.kinds(of: guardian) == [])
        }
    }

    // MARK: Reminders

    @Test func `a request reminds at half of its window and shortly before its end`() {
        let now = Instant(microseconds: 0)
        func left(_ window: Span) -> [Int64] {
            let need = ApprovalNeed(
                ApprovalRule(
                    id: "r", operation: "o", condition: Condition(tests: [:]), demand: .role(["security"]),
                    window: window, cooldown: nil, version: 1, summary: ""))
            var request = ApprovalRequest.supposed([need], askedBy: "stf_1", at: now)
            request.expiresAt = now + window
            return request.reminders.map { (request.expiresAt - $0.at).seconds }
        }
        #expect(left(.hours(24)) == [12 * 3600, 600])
        #expect(left(.hours(1)) == [1800, 600])
        #expect(left(.minutes(15)) == [450, 120])
        #expect(left(.minutes(10)) == [300, 120])
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `those who could sign are reminded once at each time, whichever server does it`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind, sendsMail: true) { stage in
            let clock = stage.world.test.clock
            _ = try await stage.ask()
            try await stage.tell()
            try await stage.remind()
            #expect(try await stage.kinds(of: stage.signer) == ["request_asked"])
            clock.advance(.hours(12) + .seconds(1))
            async let first: Void = stage.remind()
            async let second: Void = stage.remind()
            _ = try await (first, second)
            try await stage.remind()
            #expect(try await stage.kinds(of: stage.signer) == ["request_reminder_half", "request_asked"])
            #expect(try await stage.kinds(of: stage.asker) == [])
            clock.advance(.hours(11) + .minutes(50))
            try await stage.remind()
            try await stage.remind()
            #expect(
                try await stage.kinds(of: stage.signer)
                    == ["request_reminder_last", "request_reminder_half", "request_asked"])
            // Nobody acted: whoever asked hears it in time to talk to somebody.
            #expect(try await stage.kinds(of: stage.asker) == ["request_unanswered"])
            #expect(
                try await stage.mails() == [
                    "mail.request_asked stf_signer", "mail.request_reminder stf_signer",
                    "mail.request_reminder stf_signer", "mail.request_unanswered stf_asker",
                ])
            let left = try await stage.world.test.database.read { try TestQueries.count("approval_reminders", $0) }
            #expect(left == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a server that was away reminds once of what it missed, and never of what was decided`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { stage in
            let clock = stage.world.test.clock
            let id = try await stage.ask().approvalID
            try await stage.tell()
            clock.advance(.hours(23) + .minutes(55))
            try await stage.remind()
            #expect(try await stage.kinds(of: stage.signer) == ["request_reminder_last", "request_asked"])
            try await stage.decide("reject", id, by: stage.signer)
            try await stage.tell()
            // Not in the same moment, which has no order.
            clock.advance(.seconds(1))
            let again = try await stage.ask().approvalID
            try await stage.tell()
            try await stage.decide("reject", again, by: stage.signer)
            clock.advance(.hours(13))
            try await stage.remind()
            try await stage.tell()
            #expect(
                try await stage.kinds(of: stage.signer, all: true)
                    == ["request_asked", "request_reminder_last", "request_asked"])
            #expect(try await stage.kinds(of: stage.signer) == [])
        }
    }

    // MARK: On shift

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who could sign and was here lately is named, and mail goes at once where nobody is`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind, sendsMail: true) { stage in
            let needs = try await stage.world.pipeline.preview(
                OperationRequest(
                    operation: "tenant.hard_delete", target: stage.tenant, reasonCode: "retention_policy",
                    justification: "because the test world needs it", ticket: "TEST-1"), by: stage.asker
            ).approvals
            #expect(!needs.isEmpty)
            func shift() async throws -> OnShift {
                try await stage.inbox.onShift(for: needs, askedBy: stage.asker.person)
            }
            #expect(try await shift() == OnShift(present: [], able: 1, sendsMail: false))
            try await stage.world.session("ses_s", of: "stf_signer")
            try await stage.world.session("ses_o", of: "stf_other")
            try await stage.world.session("ses_a", of: "stf_asker")
            #expect(try await shift().present == ["signer"])
            let id = try await stage.ask().approvalID
            try await stage.tell()
            #expect(try await stage.mails() == [])
            try await stage.decide("reject", id, by: stage.signer)
            stage.world.test.clock.advance(.minutes(31))
            #expect(try await shift() == OnShift(present: [], able: 1, sendsMail: false))
            _ = try await stage.ask()
            try await stage.tell()
            #expect(try await stage.mails().contains("mail.request_asked stf_signer"))
            // Whoever made the account what it is can't be asked to sign for it.
            let fresh = try await stage.world.staff(
                "fresh", roles: ["super_admin"], grantedBy: stage.asker.person, ago: .hours(1))
            try await stage.world.session("ses_f", of: fresh.person)
            #expect(try await shift().present == [])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a session that ended, ran out or is idle is not live`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { stage in
            for number in 1...20 { try await stage.world.session("ses_\(number)", of: "stf_other") }
            let all = (1...20).map { "ses_\($0)" }
            #expect(try await stage.inbox.live(all + ["ses_unknown"]) == Set(all))
            _ = try await stage.world.test.asOwner { writer in
                try writer.execute(
                    Statement("UPDATE sessions SET ended_at = $1 WHERE id = 'ses_3'", [Value(writer.now)]))
            }
            #expect(try await stage.inbox.live(all) == Set(all).subtracting(["ses_3"]))
            stage.world.test.clock.advance(.minutes(30))
            #expect(try await stage.inbox.live(all) == [])
            #expect(try await stage.inbox.live([]) == [])
        }
    }
}
