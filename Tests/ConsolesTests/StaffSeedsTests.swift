import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

@Suite struct StaffSeedsTests {
    @Test func `the permission matrix is the one that was reviewed`() throws {
        var lines = ["# role\tpermission\trisk\tlimit; what is not listed is refused"]
        for cell in Seeds.permissions {
            let limit =
                cell.limits.map { limits in
                    limits.map { limit in
                        "\(limit.amount) \(limit.currency)" + (limit.daily.map { " (\($0) a day)" } ?? "")
                    }.joined(separator: ", ")
                } ?? "-"
            let risk = PermissionCatalog[cell.permission]?.risk.rawValue ?? "unknown"
            lines.append("\(cell.role)\t\(cell.permission)\t\(risk)\t\(limit)")
        }
        for role in Seeds.roles where !Seeds.permissions.contains(where: { $0.role == role.id }) {
            lines.append("\(role.id)\t(none)\t-\t-")
        }
        try Golden.expect("permissions.txt", lines.joined(separator: "\n") + "\n")
    }

    @Test func `every shipped role has a title, and no sentence falls back to its code`() {
        for role in Seeds.roles {
            #expect(role.title != role.id && role.title == RoleTitle.of(role.id), "\(role.id)")
            #expect(Demand.role([role.id]).sentence == "1 person with \(role.title)")
        }
    }

    @Test func `roles and permissions are told in words that everybody knows`() {
        let jargon = ["primitive", "DPA", "co-sign", "custody", "kill switch", "GDPR"]
        for role in Seeds.roles {
            #expect(!jargon.contains { role.summary.contains($0) }, "\(role.id): \(role.summary)")
            #expect(role.summary.hasSuffix("."), "\(role.id) has no sentence")
        }
        for entry in PermissionCatalog.entries {
            #expect(!jargon.contains { entry.title.contains($0) }, "\(entry.code): \(entry.title)")
        }
    }

    @Test func `the approval rules are the ones that were reviewed`() throws {
        var lines = ["# rule\toperation\twhen\twho\twindow s\tcooldown s"]
        for rule in Seeds.rules {
            lines.append(
                [
                    rule.id, rule.operation, rule.condition.json.canonicalText, rule.demand.json.canonicalText,
                    "\(rule.window.seconds)", rule.cooldown.map { "\($0.seconds)" } ?? "-",
                ].joined(separator: "\t"))
        }
        try Golden.expect("approvals.txt", lines.joined(separator: "\n") + "\n")
    }

