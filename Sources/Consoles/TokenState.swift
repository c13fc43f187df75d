import HTML

/// Whether a token works.
enum TokenState: String, Sendable, CaseIterable {
    case active, expired, revoked

    private var words: (String, Tone, Glyph) {
        switch self {
        case .active: ("Active", .ok, .on)
        case .expired: ("Expired", .plain, .ring)
        case .revoked: ("Revoked", .plain, .x)
        }
    }

    /// In a table.
    var mark: Node { UI.state(words.0, words.1, words.2) }
    /// Beside a title.
    var chip: Node { UI.chip(words.0, words.1, words.2) }
}
