import HTML
import HTTPTypes
import Hummingbird
import Kernel

extension StaffConsole {
    /// What is posted about oneself and one's session.
    func meFormRoutes() -> [FormRoute] {
        [
            FormRoute("/signout") { posted in try await signOut(posted) },
            FormRoute("/step-up") { posted in
                let next = Self.localPath(posted.text("next")) ?? "/"
                do throws(OperationError) {
                    try context.signIns.spend(posted.exchange.client.source)
                    try await stepUp(posted)
                    return .seeOther(next)
                } catch {
                    let sentence: String
                    switch error {
                    case .unauthenticated: sentence = "The code did not fit or was used before. Wait for the next one."
                    case .invalid(let errors): sentence = errors.map(\.detail).joined(separator: " ")
                    case .tooManyRequests: sentence = Problem(error).detail
                    default: throw error
                    }
                    let model = StepUpModel(
                        next: next, csrf: posted.signed.session.csrfToken, error: sentence,
                        maxAge: posted.signed.session.limits.stepUpAge,
                        hasPasskey: await context.hasPasskey(posted.signed.session))
                    return framed(
                        "Use your authenticator again", SignInViews.stepUp(model), posted.signed,
                        status: Problem(error).status)
                }
            },
            FormRoute("/step-up/options") { posted in
                try await Self.question(posted.exchange) {
                    ["publicKey": try await passkeys().stepUpOptions(posted.signed.session)]
                }
            },
            FormRoute("/me/passkeys/options") { posted in
                try await Self.question(posted.exchange) {
                    [
                        "publicKey": try await passkeys().creationOptions(
                            posted.signed.session, by: posted.signed.caller)
                    ]
                }
            },
            FormRoute("/me/passkeys") { posted in
                try await aboutMe(posted, done: "passkey") { () throws(OperationError) in
                    try await passkeys().add(
                        Self.passkeyAnswer(posted.values), named: posted.text("name"), to: posted.signed.session,
                        by: posted.signed.caller)
                }
            },
            FormRoute("/me/passkeys/{id}/rename") { posted in
                try await aboutMe(posted, done: "renamed") { () throws(OperationError) in
                    try await passkeys().rename(
                        posted.parameters["id"] ?? "", to: posted.text("name"), of: posted.signed.session,
                        by: posted.signed.caller)
                }
            },
            FormRoute("/me/passkeys/{id}/remove") { posted in
                try await aboutMe(posted, done: "removed") { () throws(OperationError) in
                    try await passkeys().remove(
                        posted.parameters["id"] ?? "", of: posted.signed.session, by: posted.signed.caller)
                }
            },
            FormRoute("/me/password") { posted in
                do throws(OperationError) {
                    try await context.signIn.changePassword(
                        posted.signed.session, by: posted.signed.caller, old: posted.text("old"),
                        new: posted.text("new"))
                    return .seeOther("/me?done=password")
                } catch {
                    let errors: [FieldError]
                    switch error {
                    case .invalid(let found): errors = found
                    case .tooManyRequests: errors = [FieldError(pointer: "/old", detail: Problem(error).detail)]
                    case .stepUpRequired: return .seeOther("/step-up?next=/me")
                    default: throw error
                    }
                    return try await showAgain("/me", posted, errors: errors, status: Problem(error).status)
                }
            },
            FormRoute("/me/recovery-codes") { posted in
                do throws(OperationError) {
                    let codes = try await context.signIn.renewRecoveryCodes(
                        posted.signed.session, by: posted.signed.caller)
                    return framed(
                        "Recovery codes", SignInViews.recoveryCodes(RecoveryCodesModel(codes: codes, next: "/me")),
                        posted.signed, menuPath: "/me")
                } catch {
                    switch error {
                    case .stepUpRequired: return .seeOther("/step-up?next=/me")
                    case .conflict(let detail, _):
                        return try await showAgain(
                            "/me", posted, errors: [FieldError(pointer: "/authenticator", detail: detail)],
                            status: Problem(error).status)
                    default: throw error
                    }
                }
            },
            FormRoute("/me/authenticator") { posted in
                do throws(OperationError) {
                    let offer = try await context.signIn.authenticatorOffer(
                        posted.signed.session, by: posted.signed.caller)
                    return newAuthenticator(sealed(offer, for: .authenticator), posted)
                } catch {
                    guard case .stepUpRequired = error else { throw error }
                    return .seeOther("/step-up?next=/me")
                }
            },
            FormRoute("/me/authenticator/confirm") { posted in
                guard let kept = context.forms.open(posted.text("sealed_secret"), for: .authenticator),
                    let inner = kept["sealed"]?.string
                else {
                    let error = FieldError(
                        pointer: "/authenticator", detail: "The page was too old. Set the app up anew.")
                    return try await showAgain("/me", posted, errors: [error], status: .unprocessableContent)
                }
                do throws(OperationError) {
                    try context.signIns.spend(posted.exchange.client.source)
                    try await context.signIn.setAuthenticator(
                        inner, code: posted.text("code"), of: posted.signed.session, by: posted.signed.caller)
                    return .seeOther("/me?done=authenticator")
                } catch {
                    let sentence: String
                    switch error {
                    case .invalid(let errors): sentence = errors.map(\.detail).joined(separator: " ")
                    case .tooManyRequests: sentence = Problem(error).detail
                    case .conflict(let detail, _): sentence = detail
                    case .stepUpRequired: return .seeOther("/step-up?next=/me")
                    default: throw error
                    }
                    let session = posted.signed.session
                    let offer = EnrolmentOffer(
                        staffID: session.staffID, email: session.email, name: session.name,
                        totpSecret: kept["secret"]?.string ?? "", totpURI: kept["uri"]?.string ?? "",
                        sealedSecret: posted.text("sealed_secret"))
                    return newAuthenticator(offer, posted, error: sentence, status: Problem(error).status)
                }
            },
            FormRoute("/me/authenticator/remove") { posted in
                try await aboutMe(posted, done: "authenticator-removed", field: "authenticator") {
                    () throws(OperationError) in
                    try await context.signIn.removeAuthenticator(
                        of: posted.signed.session, by: posted.signed.caller)
                }
            },
            FormRoute("/me/sessions/end-others") { posted in
                try await context.signIn.endOthers(than: posted.signed.session, from: posted.exchange.source(.console))
                return .seeOther("/me?done=others")
            },
            FormRoute("/me/sessions/{id}/end") { posted in
                try await context.signIn.end(
                    sessionID: posted.parameters["id"] ?? "", of: posted.signed.session,
                    from: posted.exchange.source(.console))
                return .seeOther("/me?done=session")
            },
        ]
    }

