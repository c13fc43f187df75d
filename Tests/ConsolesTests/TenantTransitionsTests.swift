import Testing

@testable import Consoles
@testable import Kernel

/// The specification's table, written out by hand: status → operation → reason codes, and where each leads.
private let legal: [TenantStatus: [String: (codes: Set<String>, to: TenantStatus?)]] = [
    .pending: [:],
    .ready: ["tenant.suspend": (suspend, .suspended), "tenant.archive": (archive, .archived)],
    .failed: ["tenant.retry_onboarding": (["retry"], .pending), "tenant.archive": (archive, .archived)],
    .active: ["tenant.suspend": (suspend, .suspended), "tenant.archive": (archive, .archived)],
    .expired: [
        "tenant.suspend": (suspend, .suspended), "tenant.archive": (archive, .archived),
        "tenant.restore": (["converted"], .active),
    ],
    .suspended: [
        // `nil`: wherever it came from.
        "tenant.restore": (["payment_recovered", "investigation_closed", "legal_hold_lifted"], nil),
        "tenant.archive": (archive, .archived),
    ],
    .cancelled: [
        "tenant.suspend": (suspend, .suspended), "tenant.archive": (archive, .archived),
        "tenant.restore": (["customer_un_cancel", "csm_save"], .active),
    ],
    .archived: [
        "tenant.restore": (["customer_return"], nil),
        "tenant.hard_delete": (["gdpr_erasure_request", "retention_policy"], .deleted),
    ],
    .deleted: [:],
]
private let suspend: Set = ["non_payment", "abuse", "legal_hold", "support_investigation"]
private let archive: Set = ["customer_departed", "policy_inactive_180d"]
private let operations = [
    "tenant.suspend", "tenant.restore", "tenant.archive", "tenant.hard_delete", "tenant.retry_onboarding",
]
private let codes: [String] =
    suspend.sorted() + archive.sorted()
    + [
        "payment_recovered", "investigation_closed", "legal_hold_lifted", "converted", "customer_un_cancel", "csm_save",
        "customer_return", "gdpr_erasure_request", "retention_policy", "retry", "because",
    ]

