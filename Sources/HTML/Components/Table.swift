/// One column of a table of `Row`s.
public struct Column<Row> {
    public enum Kind: Sendable {
        case text
        /// Right-aligned figures.
        case number
        /// As narrow as its content.
        case tight
        case wide
        /// Cut off with an ellipsis; never for a name on a phone.
        case clip
        /// Buttons at the end of the row.
        case actions
    }

    public struct Sort: Sendable {
        public let href: String
        /// `true` when the table is sorted by this column, upwards; `false` downwards; `nil` when it isn't.
        public let ascending: Bool?
        public init(href: String, ascending: Bool?) {
            self.href = href
            self.ascending = ascending
        }
    }

    public let title: String
    public let kind: Kind
    /// 2…5: columns with the highest number go first when the table gets narrow; `nil` stays. Name, state and money stay.
    public let priority: Int?
    /// The cell that names the row.
    public let isRowHeader: Bool
    /// A title only screen readers hear, for a column of buttons.
    public let hidesTitle: Bool
    public let sort: Sort?
    public let cell: (Row) -> Node

    public init(
        _ title: String, _ kind: Kind = .text, priority: Int? = nil, isRowHeader: Bool = false,
        hidesTitle: Bool = false,
        sort: Sort? = nil, cell: @escaping (Row) -> Node
    ) {
        self.title = title
        self.kind = kind
        self.priority = priority
        self.isRowHeader = isRowHeader
        self.hidesTitle = hidesTitle
        self.sort = sort
        self.cell = cell
    }

    func classes(head: Bool) -> String {
        var names: [String] = []
        switch kind {
        case .text: break
        case .number: names.append("num")
        case .tight: names.append("tight")
        case .wide: if head { names.append("wide") }
        case .clip: names.append("clip")
        case .actions: if !head { names.append("acts") }
        }
        if let priority { names.append("p\(priority)") }
        return names.joined(separator: " ")
    }

    /// What a cell begins with.
    var cellTag: OpenTag {
        let classes = classes(head: false)
        let named: Attribute = .when(!classes.isEmpty, .class(classes))
        return isRowHeader ? OpenTag("th", Attribute("scope", "row"), named) : OpenTag("td", named)
    }
}

extension UI {
    public enum TableDensity: String, Sendable {
        case normal = "table"
        case dense = "table table--dense"
        /// Without a hover colour: rows that can't be opened.
        case plain = "table table--dense table--plain"
    }

    /// A table in a box of its own width. `caption` says what the rows are and how many ("Tenants, 1 to 50").
    ///
    /// With `select`, each row starts with a tick box called `id`; a row for which it answers `nil` has none.
    /// - Parameter isCards: on a phone each row is a card without the head: what names it, the column after that beside
    ///   it, and each other one on a line of its own. For cells that say what they are, in rows too wide for a phone.
    public static func table<Row>(
        caption: String, columns: [Column<Row>], rows: [Row], density: TableDensity = .dense, stickyHead: Bool = false,
        isCards: Bool = false, select: ((Row) -> (value: String, label: String)?)? = nil,
        isOpen: (Row) -> Bool = { _ in false }
    ) -> Node {
        let cells = columns.map { (tag: $0.cellTag, content: $0.cell) }
        let table = el("table", .class(density.rawValue + (isCards ? " table--cards" : "")), Attribute("data-rows")) {
            el("caption", .class("vh")) { caption }
            el("thead", stickyHead ? .class("sticky") : .none) {
                el("tr") {
                    if select != nil { el("th", Attribute("scope", "col"), .class("tight")) { hiddenText("Select") } }
                    for column in columns { head(column) }
                }
            }
            el("tbody") {
                for row in rows {
                    el("tr", .when(isOpen(row), .class("is-open"))) {
                        if let select {
                            el("td", .class("tight")) {
                                if let (value, label) = select(row) {
                                    void(
                                        "input", .type("checkbox"), .name("id"), .value(value),
                                        .label("Select \(label)"))
                                }
                            }
                        }
                        for cell in cells { cell.tag { cell.content(row) } }
                    }
                }
            }
        }
        // A sticky head sticks to the page, so its box must not scroll by itself.
        return stickyHead
            ? el("div", .class("sized")) { table }
            : el("div", .class("scroll"), Attribute("role", "group"), .label(caption), Attribute("tabindex", "0")) {
                table
            }
    }

    private static func head<Row>(_ column: Column<Row>) -> Node {
        let classes = column.classes(head: true)
        let sorted = column.sort?.ascending.map { Attribute("aria-sort", $0 ? "ascending" : "descending") } ?? .none
        return el("th", Attribute("scope", "col"), .when(!classes.isEmpty, .class(classes)), sorted) {
            if let sort = column.sort {
                el("a", .href(sort.href)) {
                    column.title
                    if sort.ascending != nil { Node(" ") + icon("down") }
                }
            } else if column.hidesTitle {
                hiddenText(column.title)
            } else {
                column.title
            }
        }
    }

    /// A second, quieter line in a cell.
    public static func sub(_ text: String) -> Node { sub(Node(text)) }
    /// The same, where the column that says it is dropped: one of priority 3.
    public static func sub(insteadOfColumn text: String) -> Node { el("span", .class("sub sub--p3")) { text } }
    public static func sub(_ node: Node) -> Node { el("span", .class("sub")) { node } }
}
