import HTML
import HTTPTypes
import Hummingbird
import Kernel

/// The page of one operation on one object: what the form is about, and where it stands.
struct OperationSheet: Sendable {
    let operation: AnyOperation
    /// `nil` for an operation that makes its target.
    let entity: (any Entity)?
    /// What people call it.
    var name: String?
    /// What is decided on, where it is a request.
    var subject: FormSubject?
    /// Where the form is and posts.
    let url: String
    /// The event this takes back, with the request that does it.
    let undoing: OperationRequest?
    let signed: StaffConsole.Signed
    /// Choices read with the target, by field.
    let choices: [String: [Field.Choice]]
    /// The same operation on the same target, asked for already.
    let waiting: WaitingRequest?
    /// The person can use a passkey for it.
    let hasPasskey: Bool
}

extension AnyOperation {
    /// `/tenants/{id}/suspend`, or `/tenants/new`.
    var pageTemplate: String { creates ? "/\(pluralPath)/new" : "/\(pluralPath)/{id}/\(spec.verbPath)" }
}

extension StaffConsole {
    /// Forms by GET, results, and the list of what is missing.
    func operationPageRoutes() -> [Route] {
        var routes = [
            signedPage("/done/{key}") { exchange, signed in
                let outcome = try await context.pipeline.outcome(
                    ofKey: exchange.parameters["key"] ?? "", by: signed.caller)
                let subject = try await asked(outcome, signed)
                return result(
                    outcome, replayed: false, about: subject, sent: await sent(outcome, signed), signed)
            },
            signedPage("/absent") { exchange, signed in
                let type = exchange.first("on")
                return framed(
                    "What you can’t do",
                    OperationViews.absent(context.catalog.operations, caller: signed.caller, on: type), signed)
            },
            signedPage("/audit/{id}/undo") { exchange, signed in
                let id = exchange.parameters["id"] ?? ""
                let request = try await context.pipeline.undoOffer(for: id, by: signed.caller).request
                let sheet = try await self.sheet(undoing: request, url: exchange.path, signed)
                // The inverse opens with its own preview.
                let draft = Draft(
                    request: request, values: Self.values(of: request, sheet.operation), errors: [], isTyped: false)
                return try await preview(draft, sheet, key: mintKey())
            },
        ]
        // What a console answers itself it answers better.
        routes.removeAll { hasPage($0.template) }
        for operation in pageOperations where !hasPage(operation.pageTemplate) {
            routes.append(
                signedPage(operation.pageTemplate) { exchange, signed in
                    let sheet = try await self.sheet(
                        operation, exchange.parameters["id"], url: exchange.path, signed)
                    // What is left alone is sent as it stands, so defaults stand there too.
                    var values = Self.defaults(of: operation)
                    if let entity = sheet.entity {
                        values.merge(Self.values(operation.prefill(entity), of: operation)) { _, own in own }
                    }
                    // A link may bring values along, as from the search box.
                    for (name, given) in exchange.query where Self.isFormField(name) {
                        values[name] = given.joined(separator: "\n")
                    }
                    let refusal = sheet.entity.flatMap { operation.unavailable($0, context.clock.now) }
                        .map { "This can’t be done now: \($0.reason)." + ($0.note.map { " \($0)" } ?? "") }
                    return render(sheet, values: values, refusal: refusal, key: mintKey())
                })
        }
        return routes
    }

    /// What the forms post to.
    func operationFormRoutes() -> [FormRoute] {
        var routes = [
            FormRoute("/audit/{id}/undo", keeps: true) { posted in
                let id = posted.parameters["id"] ?? ""
                // Whether it changed since is for the pipeline to say, after it has looked for a stored answer: a
                // second press of the button gets the first one's.
                let request = try await context.pipeline.undoOffer(for: id, by: posted.signed.caller, checked: false)
                    .request
                let sheet = try await self.sheet(undoing: request, url: "/audit/\(id)/undo", posted.signed)
                return try await act(posted, sheet)
            }
        ]
        for operation in pageOperations {
            routes.append(
                FormRoute(operation.pageTemplate, keeps: true) { posted in
                    let id = posted.parameters["id"]
                    let url = id.map { operation.pageTemplate.replacing("{id}", with: URLText.encode($0)) }
                    let sheet = try await self.sheet(
                        operation, id, url: url ?? operation.pageTemplate,
                        showsAll: posted.text("action") == Self.showingAll, posted.signed)
                    return try await act(posted, sheet)
                })
        }
        return routes
    }

