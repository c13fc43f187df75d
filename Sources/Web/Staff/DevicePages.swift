import HTML
import HTTPTypes
import Hummingbird
import Kernel

extension StaffConsole {
    /// `/device`: where a person lets a command line in.
    func deviceRoutes() -> [Route] {
        guard context.devices != nil else { return [] }
        return [
            // The code in the address only fills the field: whoever was sent the address still compares it.
            signedPage("/device") { exchange, signed in
                framed(
                    DeviceViews.title,
                    DeviceViews.ask(csrf: signed.session.csrfToken, code: Self.shownCode(exchange.first("code"))),
                    signed)
            }
        ]
    }

    func deviceFormRoutes() -> [FormRoute] {
        guard let devices = context.devices else { return [] }
        return [
            FormRoute("/device") { posted in
                try await answering(posted) { () throws(OperationError) in
                    let session = posted.signed.session
                    let device = try await devices.device(
                        code: posted.text("code"), for: session, from: posted.exchange.source(.console))
                    let now = context.clock.now
                    return DeviceViews.found(
                        DeviceModel(
                            device: device, name: session.name, roles: posted.signed.caller.roles.sorted(),
                            csrf: session.csrfToken, isFresh: posted.signed.caller.authentication?.isFresh ?? false,
                            expiresAt: now + session.limits.length, now: now))
                }
            },
            FormRoute("/device/approve") { posted in
                try await answering(posted) { () throws(OperationError) in
                    try await devices.approveDevice(
                        code: posted.text("code"), for: posted.signed.session, by: posted.signed.caller)
                    return DeviceViews.decided(isApproved: true)
                }
            },
            FormRoute("/device/deny") { posted in
                try await answering(posted) { () throws(OperationError) in
                    try await devices.denyDevice(
                        code: posted.text("code"), for: posted.signed.session, by: posted.signed.caller)
                    return DeviceViews.decided(isApproved: false)
                }
            },
        ]
    }

    /// Shows what came of a form, or the code's field with what is wrong.
    private func answering(
        _ posted: PostedForm, _ body: () async throws(OperationError) -> Node
    ) async throws -> Response {
        let code = Self.shownCode(posted.text("code"))
        do throws(OperationError) {
            return framed(DeviceViews.title, try await body(), posted.signed)
        } catch {
            let sentence: String
            switch error {
            case .invalid(let errors): sentence = errors.map(\.detail).joined(separator: " ")
            case .tooManyRequests: sentence = Problem(error).detail
            case .stepUpRequired: return .seeOther("/step-up?next=\(URLText.encode("/device?code=\(code)"))")
            default: throw error
            }
            return framed(
                DeviceViews.title,
                DeviceViews.ask(csrf: posted.signed.session.csrfToken, code: code, error: sentence), posted.signed,
                status: Problem(error).status)
        }
    }

    /// Of a code that anybody may have written, what can stand in one.
    private static func shownCode(_ text: String?) -> String {
        String((text ?? "").prefix(12).filter { $0.isASCII && ($0.isLetter || $0 == "-") })
    }
}
