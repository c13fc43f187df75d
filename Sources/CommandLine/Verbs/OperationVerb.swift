import Foundation
import HTML
import Kernel

/// A verb derived from an operation's declaration: `postern tenant suspend acme --reason-code non_payment …`.
struct OperationVerb: Sendable {
    let operation: AnyOperation

    /// `tenant`, `role-permission`
    var noun: String { operation.spec.noun.replacing("_", with: "-") }
    /// `hard-delete`
    var verb: String { operation.spec.verbPath }
    var hasTarget: Bool { !operation.creates }

    /// The operations people may call, in name order.
    static func all(in catalog: Catalog) -> [OperationVerb] {
        catalog.operations.filter { !$0.spec.systemOnly }.map(OperationVerb.init)
    }

    static func find(_ noun: String, _ verb: String, in catalog: Catalog) -> OperationVerb? {
        all(in: catalog).first { $0.noun == noun && $0.verb == verb }
    }

    // MARK: Options

    struct Option: Sendable {
        let name: String
        /// `nil` for a switch.
        let placeholder: String?
        let help: String
    }

    static let common: [Option] = [
        Option(name: "if-match", placeholder: "version", help: "Only if it still has this version."),
        Option(
            name: "not-before", placeholder: "time",
            help: "Where others must agree: carry it out then at the earliest, as in '2030-01-31 09:00' (UTC)."),
        Option(name: "dry-run", placeholder: nil, help: "Say what it would do; change nothing."),
        Option(name: "yes", placeholder: nil, help: "Don't ask to confirm."),
        Option(name: "json", placeholder: nil, help: "Answer as JSON, for scripts."),
        Option(name: "code", placeholder: "digits", help: "A fresh code, where the server asks for one."),
        Option(
            name: "idempotency-key", placeholder: "key",
            help:
                "Your own key: the same key again, with the same --if-match, answers the same outcome and changes nothing. Where you gave no version, the one to repeat with is told."
        ),
        Option(
            name: "server", placeholder: "url", help: "The server (default: POSTERN_URL, else http://localhost:8080)."),
        Option(name: "help", placeholder: nil, help: "Show this help."),
    ]

    static func optionName(_ field: String) -> String { RequestText.optionName(field) }

    static let reasoning: [Option] = [
        Option(name: "reason-code", placeholder: "code", help: "Why, from the list below."),
        Option(name: "justification", placeholder: "text", help: "Why, in your words."),
        Option(name: "ticket", placeholder: "ticket", help: "The ticket it belongs to."),
    ]

    var reasoningOptions: [Option] {
        Self.reasoning.filter { option in
            switch option.name {
            case "reason-code": !operation.spec.reasonCodes.isEmpty
            case "justification": operation.spec.justification != .none
            default: true
            }
        }
    }

    private func placeholder(_ field: ParamField) -> String? {
        switch field.param.control {
        case .line, .prose: "text"
        case .number: "number"
        case .day: "day"
        case .email: "e-mail"
        case .checkbox: nil
        case .choice(let words): words.count <= 4 ? words.joined(separator: "|") : "word"
        case .choices: "value"
        }
    }

    // MARK: Help

    /// A part of a verb's help: names with what they are for. Empty without rows.
    static func section(_ title: String, _ rows: [(String, String)]) -> String {
        guard !rows.isEmpty else { return "" }
        return "\n\(title):\n"
            + rows.map { name, help in
                name.count > 30
                    ? "  \(name)\n\(String(repeating: " ", count: 34))\(help)\n"
                    : "  \(name.padded(to: 32))\(help)\n"
            }.joined()
    }

    var usage: String {
        var parts = ["postern \(noun) \(verb)"]
        if hasTarget { parts.append("<\(noun)>") }
        for field in operation.fields() where field.param.isRequired {
            parts.append("--\(Self.optionName(field.name))" + (placeholder(field).map { " <\($0)>" } ?? ""))
        }
        if !operation.spec.reasonCodes.isEmpty { parts.append("--reason-code <code>") }
        if case .required = operation.spec.justification { parts.append("--justification <text>") }
        if operation.spec.ticketRequired { parts.append("--ticket <ticket>") }
        if operation.spec.requiresIfMatch { parts.append("[--if-match <version>]") }
        return (parts + ["[options]"]).joined(separator: " ")
    }

