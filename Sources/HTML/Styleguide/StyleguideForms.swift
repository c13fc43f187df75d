import Kernel

extension Styleguide {
    var fieldsBody: Node {
        let choices = [
            Field.Choice("non_payment", "Non payment", note: "invoices are overdue"),
            Field.Choice("abuse", "Abuse"), Field.Choice("legal_hold", "Legal hold"),
        ]
        return show("Fields", "every one has a label and says what it is for") {
            form {
                UI.field(
                    Field("line", label: "Name", help: "As they write it.", value: "Acme Robotics", isRequired: true))
                UI.field(Field("optional", label: "Ticket", help: "The ticket it belongs to.", placeholder: "NW-4766"))
                UI.field(Field("email", label: "E-mail", help: "What they sign in with.", .email, isRequired: true))
                UI.field(Field("number", label: "Value", help: "A whole number of hours.", .number, value: "24"))
                UI.field(Field("day", label: "Until", help: "The last day it works.", .day))
                UI.field(Field("password", label: "Password", help: "At least 12 characters.", .password))
                UI.field(Field("code", label: "Code", help: "Six digits of your authenticator.", .code))
                UI.field(
                    Field("readonly", label: "Target", help: "Can’t be changed here.", value: Self.id, isReadOnly: true)
                )
            }
        }
            + show("Errors and counters") {
                form {
                    UI.field(
                        Field(
                            "wrong", label: "Slug", help: "Lower-case letters, digits and hyphens.", value: "Acme",
                            error: "Slug is taken by Acme Ltd; choose another one.", isRequired: true))
                    UI.field(
                        Field(
                            "empty", label: "Justification", help: "Why, in your words.", .prose(rows: 3),
                            isRequired: true, minimumCharacters: 10))
                    UI.field(
                        Field(
                            "short", label: "Justification", help: "", .prose(rows: 2), value: "unpaid",
                            error: "Justification must have at least 10 characters; it has 6.", isRequired: true,
                            minimumCharacters: 10))
                    UI.field(
                        Field(
                            "enough", label: "Justification", help: "", .prose(rows: 2),
                            value: "Invoices of September and October are unpaid.", isRequired: true,
                            minimumCharacters: 10))
                }
            }
            + show("Choices") {
                form {
                    UI.field(
                        Field(
                            "check", label: "Everybody sees it", help: "Without it only you do.", .checkbox,
                            value: "true"))
                    UI.field(
                        Field(
                            "select", label: "Reason", help: "From the operation’s list.", .select(choices),
                            isRequired: true))
                    UI.field(
                        Field(
                            "gone", label: "Plan", help: "A value that is no longer offered stays.", .select(choices),
                            value: "legacy"))
                    UI.field(
                        Field(
                            "radios", label: "Reason", help: "One of these.", .radios(choices), value: "abuse",
                            isRequired: true))
                    UI.field(
                        Field(
                            "checkboxes", label: "Scopes", help: "As many as it needs.", .checkboxes(choices),
                            value: "abuse\nlegal_hold", error: "Choose at least one."))
                }
            }
    }

    private func form(@NodeBuilder _ body: () -> Node) -> Node {
        el("form", .class("stack"), Attribute("action", "/styleguide/fields")) {
            UI.hiddenField("theme", "")
            body()
        }
    }

    // MARK: Operations

    private var change: EntityChange {
        EntityChange(
            .update(SampleTenant(status: "active", version: 412), to: SampleTenant(status: "suspended", version: 413)))
    }

    private func preview(allowed: Bool, needs: [ApprovalNeed]) -> Preview {
        Preview(
            operation: "tenant.suspend", target: Self.id, allowed: allowed,
            reasons: allowed ? [] : ["A legal hold stands; legal can lift it."],
            consequence: "Acme Robotics is suspended; its 46 members can’t sign in until it is restored.",
            changes: [change], effects: effects, approvals: needs,
            reversibility: "Can be undone for 24 hours, by Restore tenant.", undoOperation: "tenant.restore",
            version: 412)
    }

    private func told(_ sentence: String) -> Effect {
        Effect(kind: "inbox", name: "inbox.notice", summary: sentence, payload: .null, tenant: nil)
    }

