/// Who holds what: rows in groups, a column for each holder. Made for hundreds of rows: a cell is a few bytes.
public struct Matrix: Sendable {
    public struct Column: Sendable {
        public let title: String
        /// Stands in the head's title: the holder's id.
        public let id: String
        /// The reader holds it.
        public let isOwn: Bool
        public init(_ title: String, id: String, isOwn: Bool) {
            self.title = title
            self.id = id
            self.isOwn = isOwn
        }
    }

    public enum Cell: Sendable, Hashable {
        case empty
        case held
        /// Held up to this.
        case upTo(String)
    }

    public struct Row: Sendable {
        public let title: String
        public let code: String
        public let risk: String
        /// One for each column.
        public let cells: [Cell]
        public init(title: String, code: String, risk: String, cells: [Cell]) {
            self.title = title
            self.code = code
            self.risk = risk
            self.cells = cells
        }
    }

    public let columns: [Column]
    public let groups: [(title: String, rows: [Row])]
    public init(columns: [Column], groups: [(title: String, rows: [Row])]) {
        self.columns = columns
        self.groups = groups
    }
}

extension UI {
    /// A matrix in a box of its own, whose head and first column stay in sight.
    /// - Parameters:
    ///   - rowTitle: what a row is, "Permission".
    ///   - caption: what the whole is.
    public static func matrix(_ matrix: Matrix, rowTitle: String, caption: String) -> Node {
        el("div", .class("matrix"), Attribute("role", "group"), .label(caption), Attribute("tabindex", "0")) {
            el("table") {
                el("caption", .class("vh")) { caption }
                el("colgroup") {
                    void("col")
                    void("col")
                    for column in matrix.columns { void("col", .when(column.isOwn, .class("own"))) }
                }
                el("thead") {
                    el("tr") {
                        el("th", Attribute("scope", "col")) { rowTitle }
                        el("th", Attribute("scope", "col")) { "Risk" }
                        for column in matrix.columns {
                            el("th", Attribute("scope", "col"), .title(column.id)) {
                                column.title
                                if column.isOwn { hiddenText(", yours") }
                            }
                        }
                    }
                }
                for group in matrix.groups {
                    el("tbody") {
                        el("tr") {
                            el(
                                "th", Attribute("scope", "rowgroup"),
                                Attribute("colspan", "\(matrix.columns.count + 2)")
                            ) { group.title }
                        }
                        for row in group.rows { line(row) }
                    }
                }
            }
        }
    }

    private static func line(_ row: Matrix.Row) -> Node {
        el("tr") {
            el("th", Attribute("scope", "row")) {
                row.title
                el("small") { code(row.code) }
            }
            el("td", .class("risk-\(row.risk)")) { row.risk }
            for cell in row.cells {
                switch cell {
                case .empty: el("td")
                case .held: el("td") { "✓" }
                case .upTo(let amount):
                    el("td") {
                        "✓ "
                        el("small") { "up to \(amount)" }
                    }
                }
            }
        }
    }
}
