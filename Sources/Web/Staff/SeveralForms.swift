import HTML
import HTTPTypes
import Hummingbird
import Kernel

/// One operation on several rows of a list: looked at together, carried out one by one, each with an event of its own.
extension StaffConsole {
    /// As many as stand on a page.
    private static let mostTargets = 200

    /// Posted by a list with `operation` and `id`s, and then by its own page with `action=confirm` and what was `seen` of each.
    var severalForm: FormRoute {
        FormRoute("/several", keeps: true) { posted in
            guard let operation = context.catalog[posted.text("operation")], operation.spec.several != nil,
                !operation.spec.systemOnly, operation.fields().isEmpty
            else { throw OperationError.unknownOperation(String(posted.text("operation").prefix(60))) }
            let back = Self.localPath(posted.text("back")) ?? "/"
            var seen: Set<String> = []
            let ids = posted.text("id").split(separator: "\n").map(String.init).filter { seen.insert($0).inserted }
            guard !ids.isEmpty else { return .seeOther(back) }
            guard ids.count <= Self.mostTargets else {
                throw Problem(.badRequest, "At most \(Self.mostTargets) at a time. Tick fewer.")
            }
            // One alone has a form of its own, where a passkey signs what is done.
            if let only = ids.first, ids.count == 1 {
                return .seeOther(operation.pageTemplate.replacing("{id}", with: URLText.encode(only)))
            }
            let request = Self.request(operation, posted)
            // What is left out is chosen in words; its codes are for programs.
            let errors = operation.errors(in: request).map { error in
                error.pointer == "/reason_code" && request.reasonCode == nil
                    ? FieldError(pointer: error.pointer, detail: "Choose a reason.") : error
            }
            if posted.text("action") == "passkey", posted.notice == nil {
                return try await Self.question(posted.exchange) {
                    // Said beside the button, all of it.
                    guard errors.isEmpty else {
                        throw Problem(.badRequest, errors.map(\.detail).joined(separator: " "))
                    }
                    return ["publicKey": try await passkeys().stepUpOptions(posted.signed.session)]
                }
            }
            guard posted.text("action") == "confirm", posted.notice == nil else {
                return try await ask(operation, ids, back, posted)
            }
            guard errors.isEmpty else {
                return try await ask(operation, ids, back, posted, errors: errors, status: .unprocessableContent)
            }
            var caller = posted.signed.caller
            let hasPasskey = await self.hasPasskey(for: operation, posted.signed)
            if hasPasskey, posted.text("passkey").isEmpty, !Self.isProven(caller, hasPasskey: true) {
                // A code would not do, so none is used up.
                return try await ask(
                    operation, ids, back, posted,
                    refusal: "You have a passkey, so several at once are confirmed with it: use your passkey.",
                    status: .unauthorized)
            }
            if !posted.text("code").isEmpty || !posted.text("passkey").isEmpty {
                do throws(OperationError) {
                    try context.signIns.spend(posted.exchange.client.source)
                    try await stepUp(posted)
                } catch {
                    let status = Problem(error).status
                    guard posted.text("passkey").isEmpty else {
                        guard let sentence = Self.passkeySentence(error) else { throw error }
                        return try await ask(operation, ids, back, posted, refusal: sentence, status: status)
                    }
                    guard let sentence = Self.codeSentence(error) else { throw error }
                    return try await ask(
                        operation, ids, back, posted, errors: [FieldError(pointer: "/code", detail: sentence)],
                        status: status)
                }
                guard let signed = try await session(token: posted.signed.token, posted.exchange) else {
                    throw OperationError.unauthenticated
                }
                caller = signed.caller
            }
            if operation.spec.risk >= .high, !Self.isProven(caller, hasPasskey: hasPasskey) {
                return try await ask(
                    operation, ids, back, posted,
                    errors: [FieldError(pointer: "/code", detail: "Enter a code: your factor is too old for this.")],
                    status: .unauthorized)
            }
            return try await carryOut(operation, ids, request, back, posted, by: caller)
        }
    }

    /// Whether the factor that was used last is fresh, and the passkey where there is one: a code that was asked for on the
    /// telephone is not as good.
    private static func isProven(_ caller: Caller, hasPasskey: Bool) -> Bool {
        guard let authentication = caller.authentication, authentication.isFresh else { return false }
        return !hasPasskey || authentication.factors.last == .webauthn
    }

    /// Why a passkey's answer was not taken, where that is said in the form.
    private static func passkeySentence(_ error: OperationError) -> String? {
        switch error {
        case .invalid(let errors): errors.map(\.detail).joined(separator: " ")
        case .conflict, .tooManyRequests: Problem(error).detail
        default: nil
        }
    }

    private static func request(_ operation: AnyOperation, _ posted: PostedForm) -> OperationRequest {
        func given(_ name: String) -> String? { posted.text(name).isEmpty ? nil : posted.text(name) }
        return OperationRequest(
            operation: operation.spec.name, reasonCode: given("reason_code"), justification: given("justification"),
            ticket: given("ticket"))
    }

    /// What each is called.
    private func names(_ operation: AnyOperation, _ ids: [String], by caller: Caller) async throws -> [String: String] {
        guard let type = context.catalog.entity(operation.targetType) else { return [:] }
        return try await context.pipeline.read(operation.spec.permission, by: caller) { reader in
            // Each is looked at, and recorded, by its preview.
            return (try type.displayNames(ids, reader), nil)
        }
    }

