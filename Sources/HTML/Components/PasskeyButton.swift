extension UI {
    /// Asks the browser for a passkey, and sends its form with the answer in `passkey`. Shown only where script runs and the
    /// browser knows passkeys; what goes wrong is said beside it.
    /// - Parameters:
    ///   - makes: makes a new passkey instead of using one.
    ///   - options: where the form's fields are posted to hear what to ask; `nil`: the form's own address, with
    ///     `action=passkey`.
    ///   - waits: also offers passkeys where the form before it is filled in, without a press of the button.
    public static func passkeyButton(
        _ text: String, makes: Bool = false, options: String? = nil, waits: Bool = false, style: ButtonStyle = .plain,
        size: ButtonSize = .normal, block: Bool = false, name field: String? = nil, value: String? = nil
    ) -> Node {
        button(
            text, style: style, size: size, icon: "key", block: block, name: field, value: value,
            attributes: [
                Attribute("data-passkey", makes ? "create" : "get"),
                options.map { Attribute("data-options", $0) } ?? .none,
                .when(waits, Attribute("data-waits")), Attribute("formnovalidate"), Attribute("hidden"),
            ])
            + el(
                "span", .class("field__error"), Attribute("role", "alert"), Attribute("data-passkey-says"),
                Attribute("hidden"))
    }
}