    /// Operations with a form: all that people may ask for. Of several that make the same kind of thing, the first in
    /// name order has the `/new` page.
    private var pageOperations: [AnyOperation] {
        var seen: Set<String> = []
        return context.catalog.operations.filter { !$0.spec.systemOnly && seen.insert($0.pageTemplate).inserted }
    }

    // MARK: What the form is about

    private func sheet(
        _ operation: AnyOperation, _ id: String?, url: String, undoing: OperationRequest? = nil,
        showsAll: Bool = false, _ signed: Signed
    ) async throws -> OperationSheet {
        let permission = operation.spec.permission
        let offered = choices(of: operation) { $0.choices }
        let offeredOf = choices(of: operation) { $0.targetChoices }
        guard !operation.creates, let id, let type = context.catalog.entity(operation.targetType) else {
            let choices = try await context.pipeline.read(permission, by: signed.caller) { reader in
                (try offered.mapValues { try $0(reader) }, nil)
            }
            return OperationSheet(
                operation: operation, entity: nil, url: url, undoing: undoing, signed: signed, choices: choices,
                waiting: nil, hasPasskey: await hasPasskey(for: operation, signed))
        }
        let records = context.pipeline.records
        let catalog = context.catalog
        let describe = context.consoles.lazy.compactMap { $0.subjects[type.type] }.first
        let call = PageCall(
            path: ["id": id], query: showsAll ? ["all": ["1"]] : [:], caller: signed.caller,
            cursors: context.cursors, catalog: catalog, csrf: signed.session.csrfToken)
        let (entity, name, subject, choices, waiting) = try await context.pipeline.read(
            permission, by: signed.caller
        ) { reader in
            guard let entity = try type.load(id, false, reader) else {
                throw OperationError.notFound("There is no \(type.type) \(id.prefix(60)).")
            }
            // Every role may decide on requests, and each on few of them: whom the others are about is not theirs to see.
            try (entity as? ApprovalRequest)?.checkOpen(to: signed.caller)
            let shown = Disclosure(
                "\(type.type).view", target: (type: type.type, id: entity.id), tenant: entity.tenantID, count: 1,
                ids: [entity.id])
            let twin = try reader.first(records.liveApproval(operation: operation.spec.name, target: entity.id))
                .map(ApprovalRequest.init)
            let waiting = twin.flatMap { WaitingRequest($0, for: signed.caller, at: reader.now) }
            let name = try Self.name(of: entity, catalog, records, from: reader)
            let subject = try describe?(entity, call, reader)
            var choices = try offered.mapValues { try $0(reader) }
            for (field, choicesOf) in offeredOf { choices[field] = try choicesOf(entity.id, reader) }
            return ((entity, name, subject, choices, waiting), subject?.disclosure ?? shown)
        }
        return OperationSheet(
            operation: operation, entity: entity, name: name, subject: subject, url: url, undoing: undoing,
            signed: signed, choices: choices, waiting: waiting, hasPasskey: await hasPasskey(for: operation, signed))
    }

    /// A request is called after what was asked for, and about what.
    static func name(
        of entity: any Entity, _ catalog: Catalog, _ records: any Records, from reader: any Reader
    ) throws -> String {
        guard let request = entity as? ApprovalRequest, let operation = catalog[request.operation] else {
            return entity.displayName
        }
        let subject = try subject(of: request, catalog, records, from: reader)
        return subject.map { "\(operation.spec.title): \($0.name)" } ?? operation.spec.title
    }

    /// What a request is about: its target, or what is not there yet as its fields call it.
    static func subject(
        of request: ApprovalRequest, _ catalog: Catalog, _ records: any Records, from reader: any Reader
    ) throws -> Subject? {
        var concerns: String?
        if let operation = catalog[request.operation], operation.declaresConcerns {
            let members = try reader.first(records.sealedMembers(event: request.eventID))?.json("members")
            concerns = members?["details"]?["value"]?["input"].flatMap(operation.concerns)
        }
        // What would be made for a tenant is called after the tenant.
        let type = request.targetID == nil ? "tenant" : request.targetType
        let id = request.targetID ?? (concerns == nil ? request.aboutTenant : nil)
        let called = try id.map { id in try type.flatMap(catalog.entity)?.displayNames([id], reader)[id] ?? id }
        let words = [called, concerns].compactMap(\.self)
        guard !words.isEmpty else { return nil }
        let target = request.targetID.map { (id: $0, name: called ?? $0) }
        return Subject(name: words.joined(separator: ", "), target: target)
    }

