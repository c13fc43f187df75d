import Consoles
import HTML
import Kernel
import Store

/// What stands in the world: people, tenants, and a row of every kind, so that every law finds something to look at.
extension World {
    func populate() async throws {
        try await run(
            "staff.bootstrap", ["email": "first@example.test", "name": "First Person"], by: system)
        try await webhooks()
        // Archived long enough ago to be deleted.
        try await tenant("departed", then: [("tenant.archive", "customer_departed")])
        var departed: [String] = []
        for number in 2...4 {
            departed.append(
                try await tenant("gone-\(number)", then: [("tenant.archive", "customer_departed")]))
        }
        test.clock.advance(.days(91))
        // Whom the laws act as may sign; somebody else asked.
        try await staff("everybody", roles: ["super_admin"])
        let asker = try await staff("asker", roles: ["super_admin"])
        for tenant in departed {
            _ = try await ask("tenant.hard_delete", on: tenant, reason: "retention_policy", by: asker)
        }
        // A row of every kind, for the laws of verification.
        let invited = try await ask(
            "staff.invite", ["email": "second@example.test", "name": "Second", "roles": ["support_l1"]], by: asker)
        try await run("approval.approve", on: invited.approvalID, by: try await caller("stf_everybody"))
        try await staff("left", roles: [])
        try await run("staff.deactivate", on: "stf_left", reason: "left")
        try await exceptions()
        // Who asked holds nothing any more, nor did lately: with one super_admin left, inviting waits for nobody.
        try await revoke("super_admin", of: "stf_asker", ago: .days(31))
        try await rate("EUR", 1_100_000)
        try await emergencies(on: try await tenant("active"))
        try await tenant("suspended", then: [("tenant.suspend", "non_payment")])
        try await tenant("archived", then: [("tenant.archive", "customer_departed")])
        // Several, because other operations may take one of them.
        for slug in ["failed-1", "failed-2", "failed-3"] {
            let id = try await tenant(slug, status: "pending")
            try await run("tenant.mark_failed", on: id, ["reason": "No capacity left."], by: system)
        }
        try await stages()
        try await views()
        try await loseDeliveries()
        try await DeliveryChannels.announce([.slack, .mail], in: test.database)
        try await sync()
        try await accounts()
        for name in ["nightly sync", "old sync"] {
            try await run("runtime_token.create", ["name": .string(name), "scopes": ["registry"]])
        }
        try await reviews()
    }

    /// Reviews of access: one in which everything is decided, late as it is, one that is due soon, and one that is overdue.
    private func reviews() async throws {
        let now = test.clock.clock.now
        for number in 1...3 { try await staff("reviewed-\(number)", roles: ["executive"]) }
        // Reviews that the laws start look at this role: enough hold it for what is taken away in them and elsewhere.
        for number in 1...3 { try await staff("helper-\(number)", roles: ["support_l1"]) }
        let exception = ComplianceException(
            id: "exc_1", controlID: "CC6.3", source: (AccessReview.type, "rev_1"), title: "A review was late",
            severity: .high, owner: "stf_everybody", openedAt: now)
        try await put([.create(exception)])
        for (number, due) in [(1, Span.days(-1)), (2, .days(2)), (3, .days(-1))] {
            let review = AccessReview(
                id: "rev_\(number)", roles: ["executive"],
                reviewers: number == 2 ? ["stf_asker", "stf_everybody"] : ["stf_everybody"], startedBy: "stf_asker",
                startedAt: now - .days(10), dueAt: now + due, exceptionID: number == 1 ? exception.id : nil)
            try await put(
                [
                    .create(review),
                    .create(item(1, of: number, state: number == 1 ? .kept : .open, reviewer: "stf_asker", at: now)),
                ]
                    + (number == 2
                        ? [2, 3].map { .create(item($0, of: 2, state: .open, reviewer: "stf_everybody", at: now)) }
                        : []))
        }
    }

    private func item(
        _ place: Int, of review: Int, state: AccessReviewItem.State, reviewer: String, at now: Instant
    ) -> AccessReviewItem {
        let person = "stf_reviewed-\(place)"
        let grant = Grant(
            id: "grt_reviewed-\(place)-executive", staffID: person, role: "executive", grantedBy: "bootstrap",
            grantedAt: now - .days(30))
        var item = AccessReviewItem(
            id: "rvi_\(review)-\(place)", reviewID: "rev_\(review)", place: Int64(place), grant: grant,
            name: "reviewed-\(place)", reviewer: reviewer, state: state)
        if state == .kept {
            item.decidedBy = "stf_everybody"
            item.decidedAt = now
            item.reasonCode = "needed"
            item.eventID = "evt_none"
        }
        return item
    }