    private func ask(
        _ operation: AnyOperation, _ ids: [String], _ back: String, _ posted: PostedForm, errors: [FieldError] = [],
        refusal: String? = nil, status: HTTPResponse.Status = .ok
    ) async throws -> Response {
        let signed = posted.signed
        let names = try await names(operation, ids, by: signed.caller)
        var targets: [SeveralModel.Target] = []
        for id in ids {
            var request = OperationRequest(operation: operation.spec.name, target: id)
            // What it would come to does not hang on the reason, which is asked for below.
            request.reasonCode = operation.spec.reasonCodes.first?.code
            let name = names[id] ?? id
            do throws(OperationError) {
                let preview = try await context.pipeline.preview(request, by: signed.caller)
                targets.append(
                    .init(
                        id: id, name: name, consequence: preview.consequence, reasons: preview.reasons,
                        version: preview.version, reversibility: preview.allowed ? preview.reversibility : nil))
            } catch {
                switch error {
                case .notFound, .conflict, .locked:
                    targets.append(
                        .init(id: id, name: name, consequence: nil, reasons: [Problem(error).detail], version: nil))
                default: throw error
                }
            }
        }
        let key = posted.text("idempotency_key")
        let hasPasskey = await self.hasPasskey(for: operation, signed)
        let needsFactor =
            operation.spec.risk >= .high
            && !(Self.isProven(signed.caller, hasPasskey: hasPasskey)
                && signed.caller.authentication?.staysFresh == true)
        var model = SeveralModel(
            operation: operation, targets: targets, back: back,
            values: posted.values.filter { ["reason_code", "justification", "ticket"].contains($0.key) },
            errors: errors, csrf: signed.session.csrfToken, author: context.forms.author(signed.session.staffID),
            idempotencyKey: Identifier.isValid(key, prefix: "key")
                ? key : Identifier.mint("key", at: context.clock.now),
            needsCode: needsFactor && !hasPasskey, notice: posted.notice)
        let section = section(operation.pluralPath)
        model.listTitle = section.title
        model.listPath = section.path
        model.refusal = refusal
        model.needsPasskey = needsFactor && hasPasskey
        return framed(model.heading, OperationViews.several(model), signed, menuPath: menuPath(back), status: status)
    }

    /// The version of each that the page showed as one that can be done, by its id.
    private static func seen(_ posted: PostedForm) -> [String: Int64] {
        var versions: [String: Int64] = [:]
        for line in posted.text("seen").split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 2, let version = Int64(parts[1]) else { continue }
            versions[String(parts[0])] = version
        }
        return versions
    }

    private func menuPath(_ back: String) -> String {
        "/" + (back.split(whereSeparator: { "/?".contains($0) }).first.map(String.init) ?? "")
    }

    private func carryOut(
        _ operation: AnyOperation, _ ids: [String], _ request: OperationRequest, _ back: String, _ posted: PostedForm,
        by caller: Caller
    ) async throws -> Response {
        let names = try await names(operation, ids, by: caller)
        let given = posted.text("idempotency_key")
        let key = Identifier.isValid(given, prefix: "key") ? given : Identifier.mint("key", at: context.clock.now)
        let seen = Self.seen(posted)
        var lines: [SeveralResult.Line] = []
        for id in ids {
            guard let version = seen[id] else {
                lines.append(
                    .init(
                        name: names[id] ?? id, outcome: .refused,
                        detail: "It could not be done when it was shown, so nothing was done. Look again.",
                        reference: nil))
                continue
            }
            var one = request
            one.target = id
            one.ifMatch = version
            one.isOneOfSeveral = true
            // A second press of the button finds each answer again.
            one.idempotencyKey = "\(key):\(id)"
            let name = names[id] ?? id
            do throws(OperationError) {
                let outcome = try await context.pipeline.run(one, by: caller)
                context.metrics.operation(operation.spec.name, outcome: outcome.metricsLabel)
                switch outcome.result {
                case .applied(let applied):
                    lines.append(
                        .init(name: name, outcome: .applied, detail: applied.consequence, reference: applied.eventID))
                case .pending(let pending):
                    lines.append(
                        .init(
                            name: name, outcome: .pending, detail: "It runs when the others have agreed.",
                            reference: pending.approvalID))
                }
            } catch {
                let problem = Problem(error)
                context.metrics.operation(operation.spec.name, outcome: problem.kind.slug)
                switch error {
                case .preconditionFailed:
                    lines.append(
                        .init(
                            name: name, outcome: .refused,
                            detail: "It changed since it was shown, so nothing was done. Look again.", reference: nil)
                    )
                // Said of this one; the others are done all the same.
                case .conflict, .locked, .notFound, .overLimit, .keyRunning, .invalid:
                    lines.append(.init(name: name, outcome: .refused, detail: problem.detail, reference: nil))
                default:
                    guard lines.isEmpty else {
                        lines.append(.init(name: name, outcome: .refused, detail: problem.detail, reference: nil))
                        continue
                    }
                    throw error
                }
            }
        }
        let result = SeveralResult(
            title: operation.spec.title(of: lines.count), lines: lines, back: back,
            linksEvents: caller.permissions.contains("audit.view"))
        return framed(result.heading, OperationViews.several(result), posted.signed, menuPath: menuPath(back))
    }
}