    /// Asked only where one would be used.
    func hasPasskey(for operation: AnyOperation, _ signed: Signed) async -> Bool {
        guard Pipeline.signs(operation.spec) else { return false }
        return await context.hasPasskey(signed.session)
    }

    /// The run-time choices of an operation's fields, by field name.
    private func choices<Reading>(
        of operation: AnyOperation, _ declared: (Console) -> [String: Reading]
    ) -> [String: Reading] {
        let prefix = operation.spec.name + "/"
        return context.consoles.reduce(into: [:]) { found, console in
            for (name, choices) in declared(console) where name.hasPrefix(prefix) {
                found[String(name.dropFirst(prefix.count))] = choices
            }
        }
    }

    private func sheet(undoing request: OperationRequest, url: String, _ signed: Signed) async throws -> OperationSheet
    {
        guard let operation = context.catalog[request.operation] else {
            throw OperationError.unknownOperation(request.operation)
        }
        return try await sheet(operation, request.target, url: url, undoing: request, signed)
    }

    private func target(_ sheet: OperationSheet) -> OperationFormModel.Target? {
        guard let entity = sheet.entity else { return nil }
        let plural = sheet.operation.pluralPath
        let document = entity.document
        return OperationFormModel.Target(
            id: entity.id, name: sheet.name ?? entity.displayName, path: page(of: plural, entity.id),
            listTitle: section(plural).title, listPath: section(plural).path,
            marks: document["status"]?.string.map { UI.tag(DocumentDiff.label($0)) } ?? .none,
            confirmText: document["slug"]?.string ?? document["email"]?.string ?? entity.displayName)
    }

    /// The object's page, or the nearest page there is.
    func page(of plural: String, _ id: String) -> String {
        if hasPage("/\(plural)/{id}") { return "/\(plural)/\(URLText.encode(id))" }
        return hasPage("/\(plural)") ? "/\(plural)" : "/"
    }

    /// Where the menu leads to such things: their list, else the page that theirs stand under, else their console's own.
    func section(_ plural: String) -> (title: String, path: String) {
        let menu = context.consoles.flatMap(\.menu)
        let pages = context.consoles.flatMap(\.pages)
        let page = pages.first { $0.path == "/\(plural)" } ?? pages.first { $0.path == "/\(plural)/{id}" }
        let console = context.consoles.first { $0.operations.contains { $0.pluralPath == plural } }
        let item =
            menu.first { $0.path == "/\(plural)" } ?? menu.first { $0.path == page?.menuPath } ?? console?.menu.first
        return (item?.title ?? "Home", item?.path ?? "/")
    }

    // MARK: What was typed

    /// A request read from a form, with every field error found on the way.
    private struct Draft {
        var request: OperationRequest
        var values: [String: String]
        var errors: [FieldError]
        /// The person filled it in, so that leaving loses something.
        var isTyped = true
        /// All changes of the preview are asked for, however many.
        var showsAll = false
        /// Of the form that was sent.
        var version: Int64?
    }

    /// The button that asks for all changes.
    private static let showingAll = "preview-all"

    private static func isFormField(_ name: String) -> Bool {
        name.hasPrefix("input.") || ["reason_code", "justification", "ticket", "not_before"].contains(name)
    }

