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
    // Nearly all are plain: what is a number in other scripts costs a look into Unicode's tables.
    if word.utf8.allSatisfy({ $0 < 0x80 }) {
        guard let first = word.utf8.first,
            !word.utf8.contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || (48...57).contains($0) })
        else { return word }
        guard (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first) else { return word }
    } else if word.contains(where: { $0 == "-" || $0 == "_" || $0.isNumber }) {
        return word
    }
    return word.prefix(1).uppercased() + word.dropFirst()
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

    /// Everything but unreserved characters (RFC 3986), percent-encoded.
    static func escape(_ text: String) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46, 95, 126: out.append(byte)
            default:
                out.append(UInt8(ascii: "%"))
                for digit in [byte >> 4, byte & 15] { out.append(digit < 10 ? 48 + digit : 55 + digit) }
            }
        }
        return out.count == text.utf8.count ? text : String(decoding: out, as: UTF8.self)
    }
}
