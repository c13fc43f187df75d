import Kernel

/// Columns for people.
struct TextTable: Sendable {
    struct Column: Sendable {
        let title: String
        let value: @Sendable (JSON) -> String
        init(_ title: String, _ value: @escaping @Sendable (JSON) -> String) {
            self.title = title
            self.value = value
        }
        /// The member of that name.
        init(_ title: String, member name: String) {
            self.init(title) { ($0[name] ?? .null).shown }
        }
    }

    let columns: [Column]

    /// One line a row. Cells are cut only when the terminal is too narrow, the widest column first.
    func text(_ rows: [JSON], on terminal: Terminal) -> String {
        let cells = rows.map { row in columns.map { $0.value(row).printable } }
        var widths = columns.indices.map { index in
            max(columns[index].title.count, cells.map { $0[index].count }.max() ?? 0)
        }
        if let limit = terminal.width {
            while widths.reduce(0, +) + 2 * (widths.count - 1) > limit, let widest = widths.max(), widest > 8 {
                widths[widths.firstIndex(of: widest)!] -= 1
            }
        }
        func line(_ cells: [String]) -> String {
            var out = zip(cells, widths).map { cell, width in
                (cell.count > width ? cell.prefix(width - 1) + "…" : cell).padded(to: width)
            }.joined(separator: "  ")
            while out.last == " " { out.removeLast() }
            return out
        }
        let head = terminal.bold(line(columns.map(\.title)))
        return ([head] + cells.map(line)).joined(separator: "\n") + "\n"
    }
}

extension TextTable {
    /// One page of a list, and the cursor of the next one.
    func show(_ answer: JSON, isJSON: Bool, empty: String, on terminal: Terminal) {
        guard !isJSON else {
            terminal.print(answer.pretty())
            return
        }
        let items = answer["items"]?.array ?? []
        guard !items.isEmpty else {
            terminal.note(empty)
            return
        }
        terminal.write(text(items, on: terminal))
        if let next = answer["next_cursor"]?.string { terminal.note("More: --cursor \(next)") }
    }
}

extension JSON {
    /// How a person reads a value: text as it is, nothing for null, lists by commas.
    var shown: String {
        switch self {
        case .null: ""
        case .bool(let value): value ? "yes" : "no"
        case .int(let value): String(value)
        case .decimal(let text): text
        case .string(let text): text
        case .array(let elements): elements.map(\.shown).joined(separator: ", ")
        case .object(let members):
            if let name = members["name"]?.string, let id = members["id"]?.string {
                "\(name) (\(id))"
            } else {
                members.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.shown)" }.joined(separator: " ")
            }
        }
    }

    /// A document as `name  value` lines; `id` and `name` lead, the rest is in name order.
    func lines(indent: String = "") -> String {
        guard let members = object else { return indent + shown.printable + "\n" }
        let lead = ["id", "name", "slug", "external_id", "email", "status"]
        let names = lead.filter(members.keys.contains) + members.keys.filter { !lead.contains($0) }.sorted()
        let width = names.map(\.count).max() ?? 0
        return names.map { name in
            "\(indent)\(name.padded(to: width))  \(members[name]!.shown.printable)\n"
        }.joined()
    }

    /// Indented JSON with sorted names, for `--json`.
    public func pretty(_ indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .array(let elements) where !elements.isEmpty:
            return "[\n" + elements.map { inner + $0.pretty(inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members) where !members.isEmpty:
            return "{\n"
                + members.sorted { $0.key < $1.key }.map {
                    "\(inner)\(JSON.string($0.key).canonicalText): \($0.value.pretty(inner))"
                }.joined(separator: ",\n") + "\n\(indent)}"
        default: return canonicalText
        }
    }
}