@Suite struct TenantTransitionsTests {
    @Test(arguments: TenantStatus.allCases, operations)
    func `every cell of the state machine is allowed or refused as the table says`(
        status: TenantStatus, operation: String
    ) throws {
        var target = tenant(status, resumesTo: status == .suspended || status == .archived ? .expired : nil)
        if status == .archived { target.deletionEligibleAt = noon - .days(1) }
        let cell = legal[status]?[operation]
        for code in codes {
            if let cell, cell.codes.contains(code) {
                let after = try #require(try plan(operation, target, code).after)
                #expect(after.status == cell.to ?? .expired, "\(status) \(operation) \(code)")
                #expect(after.statusSince == noon)
            } else {
                let refusal = #expect(throws: Refusal.self, "\(status) \(operation) \(code)") {
                    try plan(operation, target, code)
                }
                guard case .conflict(let sentence, let named) = refusal else {
                    Issue.record("not a conflict: \(String(describing: refusal))")
                    continue
                }
                #expect(sentence.hasSuffix(".") && sentence.contains(status.rawValue))
                let allOfStatus = Set(
                    (legal[status] ?? [:]).flatMap { name, cell in cell.codes.map { "\(name) \($0)" } })
                let ofCell = Set((cell?.codes ?? []).map { "\(operation) \($0)" })
                #expect(Set(named ?? []) == (cell == nil ? allOfStatus : ofCell))
            }
        }
    }

    @Test(arguments: TenantStatus.allCases, operations)
    func `a control is off exactly where no reason code would help`(status: TenantStatus, operation: String) {
        var target = tenant(status)
        if status == .archived { target.deletionEligibleAt = noon - .days(1) }
        let off: Unavailable? =
            switch operation {
            case "tenant.suspend": SuspendTenant.unavailable(target, now: noon)
            case "tenant.restore": RestoreTenant.unavailable(target, now: noon)
            case "tenant.archive": ArchiveTenant.unavailable(target, now: noon)
            case "tenant.retry_onboarding": RetryOnboarding.unavailable(target, now: noon)
            default: HardDeleteTenant.unavailable(target, now: noon)
            }
        #expect((off == nil) == (legal[status]?[operation] != nil))
        // Who can lift it: each of these operations is possible now and leads on.
        for lifting in off?.lifting ?? [] {
            #expect(!TenantTransitions.transitions(from: status, by: lifting).isEmpty, "\(operation): \(lifting)")
        }
    }

    @Test func `what is off says who can lift it`() {
        func off(_ operation: String, _ status: TenantStatus) -> Unavailable? {
            TenantTransitions.unavailable(operation, in: status)
        }
        #expect(off("tenant.suspend", .archived)?.lifting == ["tenant.restore"])
        #expect(off("tenant.suspend", .suspended) == Unavailable("it is suspended already"))
        #expect(off("tenant.restore", .active)?.reason == "there is nothing to restore")
        #expect(HardDeleteTenant.unavailable(tenant(.active), now: noon)?.lifting == ["tenant.archive"])
        #expect(HardDeleteTenant.unavailable(tenant(.deleted), now: noon)?.note == "Deletion is final.")
    }

    @Test func `reason codes offered in the forms are those of the table`() {
        for (spec, name) in [
            (SuspendTenant.spec, "tenant.suspend"), (RestoreTenant.spec, "tenant.restore"),
            (ArchiveTenant.spec, "tenant.archive"), (HardDeleteTenant.spec, "tenant.hard_delete"),
            (RetryOnboarding.spec, "tenant.retry_onboarding"),
        ] {
            let inTable = TenantTransitions.table.filter { $0.by == .operation(name) }.flatMap(\.reasonCodes)
            #expect(spec.reasonCodes.map(\.code) == inTable)
        }
    }

    @Test func `a refusal says what can be done instead`() {
        let refusal = #expect(throws: Refusal.self) { try plan("tenant.suspend", tenant(.archived), "abuse") }
        #expect(
            refusal
                == .conflict(
                    "An archived tenant can't be suspended. It can be restored or deleted for good.",
                    legal: [
                        "tenant.restore customer_return", "tenant.hard_delete gdpr_erasure_request",
                        "tenant.hard_delete retention_policy",
                    ]))
        let wrongCode = #expect(throws: Refusal.self) { try plan("tenant.restore", tenant(.suspended), "converted") }
        #expect(
            wrongCode
                == .conflict(
                    "A suspended tenant can be restored, but not with the reason “Expired: they subscribed” (converted). "
                        + "Choose “Suspended: the invoices are paid” (payment_recovered), “Suspended: the investigation is "
                        + "closed” (investigation_closed) or “Suspended: the legal hold is lifted” (legal_hold_lifted).",
                    legal: [
                        "tenant.restore payment_recovered", "tenant.restore investigation_closed",
                        "tenant.restore legal_hold_lifted",
                    ]))
        #expect(throws: Refusal.self) { try plan("tenant.restore", tenant(.suspended), nil) }
    }

    @Test(arguments: [TenantStatus.ready, .active, .expired, .cancelled])
    func `suspension remembers where the tenant came from and restore returns there`(status: TenantStatus) throws {
        let suspended = try #require(try plan("tenant.suspend", tenant(status), "abuse").after)
        #expect(suspended.resumesTo == status)
        let restored = try #require(try plan("tenant.restore", suspended, "investigation_closed").after)
        #expect(restored.status == status && restored.resumesTo == nil)
    }

    @Test func `a suspended tenant that was archived returns into its suspension and from there to where it began`()
        throws
    {
        let suspended = try #require(try plan("tenant.suspend", tenant(.expired), "abuse").after)
        let archived = try #require(try plan("tenant.archive", suspended, "customer_departed").after)
        #expect(archived.resumesTo == .suspended && archived.thenResumesTo == .expired)
        #expect(archived.deletionEligibleAt == noon + .days(90))
        let back = try #require(try plan("tenant.restore", archived, "customer_return").after)
        #expect(back.status == .suspended && back.resumesTo == .expired && back.thenResumesTo == nil)
        #expect(back.deletionEligibleAt == nil)
        #expect(try plan("tenant.restore", back, "legal_hold_lifted").after?.status == .expired)
    }

    @Test func `hard delete waits for the ninety days`() throws {
        var archived = tenant(.archived, resumesTo: .active)
        archived.deletionEligibleAt = noon + .days(1)
        #expect(throws: Refusal.self) { try plan("tenant.hard_delete", archived, "retention_policy") }
        #expect(HardDeleteTenant.unavailable(archived, now: noon)?.reason == "possible from 18 Nov 2026 on")
        #expect(
            try plan("tenant.hard_delete", archived, "retention_policy", at: noon + .days(1)).after?.status == .deleted)
    }

    @Test func `hard delete leaves a tombstone and revokes every membership`() throws {
        var archived = tenant(.archived, resumesTo: .suspended, then: .active)
        archived.deletionEligibleAt = noon
        archived.ownerID = "usr_1"
        let members = (0..<3).map {
            Membership(id: "mem_\($0)", tenant: archived.id, userID: "usr_\($0)", role: .member, status: .joined)
        }
        let plan = try HardDeleteTenant.plan(
            call(
                HardDeleteTenant.self, on: archived, facts: .init(members: members, isMore: false),
                reasonCode: "gdpr_erasure_request"))
        let after = try #require(plan.after)
        #expect(after.name == "Deleted tenant" && after.metadata.isEmpty && after.ownerID == nil)
        #expect(after.slug.hasPrefix("deleted-") && after.slug.utf8.count <= 63 && after.resumesTo == nil)
        #expect(after.thenResumesTo == nil && after.deletionEligibleAt == nil)
        #expect(plan.also.count == 3)
        #expect(plan.also.allSatisfy { ($0.after as? Membership)?.status == .revoked })
        #expect(!plan.recordsDigests)
        #expect(plan.effects.map(\.name) == ["tenant.deleted"])
        // By it the product's next word about it is known to come too late.
        #expect(after.externalID == archived.externalID && plan.consequence.contains("external id stays"))
    }
}