    var help: String {
        var out = "OVERVIEW: \(operation.spec.title). \(operation.spec.summary)\n\nUSAGE: \(usage)\n"
        func section(_ title: String, _ rows: [(String, String)]) { out += Self.section(title, rows) }
        if hasTarget {
            section(
                "ARGUMENTS",
                [("<\(noun)>", "Its id (\(operation.targetPrefix)_…)\(otherNames).")])
        }
        section(
            "FIELDS",
            operation.fields().map { field in
                let name = "--\(Self.optionName(field.name))" + (placeholder(field).map { " <\($0)>" } ?? "")
                var help = "\(field.param.label). \(field.param.help)"
                if field.param.isRequired { help += " Required." }
                if case .choices = field.param.control { help += " May be repeated." }
                if case .choice(let words) = field.param.control, words.count > 4 {
                    help += " One of \(words.joined(separator: ", "))."
                }
                if !field.param.isRequired, !field.param.currentText.isEmpty {
                    help += " Default: \(field.param.currentText)."
                }
                return (name, help)
            })
        section(
            "OPTIONS",
            (reasoningOptions + Self.common).map {
                ("--\($0.name)" + ($0.placeholder.map { " <\($0)>" } ?? ""), $0.help)
            })
        section("REASON CODES", operation.spec.reasonCodes.map { ($0.code, $0.label) })
        return out
    }

    /// What a target is found by, beside its id.
    private var otherNames: String {
        switch operation.targetType {
        case "tenant": ", slug or external id"
        case "user": ", external id or e-mail address"
        case "staff": " or e-mail address"
        default: ""
        }
    }

    // MARK: Parsing

    struct Request: Sendable {
        var target: String?
        var input: [String: JSON] = [:]
        var options: [String: String] = [:]
        var switches: Set<String> = []
    }

    /// Reads what was typed; every mistake at once.
    func parse(_ arguments: [String]) throws(CommandFailure) -> Request {
        var request = Request()
        var problems: [String] = []
        let fields = operation.fields()
        let fieldByOption = Dictionary(uniqueKeysWithValues: fields.map { (Self.optionName($0.name), $0) })
        let optionByName = Dictionary(uniqueKeysWithValues: (reasoningOptions + Self.common).map { ($0.name, $0) })
        var texts: [String: [String]] = [:]
        var rest = arguments[...]

        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument != "-" else {
                if hasTarget, request.target == nil {
                    request.target = argument
                } else {
                    problems.append("\"\(argument.printable)\" is one argument too many.")
                }
                continue
            }
            if argument == "-h" {
                request.switches.insert("help")
                continue
            }
            let parts = argument.drop { $0 == "-" }.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts.first.map(String.init) ?? ""
            let attached = parts.count == 2 ? String(parts[1]) : nil
            func value() -> String? { attached ?? rest.popFirst() }

            if let option = optionByName[name] {
                if option.placeholder == nil {
                    request.switches.insert(name)
                    if attached != nil { problems.append("--\(name) takes no value.") }
                } else if let value = value() {
                    request.options[name] = value
                } else {
                    problems.append("--\(name) needs a value.")
                }
            } else if let field = fieldByOption[name] {
                if field.param.control == .checkbox {
                    texts[field.name] = [attached ?? "true"]
                } else if let value = value() {
                    texts[field.name, default: []].append(value)
                } else {
                    problems.append("--\(name) needs a value.")
                }
            } else if name.hasPrefix("no-"), let field = fieldByOption[String(name.dropFirst(3))],
                field.param.control == .checkbox
            {
                texts[field.name] = ["false"]
            } else {
                // Its value is not the target.
                if attached == nil, let next = rest.first, !next.hasPrefix("-") { rest.removeFirst() }
                let near = Nearest.word(to: name, among: Array(optionByName.keys) + Array(fieldByOption.keys))
                problems.append(
                    "There is no option --\(name.printable)." + (near.map { " Did you mean --\($0)?" } ?? ""))
            }
        }
        if request.switches.contains("help") { return request }

