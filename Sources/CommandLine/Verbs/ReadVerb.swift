import Kernel

/// A verb derived from a read of the API: `postern delivery list --state dead`, `postern delivery show dlv_…`. Nouns whose lists
/// need words of their own have commands; all others have these.
struct ReadVerb: Sendable {
    enum Kind: String, Sendable {
        case list, show
    }

    let read: Read
    let kind: Kind
    /// `runtime-token`
    let noun: String
    var verb: String { kind.rawValue }

    private init?(_ read: Read) {
        let parts = read.name.split(separator: ".").map(String.init)
        guard parts.count == 2 else { return nil }
        switch parts[1] {
        case "list" where read.isList && !read.path.contains("{"): kind = .list
        case "view" where read.path.hasSuffix("/{id}"): kind = .show
        default: return nil
        }
        self.read = read
        noun = parts[0].replacing("_", with: "-")
    }

    /// The reads of all nouns that have operations and no command of their own.
    static func all(in catalog: Catalog) -> [ReadVerb] {
        let nouns = Set(PosternCommand.derivedNouns(in: catalog))
        return catalog.reads.compactMap { ReadVerb($0) }.filter { nouns.contains($0.noun) }
    }

    /// The list of a noun first.
    static func all(of noun: String, in catalog: Catalog) -> [ReadVerb] {
        all(in: catalog).filter { $0.noun == noun }.sorted { $0.verb < $1.verb }
    }

    static func find(_ noun: String, _ verb: String, in catalog: Catalog) -> ReadVerb? {
        all(in: catalog).first { $0.noun == noun && $0.verb == verb }
    }

    // MARK: Options

    /// What a list can be narrowed by: what the API's list takes.
    private var filters: [Read.Parameter] { kind == .list ? read.exportParameters : [] }

    /// The words a filter can be; none where it is free.
    private static func words(of filter: Read.Parameter) -> [String] {
        filter.schema["enum"]?.array?.compactMap(\.string) ?? []
    }

    var options: [OperationVerb.Option] {
        let narrowing = filters.map { filter in
            let words = Self.words(of: filter)
            return OperationVerb.Option(
                name: OperationVerb.optionName(filter.name),
                placeholder: words.isEmpty ? "text" : words.count <= 4 ? words.joined(separator: "|") : "word",
                help: filter.summary + (words.count > 4 ? " One of \(words.joined(separator: ", "))." : ""))
        }
        let paging: [OperationVerb.Option] =
            kind == .list
            ? [
                .init(name: "limit", placeholder: "number", help: "How many to show, 1 to 200. Default: 50."),
                .init(name: "cursor", placeholder: "cursor", help: "Start after this cursor, from the page before."),
            ] : []
        let shared = OperationVerb.common.filter { ["json", "server", "help"].contains($0.name) }
        return narrowing + paging + shared
    }

    /// The words an option can be; none where it is free.
    func words(of option: OperationVerb.Option) -> [String] {
        filters.first { OperationVerb.optionName($0.name) == option.name }.map { Self.words(of: $0) } ?? []
    }

    var usage: String { "postern \(noun) \(verb)" + (kind == .show ? " <\(noun)>" : "") + " [options]" }

    var help: String {
        var out = "OVERVIEW: \(read.summary)\n\nUSAGE: \(usage)\n"
        if kind == .show { out += OperationVerb.section("ARGUMENTS", [("<\(noun)>", "Its id, as list shows it.")]) }
        out += OperationVerb.section(
            "OPTIONS", options.map { ("--\($0.name)" + ($0.placeholder.map { " <\($0)>" } ?? ""), $0.help) })
        return out
    }

    /// What was typed.
    private struct Asked {
        var target: String?
        var values: [String: String] = [:]
        var switches: Set<String> = []
    }

