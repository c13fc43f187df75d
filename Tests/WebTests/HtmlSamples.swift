import Foundation
import HTML
import Kernel

@testable import Consoles

/// One moment and the people, tenants and events that the pages are tried with.
enum Sample {
    static let now = Instant(rfc3339: "2026-11-17T14:32:00.123456Z")!

    static let operations = Consoles.all.flatMap(\.operations)
    static let catalog = Catalog(
        operations: operations, reads: Consoles.all.flatMap(\.reads), entities: Consoles.all.flatMap(\.entities))

    static let caller = Caller(
        actor: Actor(.staff, "stf_01JA7Q4ZK8N3V0XWB2M6RHTC9A"), person: "stf_01JA7Q4ZK8N3V0XWB2M6RHTC9A",
        displayName: "Ines K.", roles: ["support_l2", "security"],
        permissions: Permissions(
            Dictionary(
                uniqueKeysWithValues: [
                    "tenant.view", "tenant.suspend", "tenant.restore", "tenant.update", "audit.view", "audit.export",
                ].map { ($0, [Limit]?.none) })), client: .console, requestID: "req_01JCXRV0K7QHM2V8T5E0ZB6WYN")

    static let cursors = CursorCodec(key: [UInt8](repeating: 7, count: 32))

    static func call(_ path: [String: String] = [:], _ query: [String: [String]] = [:]) -> PageCall {
        PageCall(path: path, query: query, caller: caller, cursors: cursors, catalog: catalog)
    }

    static let tenant = Tenant(
        id: "ten_01JA7Q4ZK8N3V0XWB2M6RHTC9E", externalID: "nwc-004417", slug: "acme-robotics", name: "Acme Robotics",
        status: .active, plan: "business", tier: "standard", region: "us-east",
        createdAt: Instant(rfc3339: "2024-02-03T09:00:00Z")!, now: now)

    static var target: OperationFormModel.Target {
        .init(
            id: tenant.id, name: tenant.name, path: "/tenants/\(tenant.id)", listTitle: "Tenants", listPath: "/tenants",
            marks: UI.chip("Active", .ok, .on), confirmText: tenant.slug)
    }

    static let rule = ApprovalRule(
        id: "enterprise_suspend", operation: "tenant.suspend", condition: .always, demand: .role(["head_of_cs"]),
        window: .hours(24), cooldown: nil, version: 1, summary: "Suspending an enterprise tenant")

    static func preview(
        allowed: Bool = true, approvals: [ApprovalNeed] = [], effects: Bool = true
    ) -> Preview {
        var after = tenant
        after.status = .suspended
        after.version = 413
        var before = tenant
        before.version = 412
        return Preview(
            operation: "tenant.suspend", target: tenant.id, allowed: allowed,
            reasons: allowed ? [] : ["A legal hold stands; legal can lift it."],
            consequence: "Acme Robotics is suspended; its 46 members can't sign in until it is restored.",
            changes: [EntityChange(.update(before, to: after))],
            effects: effects
                ? [
                    Effect(
                        kind: "webhook", name: "tenant.suspended",
                        summary: "Webhook tenant.suspended to the endpoints that ask for it",
                        payload: .object([:]), tenant: tenant.id),
                    Effect(
                        kind: "email", name: "owner", summary: "E-mail to lena.f@acme-robotics.example",
                        payload: .object([:]), tenant: tenant.id),
                ] : [], approvals: approvals, reversibility: "Can be undone for 24 hours, by Restore tenant.",
            undoOperation: "tenant.restore", version: 412)
    }

    static func form(
        _ operation: String = "tenant.suspend", values: [String: String] = [:], errors: [FieldError] = [],
        preview: Preview? = nil, needsCode: Bool = false
    ) -> OperationFormModel {
        let operation = catalog[operation]!
        return OperationFormModel(
            operation: operation, target: operation.creates ? nil : target,
            url: "/tenants/\(tenant.id)/\(operation.spec.verbPath)", cancelURL: "/tenants/\(tenant.id)", values: values,
            errors: errors, preview: preview, csrf: "csrf-token", idempotencyKey: "key-1", version: 412,
            needsCode: needsCode, cli: preview == nil ? "" : "postern tenant suspend \(tenant.id) --reason-code abuse",
            curl: preview == nil ? "" : "curl -X POST 'http://127.0.0.1:8080/api/v1/tenants/\(tenant.id)/suspend'")
    }

