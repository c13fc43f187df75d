import Foundation
import Kernel

/// The customers of a file, record by record.
public struct RegistrySource: Sendable {
    public enum Format: String, Sendable, CaseIterable {
        /// A header line, then a customer a line, RFC 4180.
        case csv
        /// A JSON object a line.
        case jsonl
    }

    /// One thing that is wrong, where it is.
    public struct Problem: Error, Sendable, Hashable {
        public let line: Int
        /// `nil` when it is about the whole line or file.
        public let column: String?
        /// A sentence; it names line and column itself.
        public let sentence: String
    }

    /// One record of the file.
    public struct Item: Sendable {
        public enum Content: Sendable {
            case row(RegistryRow)
            /// Everything wrong with it.
            case problems([Problem])
        }
        public let line: Int
        public let content: Content
        /// The byte of the file behind it, and the line that begins there.
        public let end: Int64
        public let nextLine: Int
        /// What stands in the file, for the list of what was rejected.
        public let text: String
    }

    private enum Reader: Sendable {
        case csv(CSVParser)
        case jsonl(LineReader)
    }

    private var reader: Reader
    private let mapping: ImportMapping?
    private let encoding: TextEncoding
    /// Where each field comes from, once the header is read.
    private var columns: Columns?

    public init(_ format: Format = .csv, mapping: ImportMapping? = nil, encoding: TextEncoding = .utf8) {
        self.mapping = mapping
        self.encoding = encoding
        reader = format == .csv ? .csv(CSVParser(encoding: encoding)) : .jsonl(LineReader())
    }

    /// The same source at a record that was reached before. What was read of it, the header, stays known.
    public func continuing(at offset: Int64, line: Int) -> RegistrySource {
        var copy = self
        switch reader {
        case .csv: copy.reader = .csv(CSVParser(encoding: encoding, at: offset, line: line))
        case .jsonl: copy.reader = .jsonl(LineReader(at: offset, line: line))
        }
        return copy
    }

    /// The header is known, or there is none to know.
    public var isOpen: Bool {
        if case .jsonl = reader { return true }
        return columns != nil
    }

    /// Takes the next bytes of the file and hands out the records they complete.
    /// - Throws: `Problem` when the file can't be read any further.
    public mutating func feed(_ chunk: [UInt8], _ body: (Item) throws -> Void) throws {
        switch reader {
        case .csv(var parser):
            var columns = columns
            defer {
                self.columns = columns
                reader = .csv(parser)
            }
            var records: [CSVParser.Record] = []
            let fault = Self.fault { try parser.feed(chunk) { records.append($0) } }
            for record in records { try take(record, &columns, body) }
            if let fault { throw fault }
        case .jsonl(var lines):
            defer { reader = .jsonl(lines) }
            try lines.feed(chunk) { try take($0, body) }
        }
    }

    /// Ends the file.
    public mutating func finish(_ body: (Item) throws -> Void) throws {
        switch reader {
        case .csv(var parser):
            var columns = columns
            defer {
                self.columns = columns
                reader = .csv(parser)
            }
            var records: [CSVParser.Record] = []
            let fault = Self.fault { try parser.finish { records.append($0) } }
            for record in records { try take(record, &columns, body) }
            if let fault { throw fault }
            if columns == nil {
                let names = mapping == nil ? ": \(ImportMapping.fields.joined(separator: ", "))" : ""
                throw Problem(
                    line: 1, column: nil, sentence: "The file is empty. Its first line names the columns\(names).")
            }
        case .jsonl(var lines):
            defer { reader = .jsonl(lines) }
            try lines.finish { try take($0, body) }
        }
    }

    private static func fault(_ body: () throws -> Void) -> Problem? {
        do {
            try body()
            return nil
        } catch let fault as CSVParser.Fault {
            return Problem(line: fault.line, column: nil, sentence: fault.sentence)
        } catch {
            return Problem(line: 1, column: nil, sentence: "\(error)")
        }
    }

    // MARK: CSV

    /// Which column each field of ours comes from; constants have none.
    private struct Columns: Sendable {
        var count: Int
        var fields: [(name: String, rule: ImportMapping.Rule, place: Int?)]
    }

    private func take(
        _ record: CSVParser.Record, _ columns: inout Columns?, _ body: (Item) throws -> Void
    ) throws {
        guard let known = columns else {
            columns = try header(record)
            return
        }
        let content: Item.Content
        if record.fields.count == known.count {
            content = row(record, known)
        } else {
            content = .problems([
                Problem(
                    line: record.line, column: nil,
                    sentence:
                        "Line \(record.line) has \(record.fields.count) values for \(known.count) columns; a comma inside a value needs quotes around it."
                )
            ])
        }
        var text = ""
        if case .problems = content { text = String(CSVText.line(record.fields).prefix(Self.mostText)) }
        try body(
            Item(line: record.line, content: content, end: record.end, nextLine: record.nextLine, text: text))
    }

