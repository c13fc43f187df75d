import Foundation
import HTML
import Kernel

extension TenantStatus {
    var tone: Tone {
        switch self {
        case .active: .ok
        case .ready: .info
        case .failed: .danger
        case .suspended, .expired: .warn
        case .pending, .cancelled, .archived, .deleted: .plain
        }
    }

    var glyph: Glyph {
        switch self {
        case .active: .on
        case .ready: .ring
        case .pending: .half
        case .failed: .x
        case .expired: .tri
        case .suspended: .pause
        case .cancelled: .stop
        case .archived: .box
        case .deleted: .x
        }
    }

    /// With the capsule, for titles.
    var chip: Node { UI.chip(title, tone, glyph) }
    /// Without it, for dense tables.
    var mark: Node { UI.state(title, tone, glyph) }
}

/// `Business` of `business`, `Us-east` never: words with digits or hyphens stay as they are.
func titled(_ word: String) -> String {
    word.contains(where: { $0 == "-" || $0 == "_" || $0.isNumber })
        ? word : word.prefix(1).uppercased() + word.dropFirst()
}

/// A page's address with its query.
struct PageAddress {
    let path: String
    var query: [(String, String)] = []

    var text: String {
        guard !query.isEmpty else { return path }
        return path + "?" + query.map { "\(Self.escape($0))=\(Self.escape($1))" }.joined(separator: "&")
    }

    func with(_ name: String, _ value: String?) -> PageAddress {
        var address = self
        if let value { address.query.append((name, value)) }
        return address
    }

    private static let safe = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    private static func escape(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: safe) ?? ""
    }
}