    /// Renews the factor with what was sent: a passkey's answer or a code.
    func stepUp(_ posted: PostedForm) async throws(OperationError) {
        let source = posted.exchange.source(.console)
        if posted.text("passkey").isEmpty {
            try await context.signIn.stepUp(posted.signed.session, code: posted.text("code"), from: source)
        } else {
            try await passkeys().stepUp(posted.signed.session, with: Self.passkeyAnswer(posted.values), from: source)
        }
    }

    private func newAuthenticator(
        _ offer: EnrolmentOffer, _ posted: PostedForm, error: String? = nil, status: HTTPResponse.Status = .ok
    ) -> Response {
        let model = EnrolmentModel(
            token: "", offer: offer, qrSVG: context.qrSVG(offer.totpURI), errors: error.map { ["code": $0] } ?? [:],
            csrf: posted.signed.session.csrfToken)
        return framed(
            "Authenticator app", SignInViews.newAuthenticator(model), posted.signed, menuPath: "/me", status: status)
    }

    /// Does something about one's own factors and shows the page again, with what is wrong in the form.
    private func aboutMe(
        _ posted: PostedForm, done: String, field: String = "passkey", _ body: () async throws(OperationError) -> Void
    ) async throws -> Response {
        try await aboutMe(posted, at: "/\(field)") { () throws(OperationError) in
            try await body()
            return .seeOther("/me?done=\(done)")
        }
    }

    /// The same, with an answer of its own.
    /// - Parameter place: the part of the page where a refusal is said.
    func aboutMe(
        _ posted: PostedForm, at place: String, _ body: () async throws(OperationError) -> Response
    ) async throws -> Response {
        do throws(OperationError) {
            return try await body()
        } catch {
            let errors: [FieldError]
            switch error {
            case .invalid(let found): errors = found
            case .conflict(let detail, _): errors = [FieldError(pointer: place, detail: detail)]
            // The provider is away, not the database.
            case .unavailable(let detail) where place == "/provider":
                errors = [FieldError(pointer: place, detail: detail)]
            case .stepUpRequired: return .seeOther("/step-up?next=/me")
            default: throw error
            }
            return try await showAgain("/me", posted, errors: errors, status: Problem(error).status)
        }
    }
}