    private func parse(_ arguments: [String]) throws(CommandFailure) -> Asked {
        var asked = Asked()
        var problems: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument != "-" else {
                if kind == .show, asked.target == nil {
                    asked.target = argument
                } else {
                    problems.append("\"\(argument.printable)\" is one argument too many.")
                }
                continue
            }
            let parts = argument.drop { $0 == "-" }.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false
            ).map(String.init)
            let name = argument == "-h" ? "help" : parts.first ?? ""
            let attached = parts.count == 2 ? parts[1] : nil
            guard let option = options.first(where: { $0.name == name }) else {
                // Its value is not the target.
                if attached == nil, let next = rest.first, !next.hasPrefix("-") { rest.removeFirst() }
                let near = Nearest.word(to: name, among: options.map(\.name))
                problems.append(
                    "There is no option --\(name.printable)." + (near.map { " Did you mean --\($0)?" } ?? ""))
                continue
            }
            guard option.placeholder != nil else {
                if attached != nil { problems.append("--\(name) takes no value.") }
                asked.switches.insert(name)
                continue
            }
            guard let value = attached ?? rest.popFirst() else {
                problems.append("--\(name) needs a value.")
                continue
            }
            let words = words(of: option)
            if asked.values.updateValue(value, forKey: name) != nil {
                problems.append("--\(name) is given more than once.")
            } else if !words.isEmpty, !words.contains(value) {
                problems.append("--\(name) must be one of \(words.joined(separator: ", ")).")
            } else if name == "limit", !(Int(value).map { (1...200).contains($0) } ?? false) {
                problems.append("--limit must be from 1 to 200.")
            }
        }
        if asked.switches.contains("help") { return asked }
        if kind == .show, asked.target == nil { problems.append("Say which \(noun): its id.") }
        guard problems.isEmpty else {
            let text = problems.count == 1 ? problems[0] : problems.map { "- \($0)" }.joined(separator: "\n")
            throw CommandFailure(.usage, "\(text)\nUsage: \(usage)\nHelp: postern \(noun) \(verb) --help")
        }
        return asked
    }

    // MARK: Running

    func run(_ arguments: [String]) async throws(CommandFailure) {
        let asked = try parse(arguments)
        guard !asked.switches.contains("help") else {
            Invocation.current.terminal.write(help)
            return
        }
        let client = try APIClient.make(server: asked.values["server"])
        let isJSON = asked.switches.contains("json")
        switch kind {
        case .list:
            var query: [(String, String?)] = filters.map {
                ($0.name, asked.values[OperationVerb.optionName($0.name)])
            }
            query.append(("limit", asked.values["limit"] ?? "50"))
            query.append(("cursor", asked.values["cursor"]))
            let answer = try await client.get("/api/v1" + read.path, query)
            table.show(
                answer, isJSON: isJSON, empty: "There are no such \(read.plural.replacing("-", with: " ")).",
                on: client.terminal)
        case .show:
            let id = APIClient.encode(asked.target ?? "")
            let answer = try await client.get("/api/v1" + read.path.replacing("{id}", with: id))
            client.terminal.write(isJSON ? answer.pretty() + "\n" : Self.describe(answer, on: client.terminal))
        }
    }

    // MARK: What is shown

    /// What a list shows of each item, where that is not what every item has.
    static let columns: [String: [String]] = [
        "delivery": ["id", "name", "state", "channel", "webhook_id", "tenant_id", "created_at"],
        "runtime-token": ["id", "name", "prefix", "scopes", "expires_at", "revoked_at", "last_used_at"],
        "segment": ["id", "name", "owner_id", "shared", "status", "filter"],
        "setting": ["id", "value", "unit", "minimum", "maximum", "title"],
        "webhook": ["id", "status", "url", "created_at", "events"],
    ]

    /// The members a list shows: what its schema requires, where nothing else is said.
    var shown: [String] {
        Self.columns[noun]
            ?? (read.schema["required"]?.array ?? []).compactMap(\.string).filter { $0 != "version" }
    }

    private var table: TextTable { TextTable(columns: shown.map(Self.column)) }

    private static func title(_ member: String) -> String { member.replacing("_", with: " ").uppercased() }

    /// Times to the minute: the exact ones are in `show` and in JSON.
    private static func column(_ member: String) -> TextTable.Column {
        guard member.hasSuffix("_at") else { return TextTable.Column(title(member), member: member) }
        return TextTable.Column(title(member)) {
            String(($0[member]?.string ?? "").prefix(16)).replacing("T", with: " ")
        }
    }

    /// One thing as lines; lists of things within it, such as a delivery's attempts, as tables below.
    private static func describe(_ answer: JSON, on terminal: Terminal) -> String {
        guard case .object(var members) = answer else { return answer.lines() }
        var tables = ""
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            guard let items = value.array, !items.isEmpty, items.allSatisfy({ $0.object != nil }) else { continue }
            members[name] = nil
            let known = Set(items.flatMap { $0.object.map { Array($0.keys) } ?? [] })
            let lead = ["number", "id", "name", "at"].filter(known.contains)
            let columns = lead + known.subtracting(lead).sorted()
            tables += "\n\(terminal.bold(title(name)))\n"
            tables += TextTable(columns: columns.map { TextTable.Column(title($0), member: $0) }).text(
                items, on: terminal)
        }
        return JSON.object(members).lines() + tables
    }
}