    var operationBody: Node {
        guard let operation = catalog["tenant.suspend"] else { return .none }
        var model = OperationFormModel(
            operation: operation,
            target: .init(
                id: Self.id, name: "Acme Robotics", path: "/styleguide/operation", listTitle: "Styleguide",
                listPath: "/styleguide", marks: UI.chip("Active", .ok, .on), confirmText: "acme-robotics"),
            url: "/styleguide/operation", cancelURL: "/styleguide",
            values: [
                "reason_code": "non_payment", "justification": "Invoices of September and October are unpaid.",
                "ticket": "NW-4766",
            ], preview: preview(allowed: true, needs: [need]), csrf: "sample", idempotencyKey: "sample", version: 412,
            needsCode: true, cli: "postern tenant suspend \(Self.id) --reason-code non_payment",
            curl: "curl -X POST http://localhost:8080/api/v1/tenants/\(Self.id)/suspend")
        model.errors = [FieldError(pointer: "/ticket", detail: "Ticket must be one of yours.")]
        model.told = ToldBeside(
            asking: [told("A notice in the inbox of everybody who could sign: it waits for them")],
            done: [told("A notice in the inbox of Mira O.: it was carried out")])
        return OperationViews.form(model)
            + show("Refused") { OperationViews.preview(preview(allowed: false, needs: []), spec: operation.spec) }
            + show("Parts of a preview") {
                UI.tightStack {
                    UI.consequence(
                        "Acme Robotics is suspended.", reversibility: "Can be undone for 24 hours, by Restore tenant.")
                    UI.effects(effects, when: "at once")
                    UI.approvalNeeds([need])
                    UI.onShift(OnShift(present: ["Ines K.", "Leon P."], able: 7, sendsMail: true))
                    UI.onShift(OnShift(present: [], able: 7, sendsMail: true))
                    UI.onShift(OnShift(present: [], able: 0, sendsMail: true))
                }
            }
    }

    var outcomesBody: Node {
        guard let operation = catalog["tenant.suspend"] else { return .none }
        let target = (name: "Acme Robotics", path: "/styleguide/outcomes")
        let applied = Applied(
            operation: "tenant.suspend", operationID: "op_01JCXR5T0H6V9E2M7QKZBN4WYD", eventID: Self.event,
            target: Self.id, before: change.before, after: change.after,
            consequence: "Acme Robotics is suspended; its 46 members can’t sign in until it is restored.",
            undo: ("tenant.restore", now + .hours(24)),
            reveal: ["enrolment_link": "https://console.example.com/enrol?token=sample"], version: 413, created: false)
        let pending = PendingApproval(
            approvalID: "apr_01JCXRRK7QHM2V8T5E0ZB6WYND", operation: "tenant.suspend",
            operationID: "op_01JCXR5T0H6V9E2M7QKZBN4WYD", eventID: Self.event, needs: [need],
            expiresAt: now + .hours(24))
        let caller = Caller(
            actor: Actor(.staff, "stf_1"), person: "stf_1", displayName: "Ines K.", client: .console, requestID: "req_1"
        )
        var done = OperationResultModel(
            applied: applied, spec: operation.spec, undo: .init(title: "Restore tenant", until: now + .hours(24)),
            target: target, replayed: true, now: now)
        done.sent = effects + [told("A notice in the inbox of Mira O.: their roles changed")]
        return show("Done") { OperationViews.result(done) }
            + show("Waits for others") {
                OperationViews.pending(
                    PendingResultModel(pending: pending, spec: operation.spec, target: target, now: now))
            }
            + show("Several at once") {
                OperationViews.several(
                    SeveralResult(
                        title: "Suspend 3 tenants",
                        lines: [
                            .init(
                                name: "Acme Robotics", outcome: .applied, detail: "Acme Robotics is suspended.",
                                reference: Self.event),
                            .init(
                                name: "Blue Heron Clinics", outcome: .pending,
                                detail: "It runs when the others have agreed.",
                                reference: "apr_01JCXRRK7QHM2V8T5E0ZB6WYND"),
                            .init(
                                name: "Cobalt Logistics", outcome: .refused, detail: "It is suspended already.",
                                reference: nil),
                        ], back: "/styleguide", linksEvents: true))
            }
            + show("What an approved operation answered") {
                OperationViews.revealed(
                    ["enrolment_link": "https://postern.example/enrol?token=enr_x"],
                    of: "Invite staff: ada@northwind.example", back: "/approvals/\(Self.event)")
            }
            + show("Refused to this person") {
                OperationViews.error(
                    ErrorPageModel(
                        .forbidden(
                            permission: "tenant.archive", detail: "Archive tenant needs a permission you don’t hold."),
                        requestID: "req_01JCXRV0K7QHM2V8T5E0ZB6WYN"))
            }
            + show("What I can’t do") {
                OperationViews.absent(catalog.operations(on: "tenant"), caller: caller, on: "tenant")
            }
    }
}
