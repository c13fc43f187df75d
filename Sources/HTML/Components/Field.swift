/// One thing a form asks. Every field has a label and says what it is for.
public struct Field: Sendable {
    public struct Choice: Sendable {
        public let value: String
        public let label: String
        public let note: String?
        public init(_ value: String, _ label: String, note: String? = nil) {
            self.value = value
            self.label = label
            self.note = note
        }
    }

    public enum Control: Sendable {
        case line, email, number, day, password
        /// A digit code of an authenticator.
        case code
        case prose(rows: Int)
        /// Sends `true`; together with a hidden `false`, so that "off" is said too.
        case checkbox
        case select([Choice])
        case radios([Choice])
        /// Several may be ticked; the value is one per line.
        case checkboxes([Choice])
    }

    public var name: String
    public var label: String
    public var help: String
    public var control: Control
    public var value: String
    public var error: String?
    public var isRequired: Bool
    /// Shows how many characters there are and how many are needed at least.
    public var minimumCharacters: Int?
    public var maximumCharacters: Int?
    public var autocomplete: String?
    public var placeholder: String?
    public var isReadOnly: Bool
    public var hasFocus: Bool

    public init(
        _ name: String, label: String, help: String, _ control: Control = .line, value: String = "",
        error: String? = nil,
        isRequired: Bool = false, minimumCharacters: Int? = nil, maximumCharacters: Int? = nil,
        autocomplete: String? = nil,
        placeholder: String? = nil, isReadOnly: Bool = false, hasFocus: Bool = false
    ) {
        self.name = name
        self.label = label
        self.help = help
        self.control = control
        self.value = value
        self.error = error
        self.isRequired = isRequired
        self.minimumCharacters = minimumCharacters
        self.maximumCharacters = maximumCharacters
        self.autocomplete = autocomplete
        self.placeholder = placeholder
        self.isReadOnly = isReadOnly
        self.hasFocus = hasFocus
    }

    /// The control's id: `f-input-name` for the field `input.name`.
    public var id: String { "f-" + name.map { $0.isLetter || $0.isNumber ? String($0) : "-" }.joined() }

    private var describedBy: String {
        var ids: [String] = []
        if error != nil { ids.append("\(id)-e") }
        if minimumCharacters != nil { ids.append("\(id)-c") }
        if !help.isEmpty { ids.append("\(id)-h") }
        return ids.joined(separator: " ")
    }

    private var common: [Attribute] {
        [
            .when(!describedBy.isEmpty, Attribute("aria-describedby", describedBy)),
            .when(error != nil, Attribute("aria-invalid", "true")),
            .when(isReadOnly, Attribute("readonly")),
            .when(hasFocus, Attribute("autofocus")),
        ]
    }

    private func input(_ type: String, _ extra: [Attribute] = []) -> Node {
        let attributes: [Attribute] =
            [
                .class("input"), .id(id), .name(name), .type(type), .value(value),
                .when(isRequired, Attribute("aria-required", "true")),
                autocomplete.map { Attribute("autocomplete", $0) } ?? .none,
                placeholder.map { Attribute("placeholder", $0) } ?? .none,
                maximumCharacters.map { Attribute("maxlength", "\($0)") } ?? .none,
            ] + common + extra
        return void("input", attributes)
    }

    private var labelText: Node {
        Node(label) + (isRequired ? .none : el("span", .class("optional")) { " optional" })
    }

    private var counter: Node {
        guard let minimum = minimumCharacters else { return .none }
        let count = value.count
        return el(
            "span", .class(count >= minimum && count > 0 ? "counter counter--ok" : "counter"), .id("\(id)-c"),
            Attribute("data-counter", id), Attribute("data-minimum", "\(minimum)")
        ) {
            count == 0
                ? "at least \(minimum) characters"
                : count >= minimum ? "\(count) characters, at least \(minimum)" : "\(count) of at least \(minimum)"
        }
    }

