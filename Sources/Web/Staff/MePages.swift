import HTML
import HTTPTypes
import Hummingbird
import Kernel

extension StaffConsole {
    /// What is posted about oneself and one's session.
    func meFormRoutes() -> [FormRoute] {
        [
            FormRoute("/signout") { posted in
                try await context.signIn.end(posted.signed.session, from: posted.exchange.source(.console))
                var response = Response.seeOther("/signin?out=1")
                response.headers[values: .setCookie].append(
                    cookie(context.configuration.sessionCookie, "", lasting: .seconds(0)))
                return response
            },
            FormRoute("/step-up") { posted in
                let next = Self.localPath(posted.text("next")) ?? "/"
                do throws(OperationError) {
                    try context.signIns.spend(posted.exchange.client.source)
                    try await context.signIn.stepUp(
                        posted.signed.session, code: posted.text("code"), from: posted.exchange.source(.console))
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
                        maxAge: posted.signed.session.limits.stepUpAge)
                    return framed(
                        "Use your authenticator again", SignInViews.stepUp(model), posted.signed,
                        status: Problem(error).status)
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
                    guard case .stepUpRequired = error else { throw error }
                    return .seeOther("/step-up?next=/me")
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
}
