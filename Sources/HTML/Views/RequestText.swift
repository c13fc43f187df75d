import Kernel

/// A request as a person would type it into a terminal.
public enum RequestText {
    /// `postern tenant suspend ten_… --reason-code non_payment --justification '…'`, or `postern undo evt_… …`
    public static func cli(_ request: OperationRequest, operation: AnyOperation) -> String {
        let spec = operation.spec
        var words: [String]
        if let event = request.undoes {
            // What restores the state before is the server's to know.
            words = ["postern", "undo", quoted(event)]
        } else {
            words = ["postern", spec.noun.replacing("_", with: "-"), spec.verbPath]
            if let target = request.target { words.append(quoted(target)) }
            words += fields(request, operation)
        }
        if let code = request.reasonCode { words += option("reason-code", code) }
        if let text = request.justification { words += option("justification", text) }
        if let ticket = request.ticket { words += option("ticket", ticket) }
        if let start = request.notBefore { words += option("not-before", start.rfc3339) }
        if request.undoes == nil, let version = request.ifMatch { words += ["--if-match", String(version)] }
        return words.joined(separator: " ")
    }

    /// Each field in its own text form, as the command line reads it.
    private static func fields(_ request: OperationRequest, _ operation: AnyOperation) -> [String] {
        let input = request.input.object ?? [:]
        var words: [String] = []
        for field in operation.fields() {
            guard let value = input[field.name], value != .null else { continue }
            let option = optionName(field.name)
            let isDefault = field.param.currentJSON == value
            guard (try? field.param.set(value)) != nil else { continue }
            if case .bool(let isOn) = value {
                if isOn { words.append("--\(option)") } else if !isDefault { words.append("--no-\(option)") }
                continue
            }
            for text in field.param.currentArguments { words += self.option(option, text) }
        }
        return words
    }

    /// A value that begins like an option is tied to its own.
    private static func option(_ name: String, _ value: String) -> [String] {
        value.hasPrefix("-") ? ["--\(name)=\(quoted(value))"] : ["--\(name)", quoted(value)]
    }

    /// The API call. The token is read from the environment, so that it isn't kept in a shell's history. Its key is the
    /// form's own: sent again, or beside the form, it is done once.
    /// - Parameters:
    ///   - origin: `https://postern.example:8080`
    ///   - path: `/api/v1/tenants/ten_…/suspend`
    public static func curl(_ request: OperationRequest, origin: String, path: String) -> String {
        let body = JSON.members([
            ("input", request.undoes == nil ? .some(request.input) : .none),
            ("reason_code", request.reasonCode.map(JSON.string)),
            ("justification", request.justification.map(JSON.string)), ("ticket", request.ticket.map(JSON.string)),
            ("not_before", request.notBefore.map { .string($0.rfc3339) }),
        ])
        var lines = [
            "curl -X POST \(quoted(origin + path))",
            "-H \"Authorization: Bearer $POSTERN_TOKEN\"",
            "-H 'Content-Type: application/json'",
        ]
        if let key = request.idempotencyKey { lines.append("-H \(quoted("Idempotency-Key: \"\(key)\""))") }
        if let version = request.ifMatch { lines.append("-H 'If-Match: \"\(version)\"'") }
        lines.append("-d \(quoted(body.canonicalText))")
        return lines.joined(separator: " \\\n  ")
    }

    /// Options every verb of the command line has.
    public static let commonOptions: Set<String> = [
        "if-match", "dry-run", "yes", "json", "code", "idempotency-key", "server", "help", "reason-code",
        "justification", "ticket", "not-before",
    ]

    /// The option of a field; one that would be called like a common option is called `input-…`.
    public static func optionName(_ field: String) -> String {
        let name = field.replacing("_", with: "-")
        return commonOptions.contains(name) ? "input-\(name)" : name
    }

    /// A POSIX shell word.
    static func quoted(_ text: String) -> String {
        let safe = text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "_-./:@".utf8.contains(byte)
        }
        return safe && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
