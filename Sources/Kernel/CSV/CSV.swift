/// Comma-separated values as RFC 4180 writes them: a header, CRLF after each record, quotes where they are needed, UTF-8.
///
/// Spreadsheets take a cell for a formula by its first character, also one in quotes. Text that begins with one of those
/// gets an apostrophe before it, as OWASP advises; numbers and times can't begin with one, but for the minus of a number.
public enum CSV {
    /// A value of a record.
    public enum Cell: Sendable, Hashable {
        case text(String)
        case number(Int64)
        case empty

        public init(_ text: String?) { self = text.map(Cell.text) ?? .empty }

        /// How a member of the API stands in a cell: what is neither text nor a number stands as JSON.
        public init(_ json: JSON?) {
            switch json {
            case nil, .null: self = .empty
            case .string(let text): self = .text(text)
            case .int(let value): self = .number(value)
            case .bool(let value): self = .text(value ? "true" : "false")
            case .some(let other): self = .text(other.canonicalText)
            }
        }
    }

    /// A column and its value in an item of the API.
    public struct Column: Sendable {
        public let name: String
        public let cell: @Sendable (JSON) -> Cell

        public init(_ name: String, _ cell: @escaping @Sendable (JSON) -> Cell) {
            self.name = name
            self.cell = cell
        }

        /// The member of the same name.
        public static func member(_ name: String) -> Column { Column(name) { Cell($0[name]) } }
    }

    public static func append(header names: [String], to out: inout [UInt8]) {
        append(names.map(Cell.text), to: &out)
    }

    public static func append(_ cells: [Cell], to out: inout [UInt8]) {
        for (position, cell) in cells.enumerated() {
            if position > 0 { out.append(UInt8(ascii: ",")) }
            switch cell {
            case .empty: break
            case .number(let value): out.append(contentsOf: String(value).utf8)
            case .text(let text): append(text, to: &out)
            }
        }
        out.append(UInt8(ascii: "\r"))
        out.append(UInt8(ascii: "\n"))
    }

    private static func append(_ text: String, to out: inout [UInt8]) {
        let isGuarded = isTakenForFormula(text)
        let isQuoted =
            text.utf8.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: ",") || $0 == 0x0A || $0 == 0x0D }
            || text.utf8.first == 0x20 || text.utf8.last == 0x20
        if isQuoted { out.append(UInt8(ascii: "\"")) }
        if isGuarded { out.append(UInt8(ascii: "'")) }
        if isQuoted {
            for byte in text.utf8 {
                if byte == UInt8(ascii: "\"") { out.append(byte) }
                out.append(byte)
            }
            out.append(UInt8(ascii: "\""))
        } else {
            out.append(contentsOf: text.utf8)
        }
    }

    /// Whether the text begins with `=`, `+`, `-` or `@`, one of their full-width twins, or a tab or line break.
    static func isTakenForFormula(_ text: String) -> Bool {
        switch text.unicodeScalars.first {
        case "=", "+", "-", "@", "\t", "\r", "\n", "\u{FF1D}", "\u{FF0B}", "\u{FF0D}", "\u{FF20}": true
        default: false
        }
    }
}