    /// Somebody who holds two roles that are not held together, and accounts that are recovered from the server: one for whoever
    /// says no, one whose time has come. And a clock that was set.
    private func exceptions() async throws {
        let now = test.clock.clock.now
        try await staff("locked", roles: [])
        func recovery(_ number: Int, of person: String) -> Recovery {
            Recovery(
                id: "rcv_\(number)", staffID: "stf_\(person)", name: person, requestedAt: now - .hours(25),
                executeAt: now - .hours(1))
        }
        try await put([
            .create(
                StaffFlag(
                    id: "flg_1", staffID: "stf_asker", roles: ["billing_ops", "security"],
                    reason: "Stands in while the team is small.", raisedBy: "stf_nobody", raisedAt: now)),
            .create(recovery(1, of: "asker")), .create(recovery(2, of: "locked")),
            .create(
                ClockJump(
                    id: "clj_1", seconds: -90, firstAt: now - .days(2), lastAt: now - .days(2),
                    confirmedAt: now - .days(1), confirmedBy: "stf_everybody")),
            .create(ClockJump(id: "clj_2", seconds: 60, firstAt: now, lastAt: now)),
            .create(SlackLink(id: "slk_1", team: "T1", slackUser: "U1", staffID: "stf_asker", linkedAt: now)),
        ])
        try await staff("colleague", roles: [])
        try await session("ses_colleague", of: "stf_colleague")
    }

    /// Emergencies at every stage, each of another person: open, over and not said so, owed, overdue, reviewed.
    private func emergencies(on tenant: String) async throws {
        let now = test.clock.clock.now
        func emergency(_ number: Int, ago: Span) -> BreakGlass {
            BreakGlass(
                id: "brk_0000000000000000000000000\(number)", tenant: tenant, person: "stf_glass-\(number)",
                isSolo: false, reasonCode: "outage", openedAt: now - ago, eventID: "evt_glass_\(number)")
        }
        func ended(_ session: BreakGlass) -> BreakGlass {
            var after = session
            after.state = .ended
            after.endedAt = session.endsAt
            after.endedBy = "breakglass"
            after.endReason = .expiry
            after.reviewDueAt = session.endsAt + BreakGlass.reviewTime
            return after
        }
        var reviewed = ended(emergency(5, ago: .days(9)))
        reviewed.state = .reviewed
        reviewed.reviewedAt = now - .days(8)
        reviewed.reviewedBy = "stf_everybody"
        reviewed.verdict = .findings
        reviewed.findings = "Right to open it; the runbook was missing."
        reviewed.followUp = "OPS-1"
        let all = [
            emergency(1, ago: .minutes(5)), emergency(2, ago: .hours(1)), ended(emergency(3, ago: .hours(3))),
            ended(emergency(4, ago: .days(4))), reviewed,
        ]
        for number in 1...all.count { try await staff("glass-\(number)", roles: []) }
        try await put(all.map { .create($0) })
    }

    /// Service accounts of whom the laws act as, and what an identity provider tells.
    private func accounts() async throws {
        let now = test.clock.clock.now
        func token(_ text: String) -> AccountToken {
            AccountToken(prefix: String(text.prefix(10)), digest: sha256(Array(text.utf8)).hex)
        }
        try await staff("provisioned", roles: ["support_l1"])
        var changes: [Change] = []
        for number in 1...4 {
            changes.append(
                .create(
                    ServiceAccount(
                        id: "sva_\(number)", ownerID: "stf_everybody", kind: number == 4 ? .assistant : .service,
                        name: "Account \(number)", scopes: ["tenant.view", "tenant.update"],
                        token: token("psa_\(number)"), createdAt: now, expiresAt: now + .days(30))))
        }
        for number in 1...3 {
            changes.append(
                .create(
                    ScimToken(
                        id: "sct_\(number)", name: "Provider \(number)", token: token("psc_\(number)"),
                        createdBy: "stf_everybody", createdAt: now, expiresAt: now + .days(365))))
        }
        let profile = ScimProfile(
            userName: "Provisioned", email: "provisioned@staff.test", externalID: "ext-1", displayName: "provisioned")
        changes.append(
            .create(
                ScimUser(id: "scu_1", staffID: "stf_provisioned", profile: profile, createdAt: now, updatedAt: now)))
        for (number, person) in ["colleague", "locked"].enumerated() {
            changes.append(
                .create(
                    PendingGrant(
                        id: "pgr_\(number)", staffID: "stf_\(person)", role: "support_l1", source: "sct_1",
                        requestedAt: now)))
        }
        try await put(changes)
    }

    /// A session that is going on.
    public func session(_ id: String, of staff: String) async throws {
        let now = test.clock.clock.now
        _ = try await test.asOwner { writer in try writer.execute(TestQueries.session(id, of: staff, at: now)) }
    }

