import CommandLine
import Consoles
import Kernel

/// What happened at Northwind Cloud before the demo begins. Everything goes through the real doors: people enrol and sign in
/// with their factors, and every change is an operation in the pipeline. Only the clock is the story's own.
struct DemoStory: Sendable {
    let running: Running
    let clock: ManualClock
    /// When the demo is made: where the story ends.
    let end: Instant

    /// How long before its end the people join.
    let length: Span

    private let sittings = Sittings()

    /// How long before its end the rest begins.
    static let length = Span.days(118)

    init(running: Running, clock: ManualClock, end: Instant, length: Span) {
        self.running = running
        self.clock = clock
        self.end = end
        self.length = length
    }

    /// - Returns: how its people sign in.
    func tell() async throws -> [DemoAccount] {
        var cast: [String: DemoAccount] = [:]
        // The people, one a few minutes after the other. An invitation waits for a signature once somebody has enrolled who could
        // give it: the first person invites all others before one of them does.
        let joined = length.seconds / 86_400
        let first = DemoPerson.all[0]
        at(joined, hour: 9)
        let opened = try await running.applied(
            "staff.bootstrap", ["email": .string(first.email), "name": .string(first.name)], by: .system("demo"))
        let founder = try await enrol(first, by: opened.reveal["enrolment_link"] ?? "")
        cast[first.email] = founder
        var accounts = [founder]
        var links: [String: String] = [:]
        for (index, person) in DemoPerson.all.enumerated().dropFirst() {
            at(joined, hour: 9, minute: Int64(index) * 7)
            links[person.email] = try await invite(person, by: founder)
        }
        for (index, person) in DemoPerson.all.enumerated().dropFirst() {
            at(joined, hour: 11, minute: Int64(index) * 7)
            let account = try await enrol(person, by: links[person.email] ?? "")
            cast[person.email] = account
            accounts.append(account)
        }
        func actor(_ mailbox: String) -> DemoAccount { cast["\(mailbox)@northwind.example"]! }
        let (jonas, hana) = (actor("jonas.w"), actor("hana.l"))
        let (mira, tomas) = (actor("mira.o"), actor("tomas.v"))
        let (ines, priya, keiko) = (actor("ines.k"), actor("priya.s"), actor("keiko.t"))
        let (ruth, samir) = (actor("ruth.n"), actor("samir.b"))

        at(117, hour: 10)
        try await importTenants()
        let tenants = try await tenantIDs()
        func tenant(_ slug: String) throws -> String {
            guard let id = tenants[slug] else { throw CommandFailure(.unexpected, "The demo has no tenant \(slug).") }
            return id
        }

        // A customer that left long ago: archived long enough to be deleted for good.
        at(104, hour: 14)
        try await run(
            "tenant.archive", on: tenant("jasper-mining"), reason: "customer_departed",
            "Contract ended and the data was handed over, see the exit checklist.", ticket: "OPS-1184", by: jonas)

        at(41, hour: 8, minute: 40)
        try await run(
            "tenant.suspend", on: tenant("marlow-freight"), reason: "support_investigation",
            "Exports of 40,000 addresses an hour since last night; paused until we know why.", ticket: "SUP-3310",
            by: mira)
        at(39, hour: 11, minute: 15)
        try await run(
            "tenant.restore", on: tenant("marlow-freight"), reason: "investigation_closed",
            "Their new warehouse sync was looping; fixed with their engineers on a call.", ticket: "SUP-3310", by: mira)

        // Suspended for non-payment, and still so.
        at(31, hour: 15, minute: 5)
        try await run(
            "tenant.suspend", on: tenant("umber-coffee"), reason: "non_payment",
            "Three invoices unpaid, two reminders without an answer; agreed with billing.", ticket: "BIL-2231", by: mira
        )

        try await emergency(on: tenant("harborview-hospital"), by: hana, with: jonas, reviewedBy: samir)

        at(20, hour: 9, minute: 30)
        try await run(
            "tenant.retry_onboarding", on: tenant("palisade-events"), reason: "retry",
            "Set-up failed on a full disk in us-east, which has space again.", by: hana)

        try await connections(jonas: jonas, samir: samir, hana: hana)

        // Archived by mistake, and taken back a few minutes later.
        at(12, hour: 16, minute: 48)
        let mistake = try await run(
            "tenant.archive", on: tenant("willow-street-bakery"), reason: "customer_departed",
            "Asked to close the account by phone today.", ticket: "SUP-3475", by: hana)
        at(12, hour: 16, minute: 54)
        try await undo(mistake.eventID, "Wrong bakery: it was Willow Lane Bakery that asked to close.", by: hana)

        // What colleagues should know, and a view of the list for all of them.
        at(9, hour: 10)
        try await run(
            "tenant.set_note", on: tenant("pelican-insurance"),
            ["note": "Renewal talks until the end of the year. Speak to Keiko before anything is changed."],
            "Agreed with the account team.", by: keiko)
        at(6, hour: 11)
        let view = try await run(
            "segment.save", ["name": "Trials that ended", "filter": "status=expired&sort=last_activity"],
            "For the weekly look at them.", by: keiko)
        try await run("segment.share", on: view.target, ["shared": true], "The team asked for it.", by: keiko)

        // A look at who may do everything; one grant is decided, the others wait.
        at(5, hour: 9, minute: 20)
        try await run(
            "access_review.start", ["due_at": .string((end + .days(9)).rfc3339)],
            "Before the audit in spring we look at this once by hand.", by: ruth)
        at(5, hour: 15)
        try await run(
            "access_review_item.keep", on: try await reviewed("Hana L."), reason: "needed",
            "Runs the platform team and is on call every third week.", by: samir)

        // Moving the data did not work; somebody decides whether to try again.
        at(4, hour: 14, minute: 20)
        try await run(
            "tenant.change_region", on: tenant("kestrel-aviation-parts"), ["region": "ap-south"],
            "They want their data near their new plant.", ticket: "OPS-1240", by: priya)
        at(4, hour: 16, minute: 5)
        _ = try await running.applied(
            "tenant.fail_change", on: tenant("kestrel-aviation-parts"),
            ["field": "region", "reason": "The copy stopped at 62 %: ap-south had no space left."],
            by: .system("demo"))

        // Somebody who tries what the role does not hold, again and again.
        for attempt in 0..<6 {
            at(3, hour: 13, minute: Int64(attempt))
            try await expectRefusal("tenant.suspend", by: tomas) { caller in
                OperationRequest(
                    operation: "tenant.suspend", target: try tenant("quill-accounting"), reasonCode: "abuse",
                    justification: "Customer shouted at me on the phone.",
                    idempotencyKey: Identifier.mint("key", at: clock.clock.now))
            }
        }

        try await roleFromDirectory()

        // Two people edit the same tenant; the second one looked at an older version.
        at(1, hour: 10, minute: 2)
        let seen = try await version(of: tenant("blue-heron-clinics"))
        at(1, hour: 10, minute: 5)
        try await run(
            "tenant.update", on: tenant("blue-heron-clinics"), ["name": "Blue Heron Clinics Group"], ifMatch: seen,
            "Renamed after their merger in spring.", by: hana)
        at(1, hour: 10, minute: 9)
        try await expectRefusal("tenant.update", by: jonas) { _ in
            OperationRequest(
                operation: "tenant.update", target: try tenant("blue-heron-clinics"),
                input: ["metadata": ["segment": "healthcare"]], ifMatch: seen,
                idempotencyKey: Identifier.mint("key", at: clock.clock.now))
        }

        // An ordinary day until now.
        ago(.hours(21))
        try await run(
            "tenant.suspend", on: tenant("fjord-analytics"), reason: "non_payment",
            "Card declined three times; the owner did not answer the last reminder.", ticket: "BIL-2377", by: mira)
        ago(.hours(18))
        try await run(
            "tenant.restore", on: tenant("fjord-analytics"), reason: "payment_recovered",
            "Paid by transfer this morning, confirmed by the bank.", ticket: "BIL-2377", by: mira)
        ago(.hours(7))
        try await run(
            "tenant.update", on: tenant("ember-studios"), ["metadata": ["segment": "media"]],
            ifMatch: try await version(of: tenant("ember-studios")), "Asked for by their account manager.", by: hana)
        ago(.hours(5))
        try await run(
            "tenant.change_plan", on: tenant("halcyon-hotels"), ["plan": "enterprise"],
            "Signed for two more hotels, the order form is in the ticket.", ticket: "BIL-2390", by: ines)
        ago(.minutes(240))
        try await run(
            "access_review_plan.change", on: AccessReviewPlan.only, ["every": "month", "days_until_due": 10],
            "Every month until the audit in spring; two weeks were longer than anybody needed.", by: ruth)
        ago(.minutes(200))
        try await run(
            "tenant.suspend", on: tenant("brightwater-pools"), reason: "support_investigation",
            "Two staff logins from a new country within an hour; paused at the owner's wish.", ticket: "SUP-3502",
            by: mira)
        ago(.minutes(130))
        try await run(
            "tenant.restore", on: tenant("brightwater-pools"), reason: "investigation_closed",
            "The owner was on holiday; both logins were theirs.", ticket: "SUP-3502", by: mira)

        // Asked for, and waiting for the other super admin.
        ago(.minutes(95))
        try await run(
            "tenant.hard_delete", on: tenant("jasper-mining"), reason: "gdpr_erasure_request",
            "Their data protection officer asked for erasure in writing.", ticket: "LEG-207", by: jonas, isPending: true
        )
        return accounts
    }