    private var notes: Node {
        var out = Node.none
        if let error {
            out =
                out
                + el("span", .class("field__error"), .id("\(id)-e")) {
                    UI.icon("alert")
                    el("span") { error }
                }
        }
        if !help.isEmpty { out = out + el("span", .class("hint"), .id("\(id)-h")) { help } }
        return out
    }

    private func wrapped(_ control: Node) -> Node {
        el("div", .class("field")) {
            if minimumCharacters != nil {
                el("span", .class("field__top")) {
                    el("label", Attribute("for", id)) { labelText }
                    counter
                }
            } else {
                el("label", Attribute("for", id)) { labelText }
            }
            control
            notes
        }
    }

    private var ticked: Set<String> { Set(value.split(separator: "\n").map(String.init)) }

    private func gone(from choices: [Choice], _ ticked: Set<String>) -> [Choice] {
        ticked.subtracting(choices.map(\.value)).sorted().map { Choice($0, $0, note: "not offered any more") }
    }

    private func group(_ type: String, _ choices: [Choice], ticked: Set<String>) -> Node {
        el(
            "fieldset",
            [.class("field"), .id(id), .when(!describedBy.isEmpty, Attribute("aria-describedby", describedBy))]
        ) {
            el("legend") { labelText }
            el("div", .class("choices")) {
                for choice in choices {
                    el("label") {
                        void(
                            "input", .type(type), .name(name), .value(choice.value),
                            .when(ticked.contains(choice.value), Attribute("checked")))
                        el("span") { choice.label }
                        if let note = choice.note { el("small") { note } }
                    }
                }
            }
            notes
        }
    }

    public var node: Node {
        switch control {
        case .line: wrapped(input("text"))
        case .email: wrapped(input("email", [Attribute("spellcheck", "false"), Attribute("autocapitalize", "none")]))
        case .number: wrapped(input("text", [Attribute("inputmode", "numeric")]))
        case .day: wrapped(input("date"))
        case .password: wrapped(input("password"))
        case .code:
            wrapped(
                input(
                    "text",
                    [Attribute("inputmode", "numeric"), Attribute("spellcheck", "false"), Attribute("size", "12")]))
        case .prose(let rows):
            wrapped(
                el(
                    "textarea",
                    [
                        .class("input"), .id(id), .name(name), Attribute("rows", "\(rows)"),
                        .when(isRequired, Attribute("aria-required", "true")),
                        maximumCharacters.map { Attribute("maxlength", "\($0)") } ?? .none,
                    ] + common
                ) {
                    // A leading line feed after <textarea> is dropped by parsers: give them one to drop.
                    value.hasPrefix("\n") ? "\n" + value : value
                })
        case .checkbox:
            el("div", .class("field")) {
                el("label", .class("check")) {
                    void(
                        "input",
                        [
                            .type("checkbox"), .id(id), .name(name), .value("true"),
                            .when(value == "true" || value == "on", Attribute("checked")),
                        ] + common)
                    el("span") { label }
                }
                notes
            }
        case .select(let choices):
            wrapped(
                el(
                    "select",
                    [
                        .class("input"), .id(id), .name(name),
                        .when(isRequired, Attribute("aria-required", "true")),
                    ] + common
                ) {
                    if !choices.contains(where: { $0.value.isEmpty }), !isRequired || value.isEmpty {
                        el("option", .value("")) { isRequired ? "Choose one" : "None" }
                    }
                    // A value that is no longer offered is kept, so that nothing chosen is lost silently.
                    if !value.isEmpty, !choices.contains(where: { $0.value == value }) {
                        el("option", .value(value), Attribute("selected")) { value }
                    }
                    for choice in choices {
                        el("option", .value(choice.value), .when(choice.value == value, Attribute("selected"))) {
                            choice.label
                        }
                    }
                })
        case .radios(let choices): group("radio", choices, ticked: [value])
        case .checkboxes(let choices):
            // As with a list to choose from: what was ticked and is no longer offered stays, so that it can be seen and taken off.
            group("checkbox", choices + gone(from: choices, ticked), ticked: ticked)
        }
    }
}

extension UI {
    public static func field(_ field: Field) -> Node { field.node }
}