@Suite struct TenantUndoTests {
    /// The law: every field except version, times, history comes back.
    static let exempt: Set = ["version", "created_at", "updated_at", "status_since", "deletion_eligible_at"]

    private func kept(_ tenant: Tenant) -> [String: JSON] {
        (tenant.document.object ?? [:]).filter { !Self.exempt.contains($0.key) }
    }

    private func undo(_ operation: String, _ before: Tenant, _ after: Tenant, _ code: String) -> Undo {
        switch operation {
        case "tenant.suspend":
            SuspendTenant.undo(
                Done(target: before.id, before: before.document, after: after.document, reasonCode: code))
        case "tenant.restore":
            RestoreTenant.undo(
                Done(target: before.id, before: before.document, after: after.document, reasonCode: code))
        default:
            ArchiveTenant.undo(
                Done(target: before.id, before: before.document, after: after.document, reasonCode: code))
        }
    }

    @Test func `undo after do restores every field from every state that can be left`() throws {
        let states: [Tenant] = TenantStatus.allCases.flatMap { status -> [Tenant] in
            switch status {
            case .suspended: [.ready, .active, .expired, .cancelled].map { tenant(.suspended, resumesTo: $0) }
            case .archived:
                [.ready, .failed, .active, .expired, .cancelled].map { tenant(.archived, resumesTo: $0) }
                    + [.ready, .active, .expired, .cancelled].map { tenant(.archived, resumesTo: .suspended, then: $0) }
            default: [tenant(status)]
            }
        }
        var undone = 0
        for before in states {
            for operation in ["tenant.suspend", "tenant.restore", "tenant.archive"] {
                for code in codes {
                    guard let after = try? plan(operation, before, code).after else { continue }
                    guard case .run(let inverse, let inverseCode, _, _) = undo(operation, before, after, code) else {
                        #expect(operation == "tenant.restore" && [.expired, .cancelled].contains(before.status))
                        continue
                    }
                    let back = try #require(try plan(inverse, after, inverseCode, at: noon + .hours(1)).after)
                    #expect(kept(back) == kept(before), "\(before.status) \(operation) \(code)")
                    undone += 1
                }
            }
        }
        #expect(undone == 4 * 4 + 4 * 3 + 9 + 9 * 2)
    }

    @Test func `undoing an edit puts back exactly the fields it changed`() throws {
        let before = tenant()
        let input = UpdateTenant.Input()
        input.name = "Acme Ltd"
        input.metadata = TenantMetadata([:])
        let after = try #require(
            try UpdateTenant.plan(call(UpdateTenant.self, on: before, input: input, facts: TenantNames())).after)
        #expect(after.name == "Acme Ltd" && after.metadata.isEmpty && after.slug == before.slug)
        guard
            case .run("tenant.update", _, let back, _) = UpdateTenant.undo(
                Done(target: before.id, before: before.document, after: after.document, reasonCode: nil))
        else {
            Issue.record("not undone by an edit")
            return
        }
        #expect(back == ["name": "Acme Robotics", "metadata": ["segment": "robotics"]])
        let again = try UpdateTenant.Input.parse(back)
        let restored = try #require(
            try UpdateTenant.plan(call(UpdateTenant.self, on: after, input: again, facts: TenantNames())).after)
        #expect(kept(restored) == kept(before))
    }

    @Test func `an edit that changes nothing and a taken slug are refused`() {
        let input = UpdateTenant.Input()
        input.name = "Acme Robotics"
        #expect(throws: Refusal.self) {
            try UpdateTenant.plan(call(UpdateTenant.self, on: tenant(), input: input, facts: TenantNames()))
        }
        input.slug = "northwind"
        let refusal = #expect(throws: Refusal.self) {
            try UpdateTenant.plan(
                call(UpdateTenant.self, on: tenant(), input: input, facts: TenantNames(slugTakenBy: "Northwind")))
        }
        #expect(refusal == .field("slug", "Slug is taken by \"Northwind\"; choose another one."))
    }
}