    private func draft(_ posted: PostedForm, _ sheet: OperationSheet) -> Draft {
        let operation = sheet.operation
        var values = posted.values.filter { Self.isFormField($0.key) || $0.key == "confirm" }
        var members: [String: JSON] = [:]
        var errors: [FieldError] = []
        if let undoing = sheet.undoing {
            // What restores the state before is not a matter of taste.
            members = undoing.input.object ?? [:]
            values.merge(Self.values(members, of: operation)) { _, own in own }
        } else {
            for field in operation.fields() {
                let name = "input.\(field.name)"
                let text = values[name] ?? ""
                let pointer = "/input/\(field.name)"
                if text.isEmpty, field.param.control != .checkbox {
                    if field.param.isRequired {
                        errors.append(FieldError(pointer: pointer, detail: "\(field.param.label) is required."))
                    }
                    continue
                }
                do throws(FieldError.Reason) {
                    try field.param.set(text: text)
                    members[field.name] = field.param.currentJSON
                } catch {
                    errors.append(FieldError(pointer: pointer, detail: "\(field.param.label) \(error.text)"))
                }
            }
        }
        func given(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }
        let notBefore = given("not_before").flatMap(Instant.init(typed:))
        if notBefore == nil, given("not_before") != nil {
            errors.append(
                FieldError(
                    pointer: "/not_before", detail: "Not before must be a time in UTC, such as 2030-01-31 09:00."))
        }
        var request = OperationRequest(
            operation: operation.spec.name, target: sheet.entity?.id, input: .object(members),
            reasonCode: given("reason_code"), justification: given("justification"), ticket: given("ticket"),
            undoes: sheet.undoing?.undoes, notBefore: notBefore)
        let named = Set(errors.map(\.pointer))
        errors += operation.errors(in: request).filter { error in !named.contains(error.pointer) }
        if let key = posted.values["idempotency_key"], Self.isKey(key) { request.idempotencyKey = key }
        return Draft(
            request: request, values: values, errors: errors, showsAll: posted.text("action") == Self.showingAll,
            version: Int64(posted.text("version")))
    }

    /// A key minted by `mintKey`: what a browser sends back, and nothing else, may become one.
    private static func isKey(_ text: String) -> Bool { Identifier.isValid(text, prefix: "key") }
    private func mintKey() -> String { Identifier.mint("key", at: context.clock.now) }

    private static func defaults(of operation: AnyOperation) -> [String: String] {
        var out: [String: String] = [:]
        for field in operation.fields() where !field.param.currentText.isEmpty {
            out["input.\(field.name)"] = field.param.currentText
        }
        return out
    }

    /// What form fields show for JSON values: each field's own text.
    private static func values(_ members: [String: JSON], of operation: AnyOperation) -> [String: String] {
        var out: [String: String] = [:]
        for field in operation.fields() {
            guard let value = members[field.name], value != .null else { continue }
            do throws(FieldError.Reason) {
                try field.param.set(value)
                out["input.\(field.name)"] = field.param.currentText
            } catch {
                // What an older row holds may break today's rules; it is shown as it is and refused when sent.
                out["input.\(field.name)"] = value.string ?? value.canonicalText
            }
        }
        return out
    }

    private static func values(of request: OperationRequest, _ operation: AnyOperation) -> [String: String] {
        var out = values(request.input.object ?? [:], of: operation)
        out["reason_code"] = request.reasonCode
        return out
    }

    // MARK: Preview and confirm

    private func act(_ posted: PostedForm, _ sheet: OperationSheet) async throws -> Response {
        var draft = draft(posted, sheet)
        let key = draft.request.idempotencyKey ?? mintKey()
        if let notice = posted.notice {
            return render(
                sheet, values: draft.values, notice: notice, version: Int64(posted.text("version")), draft: draft,
                key: key)
        }
        if posted.text("action") == "passkey" {
            return try await Self.question(posted.exchange) { try await passkeyQuestion(draft, sheet) }
        }
        guard posted.text("action") == "confirm" else { return try await preview(draft, sheet, key: key) }

        // What is confirmed is what was previewed.
        guard posted.text("previewed") == OperationFormModel.fingerprint(draft.values) else {
            return try await preview(
                draft, sheet, key: key, notice: "The fields changed after the preview. Look at it again, then confirm.")
        }
        var errors = draft.errors
        if sheet.operation.spec.confirmByTyping, let wanted = target(sheet)?.confirmText,
            posted.text("confirm").trimmed != wanted
        {
            errors.append(FieldError(pointer: "/confirm", detail: "Type \(wanted) exactly as it stands here."))
        }
        guard errors.isEmpty else {
            return try await preview(draft, sheet, key: key, errors: errors, status: .unprocessableContent)
        }

        var sheet = sheet
        if !posted.text("code").isEmpty || !posted.text("passkey").isEmpty {
            do throws(OperationError) {
                try context.signIns.spend(posted.exchange.client.source)
                try await prove(&draft.request, posted, sheet, key: key)
            } catch {
                if posted.text("passkey").isEmpty {
                    guard let sentence = Self.codeSentence(error) else { throw error }
                    return try await preview(
                        draft, sheet, key: key, errors: [FieldError(pointer: "/code", detail: sentence)],
                        status: Problem(error).status)
                }
                switch error {
                case .invalid(let errors):
                    return try await preview(
                        draft, sheet, key: key, refusal: errors.map(\.detail).joined(separator: " "),
                        status: Problem(error).status)
                case .conflict, .tooManyRequests, .locked, .overLimit, .notAsked:
                    return try await preview(
                        draft, sheet, key: key, refusal: Problem(error).detail, status: Problem(error).status)
                default: throw error
                }
            }
            guard let signed = try await session(token: posted.signed.token, posted.exchange) else {
                throw OperationError.unauthenticated
            }
            sheet = OperationSheet(
                operation: sheet.operation, entity: sheet.entity, name: sheet.name, subject: sheet.subject,
                url: sheet.url, undoing: sheet.undoing, signed: signed,
                choices: sheet.choices, waiting: sheet.waiting, hasPasskey: sheet.hasPasskey)
        }
        return try await confirm(draft, sheet, key: key, version: Int64(posted.text("version")))
    }