    /// What the product told: people, and control fields that are different here.
    private func sync() async throws {
        for id in ["u-law", "u-law-gone"] {
            try await run(
                "registry.put_user", ["user": ["external_id": .string(id), "email": .string("\(id)@c.example")]],
                by: system)
        }
        try await run(
            "registry.put_member", ["member": ["tenant": "ext-active", "user": "u-law-gone", "role": "member"]],
            by: system)
        for (slug, fields) in [
            ("active", ["plan": "business", "tier": "gold", "region": "us-east"]),
            ("suspended", ["plan": "enterprise", "status": "active"]),
        ] as [(String, [String: JSON])] {
            try await run(
                "registry.put_tenant",
                [
                    "tenant": .object(
                        fields.merging([
                            "external_id": .string("ext-\(slug)"), "name": .string("Tenant \(slug)"),
                            "slug": .string(slug),
                        ]) { first, _ in first })
                ], by: system)
        }
        let drifts = try await test.database.read { reader in
            try reader.query(TestQueries.drifts).map { try $0.string("id") }
        }
        for drift in drifts.prefix(2) { try await run("drift.dismiss", on: drift, reason: "decided_here") }
    }

    /// One endpoint that hears of everything, and disabled ones.
    private func webhooks() async throws {
        for number in 1...3 {
            let made = try await run(
                "webhook.create",
                [
                    "url": .string("https://hooks-\(number).example.com/postern"),
                    "events": ["tenant.created", "tenant.suspended", "tenant.updated"],
                ])
            if number > 1 { try await run("webhook.disable", on: made.target, reason: "maintenance") }
        }
    }

    /// Deliveries nobody took, given up at once.
    private func loseDeliveries() async throws {
        var settings = DeliveryOutbox.Settings()
        settings.schedule.patience = .seconds(0)
        settings.mailSchedule.patience = .seconds(0)
        let outbox = DeliveryOutbox(pipeline: pipeline, settings: settings, clock: test.clock.clock)
        while try await outbox.distribute() {}
        for parcel in try await outbox.claim(3, inFlight: [:]) {
            try await outbox.settle(parcel, .failed(status: 500, note: "Answered 500"), took: .milliseconds(3))
        }
    }

    /// Tenants that somebody renamed beside the log, and one that was put right by hand meanwhile.
    func drift() async throws {
        for (slug, name) in [("edited-1", "Other"), ("edited-2", "Other"), ("edited-3", "Tenant edited-3")] {
            let id = try await tenant(slug)
            try await test.tamper([TestQueries.rename(tenant: id, to: name)])
            try await run(
                "discrepancy.report", ["row_type": "tenant", "row_id": .string(id), "kind": "edited"], by: system)
        }
    }

    @discardableResult
    public func tenant(
        _ slug: String, status: String = "active", then steps: [(operation: String, reason: String)] = []
    ) async throws -> String {
        let created = try await run(
            "tenant.create",
            [
                "external_id": .string("ext-\(slug)"), "name": .string("Tenant \(slug)"), "slug": .string(slug),
                "status": .string(status), "plan": "team", "region": "eu-west",
            ])
        let id = created.target ?? ""
        for step in steps { try await run(step.operation, on: id, reason: step.reason) }
        return id
    }

    /// Tenants where the product and the provider report on, several because operations take them.
    private func stages() async throws {
        for number in 1...3 {
            try await tenant("pending-\(number)", status: "pending")
            try await tenant("ready-\(number)", status: "ready")
            let expired = try await tenant("expired-\(number)")
            try await run("tenant.expire", on: expired, by: system)
            let moving = try await tenant("moving-\(number)")
            try await run("tenant.change_region", on: moving, ["region": "us-east"])
            try await run("tenant.change_plan", on: moving, ["plan": "business"])
            let stuck = try await tenant("stuck-\(number)")
            try await run("tenant.change_plan", on: stuck, ["plan": "business"])
            try await run("tenant.fail_change", on: stuck, ["field": "plan", "reason": "No such plan."], by: system)
        }
        // With people: an owner, and the member that examples name.
        for number in 1...3 {
            try await run(
                "registry.import_batch",
                [
                    "rows": [
                        [
                            "external_id": .string("peopled-\(number)"), "name": "Peopled",
                            "slug": .string("peopled-\(number)"), "owner_email": "owner@example.com",
                            "members": [["email": "grace@example.com", "name": "Grace", "role": "billing"]],
                        ]
                    ]
                ], by: system)
        }
    }

    /// Saved views: one that is shared, and several that are not, because operations take them.
    private func views() async throws {
        for number in 1...5 {
            let made = try await run(
                "segment.save", ["name": .string("View \(number)"), "filter": "status=active&sort=name"])
            if number == 1 { try await run("segment.share", on: made.target, ["shared": true]) }
        }
    }
}
