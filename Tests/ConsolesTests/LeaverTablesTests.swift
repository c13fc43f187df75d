import Consoles
import HTML
import Kernel
import Store
import TestSupport
import Testing

/// Somebody leaves, and not one row of any table gives them anything any more: whatever table names them is known here, so that one
/// that comes later is thought about.
@Suite struct LeaverTablesTests {
    /// Where a person may be named after they left, and why that is no power. `what` narrows to rows that would be power: none of
    /// them may be left.
    private static let known: [String: (why: String, power: String?)] = [
        "staff.id": ("the account, which is deactivated", "status <> 'deactivated'"),
        "staff.invited_by": ("history", nil), "staff.reset_by": ("history", nil),
        "grants.staff_id": ("what they held", "revoked_at IS NULL"), "grants.granted_by": ("history", nil),
        "grants.token_holder": ("history", nil), "pending_grants.token_holder": ("history", nil),
        "scim_tokens.created_by": ("the provider's token, which is no person's", nil),
        "scim_tokens.previous_by": ("the same, until the other one has taken its place", nil),
        "sessions.staff_id": ("where they were signed in", "ended_at IS NULL"),
        "slack_links.staff_id": ("accounts of Slack that spoke for them", "ended_at IS NULL"),
        "enrolments.staff_id": ("links", "state IN ('open', 'waiting')"),
        "factors.staff_id": ("what they prove who they are with; the account lets nobody in", nil),
        "approvals.requester": (
            "what they asked for", "state IN ('pending', 'stale', 'approved', 'scheduled')"
        ),
        "approvals.target_id": ("what was asked about them", nil),
        "approval_signatures.person": ("counts only while its signer is active and holds what they signed as", nil),
        "approval_leaves.requester": ("whom their requests still ask", "1 = 1"),
        "recoveries.staff_id": ("recoveries of the account", "state = 'pending'"),
        "staff_flags.staff_id": ("history", nil), "staff_flags.raised_by": ("history", nil),
        "staff_flags.cleared_by": ("history", nil), "recoveries.ended_by": ("history", nil),
        "access_reviews.started_by": ("history", nil), "access_reviews.ended_by": ("history", nil),
        "access_review_items.staff_id": ("what was looked at", nil),
        "access_review_items.granted_by": ("history", nil),
        "access_review_items.reviewer": ("what they were to decide", "state = 'open'"),
        "access_review_items.decided_by": ("history", nil),
        "compliance_exceptions.owner": ("a duty, and no right", nil),
        "compliance_exceptions.closed_by": ("history", nil), "clock_jumps.confirmed_by": ("history", nil),
        "segments.owner_id": ("a saved view", nil), "segments.created_by": ("a saved view", nil),
        "runtime_tokens.created_by": ("the product's token, which is no person's", nil),
        "idempotency.person": ("answers kept for repetition, to be asked for with a session", nil),
        "spending.person": ("sums", nil),
        "tenants.csm_id": ("a signature as their manager counts only while active", nil),
    ]
    /// The log names whoever did something, for ever.
    private static let log: Set<String> = [
        "events", "event_entity", "entity_head", "sealed", "sealed_subject", "log_leaf", "sealed_erasure",
    ]