    /// What this form's passkey is to sign.
    private func passkeyQuestion(_ draft: Draft, _ sheet: OperationSheet) async throws -> JSON {
        guard Pipeline.signs(sheet.operation.spec) else {
            throw OperationError.conflict("\(sheet.operation.spec.title) needs no passkey.", legal: nil)
        }
        guard draft.errors.isEmpty else { throw OperationError.invalid(draft.errors) }
        let (_, nonce, options) = try await context.question(
            draft.request, by: sheet.signed.caller, sheet.signed.session)
        return ["publicKey": options, "nonce": .string(nonce)]
    }

    /// Takes the proof that came with the form: a code, or the action as a passkey signed it.
    private func prove(
        _ request: inout OperationRequest, _ posted: PostedForm, _ sheet: OperationSheet, key: String
    ) async throws(OperationError) {
        guard !posted.text("passkey").isEmpty, Pipeline.signs(sheet.operation.spec) else {
            return try await stepUp(posted)
        }
        request.idempotencyKey = key
        try await context.sign(
            &request, nonce: posted.text("nonce"), with: Self.passkeyAnswer(posted.values), by: posted.signed.caller,
            posted.signed.session, from: posted.exchange.source(.console))
    }

    private func confirm(_ draft: Draft, _ sheet: OperationSheet, key: String, version: Int64?) async throws -> Response
    {
        var request = draft.request
        request.idempotencyKey = key
        request.ifMatch = version
        let name = sheet.operation.spec.name
        do throws(OperationError) {
            let outcome = try await run(request, by: sheet.signed.caller)
            context.metrics.operation(name, outcome: outcome.metricsLabel)
            if case .applied(let applied) = outcome.result, !applied.reveal.isEmpty {
                // Shown now or never: a redirect would lose it.
                return result(
                    outcome, replayed: outcome.replayed, sent: await sent(outcome, sheet.signed), sheet.signed)
            }
            // The request's own page says what has become of it.
            if let request = sheet.entity as? ApprovalRequest { return .seeOther("/approvals/\(request.id)") }
            return .seeOther("/done/\(key)")
        } catch {
            let problem = Problem(error)
            context.metrics.operation(name, outcome: problem.kind.slug)
            switch error {
            case .stepUpRequired:
                return try await preview(draft, sheet, key: key, asksCode: true, status: .unauthorized)
            case .invalid(let errors):
                return try await preview(draft, sheet, key: key, errors: errors, status: problem.status)
            case .preconditionFailed:
                var fresh = sheet
                if let id = sheet.entity?.id {
                    fresh = try await self.sheet(
                        sheet.operation, id, url: sheet.url, undoing: sheet.undoing, sheet.signed)
                }
                return try await preview(
                    draft, fresh, key: key,
                    notice: "Somebody changed it since your preview. This is the preview of now: look, then confirm.",
                    status: problem.status)
            case .keyReused:
                return try await preview(
                    draft, sheet, key: mintKey(),
                    notice:
                        "This form was confirmed once before with other fields. Look at the preview of now, then "
                        + "confirm.",
                    status: problem.status)
            case .conflict, .locked, .overLimit:
                return try await preview(draft, sheet, key: key, refusal: problem.detail, status: problem.status)
            default: throw error
            }
        }
    }

