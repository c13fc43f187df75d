import Kernel

/// RFC 9457 answers in words.
enum Problem {
    static func failure(_ response: APIResponse) -> CommandFailure {
        var status = CommandStatus(http: response.status)
        guard let problem = response.json, problem.object != nil else {
            return CommandFailure(status, "The server answered \(response.status) without saying why.")
        }
        var lines = [problem["detail"]?.string ?? problem["title"]?.string ?? "The server answered \(response.status)."]
        for error in problem["errors"]?.array ?? [] {
            let pointer = error["pointer"]?.string ?? ""
            let detail = error["detail"]?.string ?? ""
            // A single error is the problem's own detail already.
            if detail == lines[0] { continue }
            lines.append("- \(option(pointer).map { "\($0): " } ?? "")\(detail)")
        }
        if let permission = problem["required_permission"]?.string, !lines[0].contains(permission) {
            lines.append("It needs the permission \(permission).")
        }
        if let states = problem["legal_transitions"]?.array?.compactMap(\.string), !states.isEmpty {
            lines.append("Possible now: \(states.joined(separator: ", ")).")
        }
        if let seconds = problem["retry_after"]?.int { lines.append("Try again in \(seconds) s.") }
        if response.status == 401 {
            if isStepUp(response) {
                lines.append("Give a fresh code with --code, or sign in anew with: postern login")
            } else {
                lines.append("Sign in with: postern login")
            }
        }
        if response.status == 500 { status = .unexpected }
        if let id = response.headers["x-request-id"], response.status >= 500 { lines.append("Request \(id).") }
        return CommandFailure(status, lines.map(\.printable).joined(separator: "\n"))
    }

    /// RFC 9470.
    static func isStepUp(_ response: APIResponse) -> Bool {
        response.status == 401
            && response.headers["www-authenticate"]?.contains("insufficient_user_authentication") == true
    }

    /// The option a JSON pointer is about: `/input/name` → `--name`.
    private static func option(_ pointer: String) -> String? {
        guard
            let name = pointer.split(whereSeparator: { $0 == "/" || $0 == "?" }).last(where: {
                $0 != "input" && Int($0) == nil
            })
        else { return nil }
        return "--" + name.replacing("_", with: "-")
    }
}