    @Test(arguments: TestDatabase.Kind.allCases)
    func `no table gives somebody who left anything`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false, sendsMail: true)
        let leaver = try await world.staff("leaver", roles: ["super_admin", "compliance"])
        let boss = try await world.staff("boss", roles: ["super_admin"])
        let guardian = try await world.staff("guardian", roles: ["security"])
        let ann = try await world.staff("ann", roles: ["support_l1"], grantedBy: leaver.person)
        let me = leaver.person
        // One of everything that names them: sessions, links, requests, signatures, flags, recoveries, reviews.
        try await world.session("ses_leaver", of: me)
        let review = try await world.run("access_review.start", by: try await world.caller(me))
        try await world.run(
            "access_review_item.keep", on: try await Self.item(of: "stf_guardian", world), reason: "needed",
            by: try await world.caller(me))
        _ = try await world.ask("staff.grant_role", on: ann.person, ["role": "legal"], by: try await world.caller(me))
        let other = try await world.ask(
            "staff.reset_factors", on: ann.person, reason: "lost", by: try await world.caller(boss.person))
        try await world.run("approval.reject", on: other.approvalID, by: try await world.caller(me))
        let now = world.test.clock.clock.now
        try await world.put([
            .create(
                StaffFlag(
                    id: "flg_l", staffID: me, roles: ["billing_ops", "security"], reason: "Stands in for a while.",
                    raisedBy: boss.person, raisedAt: now)),
            .create(
                Recovery(
                    id: "rcv_l", staffID: me, name: "leaver", requestedAt: now, executeAt: now + .hours(24))),
            .create(SlackLink(id: "slk_l", team: "T1", slackUser: "U9", staffID: me, linkedAt: now)),
        ])
        // A provider's token that they were shown, replaced by somebody else, and what came through it.
        let token = try await world.ask("scim_token.create", ["name": "Entra ID"], by: try await world.caller(me))
        try await world.run("approval.approve", on: token.approvalID, by: try await world.caller(boss.person))
        let door = ScimDoor(pipeline: world.pipeline, clock: world.test.clock.clock)
        let text = try #require(
            try await world.pipeline.takeReveal(of: token.approvalID, by: try await world.caller(me))?["token"])
        let provider = try await door.authenticate(
            token: text, from: Source(ip: "192.0.2.7", userAgent: "entra", client: .api, requestID: "req_scim"))
        let ned = try await world.staff("ned", roles: [])
        _ = try await world.pipeline.run(
            together: ["support_l1", "compliance"].map {
                OperationRequest(
                    operation: "staff.provision_role", target: ned.person, input: ["role": .string($0)])
            }, by: provider)
        let rotated = try await world.ask(
            "scim_token.rotate", on: provider.displayName, by: try await world.caller(boss.person))
        try await world.run("approval.approve", on: rotated.approvalID, by: try await world.caller(guardian.person))
        let reviewers = { () async throws -> [String] in
            try await world.test.database.read { try AccessReview.load(review.target ?? "", from: $0)?.reviewers ?? [] }
        }
        #expect(try await reviewers().contains(me))

        try await world.run("staff.deactivate", on: me, reason: "left", by: try await world.caller(boss.person))

        let columns = try await Self.columns(world)
        #expect(columns.count > 100)
        var named: Set<String> = []
        for (table, column) in columns where !Self.log.contains(table) {
            let count = try await Self.count("\(table) WHERE \(column) = $1", me, world)
            guard count > 0 else { continue }
            let place = "\(table).\(column)"
            named.insert(place)
            let entry = try #require(Self.known[place], "\(place) names somebody who left, and nobody said why")
            if let power = entry.power {
                let left = try await Self.count("\(table) WHERE \(column) = $1 AND \(power)", me, world)
                #expect(left == 0, "\(place): \(entry.why), and \(left) of them still count")
            }
        }
        // So that the test above can fail: it did look at all of these.
        #expect(
            named.isSuperset(of: [
                "staff.id", "grants.staff_id", "sessions.staff_id", "approvals.requester", "approval_signatures.person",
                "recoveries.staff_id", "staff_flags.staff_id", "access_review_items.staff_id",
                "access_review_items.decided_by", "access_reviews.started_by", "grants.token_holder",
                "pending_grants.token_holder", "scim_tokens.previous_by", "slack_links.staff_id",
            ]), "\(named.sorted())")
        // And where they stand in a list of a document.
        #expect(try await !reviewers().contains(me))
        let standing = try await world.test.database.read { reader in
            let directory = StaffDirectory()
            return try directory.standings(of: [me]).read(from: reader)[me]
        }
        #expect(standing?.isActive == false && standing?.roles.isEmpty == true)
        #expect(standing?.permissions.granted.isEmpty == true)
        _ = guardian
        await world.close()
    }

    private static func item(of person: String, _ world: World) async throws -> String {
        let row = try await world.test.database.read { reader in
            try reader.first(
                Statement("SELECT id FROM access_review_items WHERE staff_id = $1 ORDER BY id", [.text(person)]))
        }
        return try #require(try row?.string("id"))
    }

    /// Every column of text there is.
    private static func columns(_ world: World) async throws -> [(table: String, column: String)] {
        let text =
            world.test.kind == .postgres
            ? """
            SELECT table_name AS t, column_name AS c FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type IN ('text', 'character varying') ORDER BY 1, 2
            """
            : """
            SELECT m.name AS t, p.name AS c FROM sqlite_master m JOIN pragma_table_info(m.name) p
            WHERE m.type = 'table' AND m.sql NOT LIKE '%VIRTUAL%' AND m.name NOT LIKE 'sqlite_%' AND upper(p.type) LIKE '%TEXT%'
            ORDER BY 1, 2
            """
        return try await world.test.asOwner { writer in
            try writer.query(Statement(text)).map { (try $0.string("t"), try $0.string("c")) }
        }
    }

    private static func count(_ clause: String, _ id: String, _ world: World) async throws -> Int64 {
        try await world.test.asOwner { writer in
            try writer.query(Statement("SELECT COUNT(*) AS count FROM \(clause)", [.text(id)])).first?.int("count") ?? 0
        }
    }
}