    private func header(_ record: CSVParser.Record) throws -> Columns {
        let names = record.fields.map { $0.trimmingCharacters(in: .whitespaces) }
        func problem(_ column: String?, _ sentence: String) -> Problem {
            Problem(line: record.line, column: column, sentence: "Line \(record.line) \(sentence)")
        }
        let hint =
            names.count == 1 && names[0].contains(where: { ";\t|".contains($0) })
            ? " Values are separated by commas." : ""
        func refuseTwins(_ names: [String]) throws {
            var seen: Set<String> = []
            for name in names where !seen.insert(name).inserted {
                throw problem(name, "names the column \(name) twice.")
            }
        }
        if let mapping {
            // Columns that aren't looked at may be called as they like.
            let wanted = Set(mapping.fields.values.compactMap(\.from))
            try refuseTwins(names.filter(wanted.contains))
            var fields: [(name: String, rule: ImportMapping.Rule, place: Int?)] = []
            for (name, rule) in mapping.fields.sorted(by: { $0.key < $1.key }) {
                guard let from = rule.from else {
                    fields.append((name, rule, nil))
                    continue
                }
                guard let place = names.firstIndex(of: from) else {
                    throw problem(
                        from,
                        "names no column \"\(from)\", from which the mapping takes \(name). It names \(names.prefix(40).joined(separator: ", ")).\(hint)"
                    )
                }
                fields.append((name, rule, place))
            }
            if let from = mapping.membersFrom {
                throw problem(from, "is of a CSV file, which has no lists: map member_emails instead of members.")
            }
            return Columns(count: names.count, fields: fields)
        }
        let known = names.map { $0.lowercased().hasPrefix("metadata.") ? $0 : $0.lowercased() }
        func isField(_ name: String) -> Bool {
            ImportMapping.fields.contains(name) || ImportMapping.metadataKey(name) != nil
        }
        guard known.contains(where: isField) else {
            throw problem(
                nil,
                "must name the columns: \(ImportMapping.fields.joined(separator: ", ")). It names none of them.\(hint.isEmpty ? " Where they are called otherwise, say how in a mapping (--mapping)." : hint)"
            )
        }
        if let name = known.first(where: { !isField($0) }) {
            throw problem(
                name,
                "names a column \"\(name)\" that is not known. Known are \(ImportMapping.fields.joined(separator: ", ")) and metadata.…; other names need a mapping (--mapping)."
            )
        }
        try refuseTwins(known)
        let missing = ImportMapping.needed.filter { !known.contains($0) }
        guard missing.isEmpty else {
            throw problem(missing[0], "names no column \(missing.joined(separator: ", ")); it is needed.")
        }
        return Columns(
            count: names.count,
            fields: known.enumerated().map { place, name in (name, ImportMapping.Rule(from: name), place) })
    }

    private func row(_ record: CSVParser.Record, _ columns: Columns) -> Item.Content {
        var builder = Builder(line: record.line)
        for (name, rule, place) in columns.fields {
            builder.set(name, rule, place.map { record.fields[$0] })
        }
        return builder.content()
    }

    // MARK: JSON lines