    // MARK: Time

    /// Moves to a time before the end; never back.
    func ago(_ span: Span) { clock.advance(max(end - span - clock.clock.now, .seconds(31))) }

    /// Moves to an hour of a day before the end; never back.
    func at(_ daysBefore: Int64, hour: Int64, minute: Int64 = 0) {
        let midnight = Instant(microseconds: (end - .days(daysBefore)).microseconds / 86_400_000_000 * 86_400_000_000)
        let wanted = midnight + .hours(hour) + .minutes(minute)
        clock.advance(max(wanted - clock.clock.now, .seconds(31)))
    }

    // MARK: People

    private func source(_ email: String) -> Source {
        Source(
            ip: "127.0.0.1", userAgent: Self.browser, client: .console,
            requestID: Identifier.mint("req", at: clock.clock.now))
    }

    /// What a browser says of itself.
    private static let browser =
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"

    private func enrol(_ person: DemoPerson, by link: String) async throws -> DemoAccount {
        let token = link.split(separator: "=").last.map(String.init) ?? ""
        let offer = try await running.signIn.enrolmentOffer(token: token)
        let account = DemoAccount(
            email: person.email, password: DemoAccount.newPassword(for: person.email), totpSecret: offer.totpSecret,
            roles: person.roles)
        _ = try await running.signIn.enrol(
            token: token, password: account.password, sealedSecret: offer.sealedSecret,
            code: account.code(at: clock.clock.now) ?? "", from: source(person.email))
        return account
    }