    static let reason =
        "Invoices of September and October unpaid, three reminders, the owner said they can’t pay this year."

    // MARK: The log

    static func row(_ members: [String: Value]) -> Row {
        let names = members.keys.sorted()
        return Row(columns: ColumnIndex(names), values: names.map { members[$0]! })
    }

    static func event(
        _ number: Int, action: String = "tenant.suspend", outcome: String = "applied", eventClass: String = "mutation",
        actor: String? = nil, part: String = "bootstrap", minutesAgo: Int64 = 1
    ) throws -> EventRow {
        let at = now - .minutes(minutesAgo)
        var event = try EventRow(
            row([
                "id": .text(
                    Identifier.make(
                        "evt", milliseconds: UInt64(at.microseconds / 1000),
                        random: Array(repeating: UInt8(number & 255), count: 10))),
                "at": Value(at), "class": .text(eventClass), "action": .text(action), "outcome": .text(outcome),
                "actor_type": .text(actor == nil ? "system" : "staff"),
                "actor_id": .text(actor == nil ? part : caller.actor.id), "tenant_id": .text(tenant.id),
                "target_type": .text("tenant"), "target_id": .text(tenant.id), "request_id": .text("req_01JCXRV0"),
                "operation_id": .text("op_01JCXR5T0H6V9E2M7QKZBN4WYD"), "approval_id": .null, "linked": .null,
                "retention_class": .text("soc2_iso_7y"), "idx": .int(Int64(4_812_100 + number)),
            ]))
        event.actorName = actor
        event.targetName = tenant.name
        return event
    }

    static func events(_ count: Int) throws -> [EventRow] {
        let kinds: [(String, String, String, String?)] = [
            ("tenant.suspend", "applied", "mutation", "Mira O."), ("tenant.view", "applied", "access", "Mira O."),
            ("tenant.restore", "denied", "authz", "Tomas V."), ("tenant.archive", "requested", "approval", "Ines K."),
            ("effect.webhook", "failed", "effect", nil), ("staff.login", "applied", "authn", "Dele A."),
            ("impersonation.write_blocked", "blocked", "impersonation", "Mira O."),
        ]
        return try (0..<count).map { index in
            let kind = kinds[index % kinds.count]
            return try event(
                count - index, action: kind.0, outcome: kind.1, eventClass: kind.2, actor: kind.3,
                minutesAgo: Int64(index * 3))
        }
    }

    static func list(_ count: Int, typed: [String: String] = [:]) throws -> EventList {
        EventList(
            typed: typed, filter: EventFilter(), rows: try events(count), lookedTo: nil, older: "older-cursor",
            newer: nil)
    }

    /// A real leaf with real commitments.
    static func detail(tampered: Bool = false) throws -> EventDetail {
        var before = tenant
        before.version = 412
        var after = before
        after.status = .suspended
        after.version = 413
        var draft = EventDraft(at: now - .minutes(1), .mutation, "tenant.suspend", by: caller)
        draft.tenant = tenant.id
        draft.target = ("tenant", tenant.id)
        draft.reasonCode = "non_payment"
        draft.changes = [.init(.update(before, to: after))]
        draft.sealed["justification"] = .init(.string(reason), subjects: [tenant.id])
        draft.sealed["ticket"] = .init("NW-4766", subjects: [tenant.id])
        draft.sealed["actor_ip"] = .init("198.51.100.24", subjects: [caller.person])
        draft.sealed["details"] = .init(["consequence": "Acme Robotics is suspended."], subjects: [tenant.id])
        let sealed = SealedEvent(draft)
        var members: [String: EventDetail.Member] = [:]
        for member in sealed.members {
            members[member.name] = .present(
                member.value, salt: member.salt, matches: !(tampered && member.name == "justification"))
        }
        members["user_agent"] = .erased(by: "evt_01JCXRRK7QHM2V8T5E0ZB6WYND")
        return EventDetail(
            row: try event(21, actor: "Mira O."), leaf: try JSON(parsing: sealed.leaf), leafBytes: sealed.leaf,
            hashMatches: true, members: members,
            linked: [try event(22, action: "effect.webhook", eventClass: "effect")],
            previous: "evt_01JCXRRK7QHM2V8T5E0ZB6WYN0", next: nil)
    }