    private func take(_ line: LineReader.Line, _ body: (Item) throws -> Void) throws {
        func item(_ content: Item.Content) -> Item {
            var text = ""
            if case .problems = content {
                text = String(
                    decoding: encoding.decoded(Array((line.bytes ?? []).prefix(Self.mostText))), as: UTF8.self)
            }
            return Item(line: line.number, content: content, end: line.end, nextLine: line.number + 1, text: text)
        }
        func wrong(_ sentence: String) -> Item {
            item(.problems([Problem(line: line.number, column: nil, sentence: "Line \(line.number) \(sentence)")]))
        }
        guard let raw = line.bytes else {
            return try body(wrong("is longer than 1 MiB."))
        }
        if raw.contains(0) {
            throw Problem(
                line: line.number, column: nil,
                sentence: "Line \(line.number) holds a zero byte: the file is probably UTF-16. Save it as UTF-8.")
        }
        let bytes = encoding.decoded(raw)
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw Problem(
                line: line.number, column: nil,
                sentence: TextEncoding.complaint(line: line.number, byte: TextEncoding.firstInvalid(bytes).byte))
        }
        let json: JSON
        do throws(JSONSyntaxError) {
            json = try JSON(parsing: bytes)
        } catch {
            return try body(wrong("is not JSON: \(error.reason), at byte \(error.offset) of the line."))
        }
        guard let members = json.object else { return try body(wrong("is not a JSON object.")) }
        guard let mapping else {
            return try body(item(Builder.content(members, line: line.number)))
        }
        var builder = Builder(line: line.number)
        for (name, rule) in mapping.fields.sorted(by: { $0.key < $1.key }) {
            builder.set(name, rule, rule.from.flatMap { Self.reach($0, in: members) })
        }
        if let from = mapping.membersFrom { builder.setMembers(mapping.members, Self.reach(from, in: members)) }
        try body(item(builder.content()))
    }

    /// Bytes of a rejected record that are shown.
    static let mostText = 4_000

    /// `a.b` within an object; a member that is called so by itself wins.
    static func reach(_ path: String, in members: [String: JSON]) -> JSON? {
        if let value = members[path] { return value }
        guard let dot = path.firstIndex(of: "."), let next = members[String(path[..<dot])]?.object else { return nil }
        return reach(String(path[path.index(after: dot)...]), in: next)
    }

    // MARK: One row

    /// Puts the values of one record into our members and reads them as a row.
    private struct Builder {
        let line: Int
        var members: [String: JSON] = [:]
        var metadata: [String: JSON] = [:]
        var problems: [Problem] = []
        /// Where a field of ours comes from, when it is called otherwise there.
        var origins: [String: String] = [:]

        init(line: Int) { self.line = line }

        mutating func set(_ name: String, _ rule: ImportMapping.Rule, _ text: String?) {
            if let from = rule.from, from != name { origins[name] = from }
            do throws(FieldError.Reason) {
                guard let value = try ImportMapping.apply(rule, to: text) else { return }
                if let key = ImportMapping.metadataKey(name) {
                    metadata[key] = .string(Self.oneLine(value))
                } else if name == "member_emails" {
                    let addresses = value.split(whereSeparator: { $0 == ";" || $0.isWhitespace })
                    members["members"] = .array(addresses.map { ["email": .string(String($0))] })
                } else {
                    members[name] = .string(name == "name" ? Self.oneLine(value) : value)
                }
            } catch {
                note(name, error.text)
            }
        }

        /// A cell of a spreadsheet may be broken into lines; a name is not.
        private static func oneLine(_ text: String) -> String {
            guard text.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D }) else { return text }
            return text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
                .joined(separator: " ")
        }

        mutating func set(_ name: String, _ rule: ImportMapping.Rule, _ json: JSON?) {
            if name == "member_emails", case .array(let list)? = json {
                // A list of addresses needs no separators.
                return set(name, rule, list.compactMap(ImportMapping.scalar).joined(separator: ";"))
            }
            guard let text = ImportMapping.scalar(json ?? .null) else {
                if let from = rule.from, from != name { origins[name] = from }
                note(name, "has a list or an object as \(rule.from ?? name), where a single value is needed.")
                return
            }
            set(name, rule, text)
        }

        mutating func setMembers(_ rules: [String: ImportMapping.Rule], _ json: JSON?) {
            switch json ?? .null {
            case .null: return
            case .array(let list):
                var people: [JSON] = []
                for person in list {
                    var member: [String: JSON] = [:]
                    for (name, rule) in rules.sorted(by: { $0.key < $1.key }) {
                        let source = rule.from.flatMap { RegistrySource.reach($0, in: person.object ?? [:]) }
                        do throws(FieldError.Reason) {
                            guard let text = ImportMapping.scalar(source ?? .null) else {
                                throw .init("has a member whose \(rule.from ?? name) is not a single value.")
                            }
                            if let value = try ImportMapping.apply(rule, to: text) { member[name] = .string(value) }
                        } catch {
                            note("members", error.text)
                        }
                    }
                    people.append(.object(member))
                }
                members["members"] = .array(people)
            default: note("members", "must have a list of members.")
            }
        }

        private mutating func note(_ name: String, _ reason: String) {
            problems.append(Self.problem(line, name, reason, origins))
        }

        private static func problem(
            _ line: Int, _ name: String, _ reason: String, _ origins: [String: String]
        ) -> Problem {
            // Members come from one column of addresses, or from a list.
            let field = name.hasPrefix("members") ? "member_emails" : name
            let column = origins[field] ?? field
            let from = origins[field].map { "\($0) (\(field))" } ?? field
            return Problem(
                line: line, column: column, sentence: "Line \(line), column \(from): the row \(reason)")
        }

        func content() -> Item.Content {
            var members = members
            if !metadata.isEmpty { members["metadata"] = .object(metadata) }
            let wrong = Set(problems.compactMap(\.column))
            let read = Self.read(members, line: line, origins)
            // What could not be taken is told once, not as missing too.
            let all = problems + read.problems.filter { !wrong.contains($0.column ?? "") }
            return all.isEmpty ? .row(read.row) : .problems(all)
        }

        /// Members that are called as ours are.
        static func content(_ members: [String: JSON], line: Int) -> Item.Content {
            let read = read(members, line: line, ["member_emails": "members"])
            return read.problems.isEmpty ? .row(read.row) : .problems(read.problems)
        }

        private static func read(
            _ members: [String: JSON], line: Int, _ origins: [String: String]
        ) -> (row: RegistryRow, problems: [Problem]) {
            var reader = RecordReader(members)
            let row = RegistryRow(&reader)
            return (row, reader.problems.map { problem(line, $0.member, $0.reason, origins) })
        }
    }
}

/// Writes RFC 4180.
enum CSVText {
    static func line(_ fields: [String]) -> String { fields.map(field).joined(separator: ",") }

    static func field(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }) else { return text }
        return "\"\(text.replacing("\"", with: "\"\""))\""
    }
}