    /// A session of its own for each deed, as on another day; what follows within minutes is done in the same one. The code of this
    /// half minute was perhaps used for enrolment.
    private func caller(_ account: DemoAccount) async throws -> Caller {
        clock.advance(.seconds(31))
        let from = source(account.email)
        if let token = await sittings.token(of: account.email, at: clock.clock.now) {
            return try await running.signIn.authenticate(token: token, from: from).0
        }
        let (challenge, _) = try await running.signIn.begin(
            email: account.email, password: account.password, from: from)
        let session = try await running.signIn.finish(
            challenge: challenge, totp: account.code(at: clock.clock.now) ?? "", from: from)
        await sittings.keep(session.token, of: account.email, at: clock.clock.now)
        return try await running.signIn.authenticate(token: session.token, from: from).0
    }

    private func invite(_ person: DemoPerson, by account: DemoAccount) async throws -> String? {
        let applied = try await run(
            "staff.invite",
            [
                "email": .string(person.email), "name": .string(person.name),
                "roles": .array(person.roles.map(JSON.string)),
            ],
            "Joins the team for the start of Postern.",
            ticket: "HR-\(101 + (DemoPerson.all.firstIndex { $0.email == person.email } ?? 0))",
            by: account)
        return applied.reveal["enrolment_link"]
    }

    // MARK: Deeds