        if hasTarget, request.target == nil {
            problems.append("Say which \(noun): its id\(otherNames).")
        }
        for field in fields {
            let option = "--" + Self.optionName(field.name)
            guard let given = texts[field.name] else {
                if field.param.isRequired { problems.append("\(option) is required: \(field.param.help)") }
                continue
            }
            if given.count > 1, !isList(field) {
                problems.append("\(option) is given \(given.count) times.")
                continue
            }
            do throws(FieldError.Reason) {
                try field.param.set(text: given.joined(separator: "\n"))
                if let json = field.param.currentJSON { request.input[field.name] = json }
            } catch {
                problems.append("\(option): \(field.param.label) \(error.text)")
            }
        }
        if let code = request.options["reason-code"], !operation.spec.reasonCodes.contains(where: { $0.code == code }) {
            problems.append(
                "--reason-code must be one of \(operation.spec.reasonCodes.map(\.code).joined(separator: ", ")).")
        }
        if !operation.spec.reasonCodes.isEmpty, request.options["reason-code"] == nil {
            problems.append(
                "--reason-code is required: one of \(operation.spec.reasonCodes.map(\.code).joined(separator: ", ")).")
        }
        if case .required(let least) = operation.spec.justification,
            (request.options["justification"] ?? "").count < least
        {
            problems.append("--justification is required: at least \(least) characters that say why.")
        }
        if let text = request.options["not-before"], Instant(typed: text) == nil {
            problems.append("--not-before must be a time in UTC, such as '2030-01-31 09:00', or RFC 3339.")
        }
        if operation.spec.ticketRequired, request.options["ticket"] == nil { problems.append("--ticket is required.") }
        if isDecision, request.switches.contains("yes"), !request.switches.contains("dry-run"),
            request.options["if-match"] == nil
        {
            problems.append("Say which version you read: --if-match, as approval show prints it.")
        }
        guard problems.isEmpty else {
            let text = problems.count == 1 ? problems[0] : problems.map { "- \($0)" }.joined(separator: "\n")
            throw CommandFailure(.usage, "\(text)\nUsage: \(usage)\nHelp: postern \(noun) \(verb) --help")
        }
        return request
    }

    /// Says yes or no to what somebody asked for.
    private var isDecision: Bool { operation.targetType == ApprovalRequest.type && verb != "cancel" }

    private func isList(_ field: ParamField) -> Bool {
        if case .choices = field.param.control { true } else { false }
    }

    // MARK: Running

    func run(_ arguments: [String]) async throws(CommandFailure) {
        let request = try parse(arguments)
        guard !request.switches.contains("help") else {
            Invocation.current.terminal.write(help)
            return
        }
        var client = try APIClient.make(server: request.options["server"])
        client.code = request.options["code"]
        var sending = Submission(
            title: operation.spec.title, path: "/api/v1/\(operation.targetPlural.replacing("_", with: "-"))",
            request: request,
            confirmByTyping: operation.spec.confirmByTyping)
        try sending.checkCanConfirm(client.terminal)
        if let target = request.target {
            let id = try await TargetLookup(client: client).id(
                of: target, prefix: operation.targetPrefix, type: operation.targetType)
            sending.path += "/\(APIClient.encode(id))"
            if operation.spec.requiresIfMatch, sending.ifMatch == nil {
                // The version the person is about to see in the preview.
                let resource = try await client.send(APIRequest("GET", sending.path))
                guard resource.status == 200 else { throw Problem.failure(resource) }
                sending.ifMatch = resource.headers["etag"]
            }
            if isDecision, sending.isShown {
                // Nobody decides on what they have not read, and what they read is what they decide on.
                let resource = try await client.send(APIRequest("GET", sending.path))
                guard resource.status == 200, let request = resource.json else { throw Problem.failure(resource) }
                sending.about = ApprovalText.describe(
                    request, in: Invocation.current.catalog, on: client.terminal)
                sending.ifMatch = sending.ifMatch ?? resource.headers["etag"]
            }
            sending.path += "/\(verb)"
        }
        try await sending.run(with: client)
    }
}