    static func home(own: [ApprovalEntry] = [], denials: [EventRow]) -> HomeModel {
        HomeModel(
            now: now, own: own, fillable: [approval(1), approval(3)],
            perHour: [2, 1, 1, 0, 0, 0, 0, 1, 1, 2, 4, 8, 12, 15, 14, 10, 11, 16, 17, 13, 9, 12, 15, 11], denied: 7,
            undelivered: 2, unsequenced: 0, checkpoint: (4_812_131, now - .seconds(12)), exceptions: 1,
            pendingGrants: 2, denials: denials)
    }

    static func approval(_ number: Int = 0, own: Bool = false) -> ApprovalEntry {
        let need = ApprovalNeed(rule)
        return ApprovalEntry(
            request: ApprovalRequest(
                id: Identifier.make(
                    "apr", milliseconds: 1_700_000_000_000, random: Array(repeating: UInt8(number), count: 10)),
                version: 1, operation: number == 1 ? "tenant.archive" : "tenant.suspend", targetType: "tenant",
                targetID: tenant.id, aboutTenant: tenant.id, requester: own ? caller.person : "stf_other",
                state: .pending,
                action: [
                    "operation": "tenant.suspend", "operation_id": "op_01JCXR5T0H6V9E2M7QKZBN4WYD",
                    "reason_code": "non_payment", "requester": "stf_other",
                    "target": ["id": .string(tenant.id), "type": "tenant"], "version": 412,
                ], planDigest: sha256(Array("plan".utf8)).hex, demands: .array([need.json]),
                eventID: "evt_01JCXRRK7QHM2V8T5E0ZB6WYND", createdAt: now - .minutes(11),
                expiresAt: now + (number == 1 ? .minutes(47) : .hours(23))), requesterName: own ? "Ines K." : "Leon P.",
            targetName: tenant.name)
    }

    // MARK: Documents

    static let assets = AssetURLs { "/assets/\($0)" }

    static func frame(_ title: String, _ path: String, theme: Theme? = nil, _ body: Node) -> Node {
        var model = FrameModel(
            title: title, environment: .production, deployment: "Northwind Cloud",
            menu: FrameModel.menu(
                of: Consoles.all, permissions: caller.permissions, current: path, due: ["/approvals": 3]),
            person: .init(
                name: "Ines K.", roles: ["support_l2"], mfaAt: now - .minutes(2), sessionEndsAt: now + .minutes(341),
                csrf: "csrf-token"), now: now, assets: assets)
        model.theme = theme
        model.search = SearchPage.box(caller.permissions, catalog)
        return Frame.render(model, body: body)
    }

    static func door(_ title: String, _ body: Node) -> Node {
        Frame.renderDoor(
            title: title, environment: .production, deployment: "Northwind Cloud", host: "postern.northwind.example",
            assets: assets, body: body)
    }