    /// - Returns: with what is applied its target; of what waits, the request.
    @discardableResult
    func run(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), ifMatch: Int64? = nil,
        reason: String? = nil, _ justification: String, ticket: String? = nil, by account: DemoAccount,
        isPending: Bool = false
    ) async throws -> (eventID: String, target: String?, reveal: [String: String]) {
        let caller = try await caller(account)
        let outcome = try await running.pipeline.run(
            OperationRequest(
                operation: operation, target: target, input: input, reasonCode: reason, justification: justification,
                ticket: ticket, ifMatch: ifMatch, idempotencyKey: Identifier.mint("key", at: clock.clock.now)),
            by: caller)
        switch outcome.result {
        case .applied(let applied) where !isPending: return (applied.eventID, applied.target, applied.reveal)
        case .pending(let pending) where isPending: return (pending.eventID, pending.approvalID, [:])
        default: throw Self.unlike(operation)
        }
    }

    /// Something that waits for a second person, who agrees a little later.
    func run(
        _ operation: String, _ input: JSON, reason: String? = nil, _ justification: String, ticket: String? = nil,
        by account: DemoAccount, signedBy other: DemoAccount, after wait: Span = .seconds(0), _ words: String
    ) async throws {
        let asked = try await run(
            operation, input, reason: reason, justification, ticket: ticket, by: account, isPending: true)
        clock.advance(wait)
        let caller = try await caller(other)
        let outcome = try await running.pipeline.run(
            OperationRequest(
                operation: Decisions.approve.spec.name, target: asked.target, justification: words,
                idempotencyKey: Identifier.mint("key", at: clock.clock.now)), by: caller)
        guard outcome.execution?.state == .executed else { throw Self.unlike(operation) }
    }

    private static func unlike(_ operation: String) -> CommandFailure {
        CommandFailure(.unexpected, "The demo's \(operation) did not end as its story tells.")
    }

    private func undo(_ event: String, _ justification: String, by account: DemoAccount) async throws {
        let caller = try await caller(account)
        var request = try await running.pipeline.undoOffer(for: event, by: caller).request
        request.undoes = event
        request.justification = justification
        request.idempotencyKey = Identifier.mint("key", at: clock.clock.now)
        _ = try await running.pipeline.run(request, by: caller)
    }

    /// Something that must be refused, for the record of it.
    private func expectRefusal(
        _ operation: String, by account: DemoAccount, _ request: (Caller) throws -> OperationRequest
    ) async throws {
        let caller = try await caller(account)
        do {
            _ = try await running.pipeline.run(try request(caller), by: caller)
        } catch is OperationError {
            return
        }
        throw CommandFailure(.unexpected, "The demo's \(operation) by \(account.email) should have been refused.")
    }

    // MARK: Customers

    private func importTenants() async throws {
        let rows = DemoTenant.all.enumerated().map { index, tenant in
            RegistryRow(
                externalID: "nw-\(1001 + index * 7)", name: tenant.name, slug: tenant.slug,
                ownerEmail: tenant.email(of: 0),
                members: tenant.members.indices.map { seat in
                    RegistryRow.Member(
                        email: tenant.email(of: seat),
                        name: "\(tenant.members[seat].given) \(tenant.members[seat].family)",
                        role: seat == 0 ? nil : seat % 5 == 1 ? .admin : seat % 5 == 2 ? .billing : .member,
                        lastLoginAt: end - .minutes(Int64(7 + (index * 37 + seat * 311) % 9000)))
                },
                createdAt: end - .days(tenant.ageInDays),
                // Where nobody has signed in yet, nobody was seen.
                lastActivityAt: ["ready", "pending", "failed"].contains(DemoTenant.statuses[tenant.slug])
                    ? nil : end - .minutes(Int64(3 + index * 97 % 5000)),
                status: DemoTenant.statuses[tenant.slug].flatMap(TenantStatus.init) ?? .active, plan: tenant.plan,
                tier: tenant.tier, region: tenant.region)
        }
        _ = try await running.applied("registry.import_batch", ["rows": RegistryRows(rows).json], by: .system("demo"))
    }

    private func tenantIDs() async throws -> [String: String] {
        try await running.database.read { reader in
            var ids: [String: String] = [:]
            for row in try reader.query(Tenant.selectAll(after: "", limit: 1000)) {
                ids[try row.string("slug")] = try row.string("id")
            }
            return ids
        }
    }

    /// What the review looks at of somebody.
    private func reviewed(_ name: String) async throws -> String? {
        try await running.database.read { reader in
            try reader.query(AccessReviewItem.selectAll(after: "", limit: 100)).map { try AccessReviewItem($0) }
                .first { $0.name == name }?.id
        }
    }

    func version(of tenant: String) async throws -> Int64 {
        try await running.database.read { try Tenant.load(tenant, from: $0)?.version ?? 0 }
    }
}

/// The last session of everybody, for as long as its factor is fresh.
private actor Sittings {
    /// Shorter than the five minutes after which a factor is asked for again.
    private static let length = Span.seconds(270)

    private var kept: [String: (token: String, at: Instant)] = [:]

    func token(of email: String, at now: Instant) -> String? {
        kept[email].flatMap { now - $0.at < Self.length ? $0.token : nil }
    }

    func keep(_ token: String, of email: String, at now: Instant) { kept[email] = (token, now) }
}