    /// Runs a request; while its twin from a double click still runs, waits for it and takes its answer.
    private func run(_ request: OperationRequest, by caller: Caller) async throws(OperationError) -> Outcome {
        var tries = 0
        while true {
            do throws(OperationError) {
                return try await context.pipeline.run(request, by: caller)
            } catch {
                guard case .keyRunning = error, tries < 50 else { throw error }
                tries += 1
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    static func codeSentence(_ error: OperationError) -> String? {
        switch error {
        case .unauthenticated: "The code did not fit or was used before. Wait for the next one."
        case .invalid(let errors): errors.map(\.detail).joined(separator: " ")
        case .tooManyRequests: Problem(error).detail
        default: nil
        }
    }

    /// The form with the preview of what was typed. A refusal of the preview itself stands on the form, where it can be
    /// mended; errors and notice that led here are shown beside it.
    private func preview(
        _ draft: Draft, _ sheet: OperationSheet, key: String, errors: [FieldError]? = nil, refusal: String? = nil,
        notice: String? = nil, asksCode: Bool = false, status: HTTPResponse.Status = .ok
    ) async throws -> Response {
        let shown = errors ?? draft.errors
        // Fields that can't be read can't be previewed; a missing justification is no obstacle.
        let isReadable = !draft.errors.contains { $0.pointer.hasPrefix("/input") }
        var preview: Preview?
        var refusal = refusal
        var shownErrors = shown
        var status = status
        if isReadable {
            do throws(OperationError) {
                var request = draft.request
                request.idempotencyKey = nil
                // Who decides reads the plan above the form, as it was asked for.
                preview = try await context.pipeline.preview(
                    request, by: sheet.signed.caller, foretells: sheet.subject == nil)
                context.metrics.operation(sheet.operation.spec.name, outcome: "preview")
            } catch {
                switch error {
                case .invalid(let found):
                    let named = Set(shownErrors.map(\.pointer))
                    shownErrors += found.filter { !named.contains($0.pointer) }
                    if status == .ok { status = .unprocessableContent }
                case .conflict, .locked, .overLimit, .preconditionFailed:
                    refusal = refusal ?? Problem(error).detail
                    if status == .ok { status = Problem(error).status }
                default: throw error
                }
            }
        } else if status == .ok {
            status = .unprocessableContent
        }
        // What is wrong with a field is said there, as of one that can't be read. An undo has none.
        if let refused = preview?.errors, !refused.isEmpty, sheet.undoing == nil {
            shownErrors += refused.filter { error in !shownErrors.contains { $0.pointer == error.pointer } }
            preview = nil
            if status == .ok { status = .unprocessableContent }
        }
        // A state that can't be judged because a field is missing is no refusal of its own.
        if preview?.allowed == false, shownErrors.contains(where: { $0.pointer == "/reason_code" }) { preview = nil }
        // What can be chosen stands in the field, in words.
        shownErrors = shownErrors.map { error in
            error.pointer == "/reason_code" && draft.values["reason_code"]?.isEmpty ?? true
                ? FieldError(pointer: error.pointer, detail: "Choose a reason.") : error
        }
        // A conflict that the preview explains is not said twice.
        if let known = preview?.reasons, let text = refusal, known.contains(text) { refusal = nil }
        // Who decides on a request reads it above the form: what is posted is the version that stands there, which the preview,
        // looked at after it, may have left behind.
        let version = sheet.subject == nil ? preview?.version : sheet.entity?.version
        var notice = notice
        if notice == nil, sheet.subject != nil, let sent = draft.version, sent != version {
            notice = "Somebody changed it since you opened this form. It stands here as it is now: look, then confirm."
        }
        let groups = preview.map(OperationViews.groups)
        return render(
            sheet, values: draft.values, errors: shownErrors, refusal: refusal, notice: notice, preview: preview,
            shift: await shift(preview, sheet), told: await told(preview, sheet), groups: groups,
            names: await names(groups ?? [], draft, sheet), version: version,
            asksCode: asksCode, draft: draft, key: key, status: status)
    }

    /// Who could sign what would have to be signed. One who can't be looked up is no reason to show no preview.
    private func shift(_ preview: Preview?, _ sheet: OperationSheet) async -> OnShift? {
        guard let preview, preview.allowed, !preview.approvals.isEmpty, let inboxes = context.inboxes else {
            return nil
        }
        return try? await inboxes.onShift(for: preview.approvals, askedBy: sheet.signed.caller.person)
    }

    /// Whom it would tell beside its own effects; not known where nothing could be planned, nor said where a decision is made.
    private func told(_ preview: Preview?, _ sheet: OperationSheet) async -> ToldBeside? {
        guard let preview, preview.consequence != nil, sheet.subject == nil, let inboxes = context.inboxes else {
            return nil
        }
        return try? await inboxes.foretold(preview, by: sheet.signed.caller)
    }

    /// People whose ids the preview shows, by name. Those who can't be looked up stand by their ids.
    private func names(_ groups: [UI.DiffGroup], _ draft: Draft, _ sheet: OperationSheet) async -> [String: String] {
        let catalog = context.catalog
        let ids = PeopleNames.ids(in: draft.showsAll ? groups[...] : groups.prefix(UI.atOnce), catalog)
        guard !ids.isEmpty else { return [:] }
        let caller = sheet.signed.caller
        let tenant = sheet.entity?.tenantID
        let found = try? await context.pipeline.read(nil, by: caller) {
            reader -> ([String: String], Disclosure?) in
            let people = try PeopleNames(of: ids, about: tenant, catalog, for: caller, from: reader)
            guard !people.users.isEmpty else { return (people.names, nil) }
            return (
                people.names, Disclosure("user.list", tenant: tenant, count: people.users.count, ids: people.users)
            )
        }
        return found ?? [:]
    }

    private func render(
        _ sheet: OperationSheet, values: [String: String], errors: [FieldError] = [], refusal: String? = nil,
        notice: String? = nil, preview: Preview? = nil, shift: OnShift? = nil, told: ToldBeside? = nil,
        groups: [UI.DiffGroup]? = nil, names: [String: String] = [:], version: Int64? = nil, asksCode: Bool = false,
        draft: Draft? = nil,
        key: String, status: HTTPResponse.Status = .ok
    ) -> Response {
        let operation = sheet.operation
        let hasPasskey =
            preview?.allowed == true && sheet.hasPasskey
        let needsCode =
            asksCode || (operation.spec.risk >= .high && sheet.signed.caller.authentication?.staysFresh != true)
        let target = target(sheet)
        let plural = operation.pluralPath
        var model = OperationFormModel(
            operation: operation, target: target, url: sheet.url,
            cancelURL: target?.path ?? (hasPage("/\(plural)") ? "/\(plural)" : "/"), values: values, errors: errors,
            refusal: refusal, preview: preview, csrf: sheet.signed.session.csrfToken, idempotencyKey: key,
            version: version ?? sheet.entity?.version, needsCode: needsCode, notice: notice, choices: sheet.choices)
        let section = section(plural)
        model.listTitle = section.title
        model.listPath = section.path
        model.hasPasskey = hasPasskey
        model.author = context.forms.author(sheet.signed.session.staffID)
        model.names = names.merging([sheet.signed.session.staffID: sheet.signed.session.name]) { _, own in own }
        if let undone = sheet.undoing?.undoes {
            model.cancelURL = "/audit/\(undone)"
            model.undoes = undone
        }
        model.isFilled = draft?.isTyped ?? false
        model.showsAll = draft?.showsAll ?? false
        model.waiting = sheet.waiting
        model.subject = sheet.subject?.body
        model.shift = shift
        model.told = told
        model.groups = groups
        if var request = draft?.request, preview != nil {
            // What is typed into a terminal is what was previewed here: this version, by this key.
            request.ifMatch = model.version
            request.idempotencyKey = key
            model.cli = RequestText.cli(request, operation: operation)
            let path =
                "/api/v1"
                + (request.undoes.map { "/audit-events/\($0)/undo" }
                    ?? operation.apiPath.replacing("{id}", with: URLText.encode(request.target ?? "")))
            model.curl = RequestText.curl(
                request, origin: context.configuration.staffOrigin, path: path)
        }
        return framed(
            model.heading, OperationViews.form(model), sheet.signed, menuPath: section.path, status: status)
    }
}