    /// Every page there is, by name.
    static func pages() throws -> [(name: String, document: Node)] {
        let offer = EnrolmentOffer(
            staffID: "stf_1", email: "ines.k@northwind.example", name: "Ines K.",
            totpSecret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", totpURI: "otpauth://totp/Postern", sealedSecret: "sealed")
        let qr =
            "<svg viewBox=\"0 0 37 37\" role=\"img\" aria-label=\"QR code\" class=\"qr\"><path fill=\"#fff\" d=\"M0 0h37v37H0z\"/><path fill=\"#000\" d=\"M4 4h7v7h-7zM26 4h7v7h-7zM4 26h7v7h-7zM14 14h9v9h-9z\"/></svg>"
        let filled = ["reason_code": "non_payment", "justification": reason, "ticket": "NW-4766"]
        let needs = [ApprovalNeed(rule)]
        let errors = [
            FieldError(pointer: "/reason_code", detail: "Choose a reason code: non_payment, abuse."),
            FieldError(pointer: "/justification", detail: "Justification must have at least 10 characters; it has 4."),
        ]
        let applied = Applied(
            operation: "tenant.suspend", operationID: "op_01JCXR5T0H6V9E2M7QKZBN4WYD",
            eventID: "evt_01JCXRRK7QHM2V8T5E0ZB6WYND", target: tenant.id, before: preview().changes[0].before,
            after: preview().changes[0].after,
            consequence: "Acme Robotics is suspended; its 46 members can't sign in until it is restored.",
            undo: ("tenant.restore", now + .hours(24)),
            reveal: ["enrolment_link": "https://postern.example/enrol?token=enr_x"],
            version: 413, created: false)
        let spec = catalog["tenant.suspend"]!.spec
        let pending = PendingApproval(
            approvalID: approval().request.id, operation: "tenant.suspend",
            operationID: "op_01JCXR5T0H6V9E2M7QKZBN4WYD",
            eventID: "evt_01JCXRRK7QHM2V8T5E0ZB6WYND", needs: needs, expiresAt: now + .hours(24))
        let home = Self.home(
            own: [approval(2, own: true)], denials: Array(try events(35).filter { $0.outcome == "denied" }.prefix(5)))
        let request = approval()
        let waiting = ApprovalDetail(
            entry: request, event: try detail(), planEvent: nil,
            signatures: ApprovalSignatures(of: request.request, all: [], standings: [:], at: now), names: [:],
            ending: nil, hasReveal: false, shift: OnShift(present: ["Leon P."], able: 3, sendsMail: true))
        let object =
            UI.crumbs([("Tenants", "/tenants")], here: tenant.name)
            + UI.title(tenant.name) {
                UI.chip("Active", .ok, .on) + UI.tag("business") + UI.id(tenant.slug, copy: "slug")
            }
            + UI.keyFacts([("Owner", Node("lena.f@acme-robotics.example")), ("Region", Node("us-east"))])
            + UI.actionBar(tenant, path: "/tenants/\(tenant.id)", catalog: catalog, caller: caller, now: now)
            + UI.tabs(
                label: tenant.name,
                [
                    .init("Overview", href: "#", isCurrent: true),
                    .init("Members", href: "#m", count: 46, isCurrent: false),
                ])
            + UI.split {
                UI.panel("Facts", id: "s-facts") { UI.panelBody { UI.facts([("External id", UI.id("nwc-004417"))]) } }
                UI.panel("Activity", id: "s-act") {
                    UI.panelBody {
                        UI.timeline(
                            [
                                .init(
                                    at: now - .minutes(21), personName: "Tomas V.",
                                    sentence: el("b") { "Tomas V." } + Node(" viewed members"),
                                    detail: "Privileged read"),
                                .init(at: now - .hours(30), personName: nil, sentence: Node("Imported")),
                            ], now: now)
                    }
                }
            }
        return [
            ("signin", door("Sign in", SignInViews.signIn(SignInModel(deployment: "Northwind Cloud")))),
            (
                "signin-error",
                door(
                    "Sign in",
                    SignInViews.signIn(
                        SignInModel(
                            deployment: "Northwind Cloud", email: "ines.k@northwind.example",
                            error: "E-mail, password or code is wrong. Start again.", next: "/tenants", csrf: "c")))
            ),
            ("code", door("Enter your code", SignInViews.code(CodeStepModel(challenge: "chl_x")))),
            (
                "signin-sso",
                door(
                    "Sign in",
                    SignInViews.signIn(
                        SignInModel(
                            deployment: "Northwind Cloud", error: "Northwind SSO can’t be reached right now.",
                            csrf: "c",
                            offersPasskey: true, provider: "Northwind SSO")))
            ),
            (
                "signin-sso-only",
                door(
                    "Sign in",
                    SignInViews.signIn(
                        SignInModel(deployment: "Northwind Cloud", provider: "Northwind SSO", isProviderRequired: true))
                )
            ),
            (
                "sso-leaving",
                door("On to", SignInViews.leaving(to: "Northwind SSO", address: "/idp?b=c&d=e"))
            ),
            (
                "sso-link",
                door(
                    "Enter your code",
                    SignInViews.code(
                        CodeStepModel(challenge: "chl_x", offersPasskey: true, provider: "Northwind SSO", links: true)))
            ),
            (
                "sso-out",
                door("Signed out", SignInViews.signedOut(of: "Northwind SSO", address: "/idp/out"))
            ),
            (
                "device",
                frame("Device", "", DeviceViews.ask(csrf: "c", code: "BCDF", error: "A code has eight letters."))
            ),
            (
                "device-found",
                frame(
                    "Device", "",
                    DeviceViews.found(
                        DeviceModel(
                            device: WaitingDevice(
                                code: "BCDF-GHJK", machine: "<b>laptop</b>", client: "cli", ip: "198.51.100.20",
                                askedAt: now, expiresAt: now + .minutes(10), isElsewhere: true), name: "Ines K.",
                            roles: ["support_l2"], csrf: "c", isFresh: false, expiresAt: now + .hours(8), now: now)))
            ),
            ("device-done", frame("Device", "", DeviceViews.decided(isApproved: true))),
            ("recovery", door("Recovery", SignInViews.code(CodeStepModel(challenge: "chl_x", usesRecovery: true)))),
            (
                "enrol",
                door(
                    "Welcome",
                    SignInViews.enrolment(
                        EnrolmentModel(
                            token: "enr_x", offer: offer, qrSVG: qr,
                            errors: [
                                "code": "The code is not the one the app shows now. Check its clock and try the next."
                            ])))
            ),
            (
                "codes",
                door(
                    "Recovery codes",
                    SignInViews.recoveryCodes(
                        RecoveryCodesModel(codes: (0..<10).map { "7K3F-9QX\($0)-M2WD" })))
            ),
            ("step-up", frame("Step up", "", SignInViews.stepUp(StepUpModel(next: "/", csrf: "c")))),
            (
                "step-up-passkey",
                frame(
                    "Step up", "", SignInViews.stepUp(StepUpModel(next: "/me", csrf: "c", hasPasskey: true)))
            ),
            ("form-first", frame("Suspend", "/tenants", OperationViews.form(form()))),
            (
                "form-errors",
                frame(
                    "Suspend", "/tenants",
                    OperationViews.form(form(values: ["justification": "oops"], errors: errors)))
            ),
            (
                "form-preview",
                frame(
                    "Suspend", "/tenants",
                    OperationViews.form(form(values: filled, preview: preview(), needsCode: true)))
            ),
            (
                "form-approval",
                frame(
                    "Suspend", "/tenants", OperationViews.form(form(values: filled, preview: preview(approvals: needs)))
                )
            ),
            (
                "form-refused",
                frame(
                    "Suspend", "/tenants", OperationViews.form(form(values: filled, preview: preview(allowed: false))))
            ),
            ("form-create", frame("Create", "/tenants", OperationViews.form(form("tenant.create")))),
            (
                "form-typed",
                frame(
                    "Delete", "/tenants",
                    OperationViews.form(form("tenant.hard_delete", values: filled, preview: preview())))
            ),
            (
                "result",
                frame(
                    "Done", "/tenants",
                    OperationViews.result(
                        .init(
                            applied: applied, spec: spec, undo: .init(title: "Restore tenant", until: now + .hours(24)),
                            target: (tenant.name, "/tenants/\(tenant.id)"),
                            replayed: false, now: now)))
            ),
            (
                "pending",
                frame(
                    "Waiting", "/tenants",
                    OperationViews.pending(
                        .init(pending: pending, spec: spec, target: (tenant.name, "/tenants/\(tenant.id)"), now: now)))
            ),
            (
                "error",
                frame(
                    "Error", "",
                    OperationViews.error(
                        ErrorPageModel(
                            .forbidden(
                                permission: "tenant.archive",
                                detail: "Archive tenant needs a permission you don’t hold."),
                            requestID: caller.requestID)))
            ),
            ("absent", frame("Absent", "", OperationViews.absent(catalog.operations, caller: caller, on: "tenant"))),
            (
                "audit",
                frame(
                    "Audit log", "/audit",
                    AuditPages.listBody(
                        try list(50, typed: ["class": "mutation"]), call: call(),
                        signed: (4_812_131, now - .seconds(12)), now: now))
            ),
            (
                "audit-event",
                frame(
                    "Event", "/audit",
                    AuditPages.detailBody(
                        try detail(), undo: .now(title: "Restore tenant", until: now + .hours(23)), call: call(),
                        now: now))
            ),
            (
                "audit-tampered",
                frame(
                    "Event", "/audit",
                    AuditPages.detailBody(try detail(tampered: true), undo: .absent, call: call(), now: now))
            ),
            (
                "approvals",
                frame(
                    "Approvals", "/approvals",
                    ApprovalPages.listBody(
                        ApprovalListing(view: .asking, entries: [approval(3), approval(1)], next: nil), call: call(),
                        now: now))
            ),
            (
                "approval",
                frame("Approval", "/approvals", ApprovalPages.detailBody(waiting, call: call(), now: now))
            ),
            ("home", frame("Home", "/", HomeView.body(home, call: call()))),
            ("object", frame("Acme Robotics", "/tenants", object)),
        ]
    }
}
