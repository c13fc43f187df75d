import Kernel

/// A request as a person would type it into a terminal.
public enum RequestText {
    /// `postern tenant suspend ten_… --reason-code non_payment --justification '…'`
    public static func cli(_ request: OperationRequest, spec: OperationSpec) -> String {
        var words = ["postern", spec.noun, spec.verb.replacing("_", with: "-")]
        if let target = request.target { words.append(quoted(target)) }
        for (name, value) in (request.input.object ?? [:]).sorted(by: { $0.key < $1.key }) where value != .null {
            let option = optionName(name)
            if case .bool(let isOn) = value {
                if isOn { words.append(option) }
                continue
            }
            for text in value.array?.map(plain) ?? [plain(value)] { words += [option, quoted(text)] }
        }
        if let code = request.reasonCode { words += ["--reason-code", quoted(code)] }
        if let text = request.justification { words += ["--justification", quoted(text)] }
        if let ticket = request.ticket { words += ["--ticket", quoted(ticket)] }
        if let version = request.ifMatch { words += ["--if-match", String(version)] }
        return words.joined(separator: " ")
    }

    /// The API call. The token is read from the environment, so that it isn't kept in a shell's history.
    /// - Parameters:
    ///   - origin: `https://postern.example:8080`
    ///   - path: `/api/v1/tenants/ten_…/suspend`
    public static func curl(_ request: OperationRequest, origin: String, path: String) -> String {
        let body = JSON.members([
            ("input", request.input), ("reason_code", request.reasonCode.map(JSON.string)),
            ("justification", request.justification.map(JSON.string)), ("ticket", request.ticket.map(JSON.string)),
        ])
        var lines = [
            "curl -X POST \(quoted(origin + path))",
            "-H \"Authorization: Bearer $POSTERN_TOKEN\"",
            "-H 'Content-Type: application/json'",
            // A new key each time it is typed, the same one for retries of one run.
            "-H \"Idempotency-Key: \\\"$(uuidgen)\\\"\"",
        ]
        if let version = request.ifMatch { lines.append("-H 'If-Match: \"\(version)\"'") }
        lines.append("-d \(quoted(body.canonicalText))")
        return lines.joined(separator: " \\\n  ")
    }

    /// Options every verb has; a field of the same name is called `--input-…`.
    private static let common: Set<String> = [
        "if-match", "dry-run", "yes", "json", "code", "idempotency-key", "server", "help", "reason-code",
        "justification", "ticket",
    ]

    private static func optionName(_ field: String) -> String {
        let name = field.replacing("_", with: "-")
        return common.contains(name) ? "--input-\(name)" : "--\(name)"
    }

    private static func plain(_ value: JSON) -> String { value.string ?? value.canonicalText }

    /// A POSIX shell word.
    static func quoted(_ text: String) -> String {
        let safe = text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "_-./:@".utf8.contains(byte)
        }
        return safe && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