    @Test func `super_admin holds every permission, and nobody holds one that is not in the catalogue`() {
        let held = Set(Seeds.permissions.filter { $0.role == "super_admin" }.map(\.permission))
        #expect(held == Set(PermissionCatalog.entries.map(\.code)))
        for cell in Seeds.permissions { #expect(PermissionCatalog[cell.permission] != nil, "\(cell.id)") }
    }

    @Test func `every cell, role and rule stands once`() {
        #expect(Set(Seeds.permissions.map(\.id)).count == Seeds.permissions.count)
        #expect(Set(Seeds.roles.map(\.id)).count == Seeds.roles.count)
        #expect(Set(Seeds.rules.map(\.id)).count == Seeds.rules.count)
        let roles = Set(Seeds.roles.map(\.id))
        for cell in Seeds.permissions { #expect(roles.contains(cell.role)) }
    }

    @Test func `every permission an operation or read asks for is in the catalogue, with the same risk`() {
        let catalog = Catalog(Consoles.all)
        for code in catalog.permissions {
            #expect(PermissionCatalog[code] != nil, "\(code) is asked for and not in PermissionCatalog")
        }
        for operation in catalog.operations
        where !operation.spec.systemOnly && operation.spec.permission == operation.spec.name {
            #expect(PermissionCatalog[operation.spec.permission]?.risk == operation.spec.risk, "\(operation.spec.name)")
        }
        for menu in Consoles.all.flatMap(\.menu) {
            if let code = menu.permission { #expect(PermissionCatalog[code] != nil, "menu \(menu.title): \(code)") }
        }
        for page in Consoles.all.flatMap(\.pages) {
            if let code = page.permission { #expect(PermissionCatalog[code] != nil, "page \(page.path): \(code)") }
        }
    }

    /// access §1, "may never hold, by default".
    @Test(
        arguments: [
            (
                "support_l1",
                [
                    "impersonation.", "tenant.suspend", "tenant.credit", "payment.", "user.revoke_sessions",
                    "user.force_logout", "tenant.hard_delete", "user.delete",
                ]
            ),
            (
                "support_l2",
                ["tenant.hard_delete", "user.delete", "payment.refund", "subscription.override_price", "bulk."]
            ),
            ("billing_ops", ["tenant.suspend", "impersonation.", "tenant.hard_delete", "user.delete", "flag."]),
            (
                "engineering_oncall",
                ["payment.", "tenant.credit", "subscription.", "tenant.hard_delete", "impersonation."]
            ),
            ("security", ["payment.refund", "subscription.override_price", "impersonation.start"]),
            ("finance_lead", ["payment.refund", "impersonation.", "tenant.suspend", "tenant.hard_delete"]),
            (
                "customer_success",
                ["payment.", "tenant.credit", "subscription.", "tenant.suspend", "tenant.hard_delete"]
            ),
            ("head_of_cs", ["payment.", "tenant.credit", "subscription."]),
            ("incident_commander", ["payment.", "tenant.credit", "subscription."]),
            ("compliance", ["tenant.", "user."]),
            ("legal", ["tenant.", "user."]),
            ("executive", [""]),
        ] as [(String, [String])])
    func `no role holds what it must never hold`(role: String, never: [String]) {
        // Deciding on what one's role is asked to sign is no power of its own.
        for cell in Seeds.permissions where cell.role == role && cell.permission != "approval.decide" {
            for prefix in never { #expect(!cell.permission.hasPrefix(prefix), "\(cell.id)") }
        }
    }

    @Test func `support_l2 may credit up to 50.00 at once and a day, and billing_ops has no such ceiling`() {
        let cells = Seeds.permissions.filter { $0.permission == "tenant.credit" }
        #expect(cells.first { $0.role == "support_l2" }?.limits == [Limit(currency: "USD", amount: 5000, daily: 5000)])
        #expect(cells.first { $0.role == "billing_ops" }?.limits == nil)
    }

    @Test(
        arguments: [
            (9_999, []), (10_000, ["billing_ops"]), (100_000, ["billing_ops"]), (100_001, ["finance_lead"]),
        ] as [(Int64, [String])])
    func `money climbs one ladder`(amount: Int64, signers: [String]) {
        for operation in ["payment.refund", "subscription.discount", "invoice.write_off"] {
            let measures = Measures(["amount": .int(amount), "currency": "USD", "actor_amount": .int(amount)])
            let matching = Seeds.rules.filter { $0.covers(operation) && $0.condition.matches(measures) }
            #expect(matching.map(\.demand) == signers.map { .role([$0]) }, "\(operation) \(amount)")
        }
    }

    @Test(arguments: ["dispute.decide", "dispute.overturn", "sla_credit.adjust", "sla_credit.mass", "bulk.credit"])
    func `whatever moves money has every step of the ladder`(operation: String) {
        let rules = Set(Seeds.rules.filter { $0.covers(operation) }.map(\.id))
        let id = operation.replacing(".", with: "_")
        for step in ["usd_100", "usd_1000", "actor_daily", "unconverted"] {
            #expect(rules.contains("\(id)_\(step)"), "\(operation) \(step)")
        }
    }

    @Test func `a currency without a rate always needs the finance lead`() {
        let measures = Measures(["amount": 1, "currency": "none", "actor_amount": 0])
        let matching = Seeds.rules.filter { $0.covers("payment.refund") && $0.condition.matches(measures) }
        #expect(matching.map(\.demand) == [.role(["finance_lead"])])
    }

    @Test func `deleting a tenant waits for another super admin and then a day`() throws {
        let rule = try #require(Seeds.rules.first { $0.operation == "tenant.hard_delete" })
        #expect(rule.demand == .role(["super_admin"]))
        #expect(rule.window == .hours(24))
        #expect(rule.cooldown == .hours(24))
        #expect(rule.condition == .always)
    }

    @Test(
        arguments: [
            (["billing_ops", "security"], false), (["support_l1", "billing_ops"], false),
            (["support_l2", "billing_ops"], false), (["support_l1", "support_l2"], true),
            (["security", "support_l1"], true),
        ] as [([String], Bool)])
    func `roles that check each other are not held together`(roles: [String], allowed: Bool) {
        #expect((RoleSeparation.sentence(Set(roles), under: Seeds.separations) == nil) == allowed)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `seeding puts every row in, names them all in one event, and adds nothing twice`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let events = try await fixture.events("policy.seed")
            #expect(events.count == 1)
            let rows = Int64(
                Seeds.roles.count + Seeds.permissions.count + Seeds.rules.count + Seeds.separations.count
                    + PolicySetting.Key.allCases.count + Seeds.currencies.count + 1 + Worker.Name.allCases.count)
            #expect(events[0]["facts"]?["rows"] == .int(rows))
            #expect(events[0]["facts"]?["seed_version"] == .int(Seeds.version))
            #expect(
                try await fixture.count("SELECT COUNT(*) AS count FROM role_permissions")
                    == Int64(Seeds.permissions.count))
            #expect(try await !test.database.read { try SeedPolicy.isNeeded($0) })

            let again = try await fixture.pipeline.run(
                OperationRequest(operation: "policy.seed"), by: StaffFixture.system("migrate"))
            guard case .applied(let applied) = again.result else { throw StoreError.other("not applied") }
            #expect(applied.consequence == "Nothing was missing.")
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM roles") == Int64(Seeds.roles.count))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `rows read back are the rows that were seeded`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            _ = fixture
            let (cells, rules) = try await test.database.read { reader in
                (
                    try reader.query(RolePermission.selectAll(after: "", limit: 5000)).map(RolePermission.init),
                    try reader.query(ApprovalRuleRow.selectAll(after: "", limit: 5000)).map(ApprovalRuleRow.init)
                )
            }
            #expect(Set(cells) == Set(Seeds.permissions))
            #expect(
                Set(rules.map(\.document.canonicalText))
                    == Set(Seeds.rules.map { ApprovalRuleRow($0).document.canonicalText }))
        }
    }
}
