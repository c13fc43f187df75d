import Foundation
import Kernel

/// An address with a name or without: `Postern <postern@example.com>`.
public struct Mailbox: Sendable, Hashable {
    public let name: String?
    public let address: String

    /// `nil` when it is none, or one that could carry more than itself into a mail's head.
    public init?(_ text: String) {
        var name: String?
        var address = text.trimmingCharacters(in: .whitespaces)
        if address.hasSuffix(">"), let open = address.lastIndex(of: "<") {
            let before = address[..<open].trimmingCharacters(in: .whitespaces)
            name = before.trimmingCharacters(in: CharacterSet(charactersIn: "\""))
            address = String(address[address.index(after: open)...].dropLast())
        }
        guard Self.isAddress(address), name?.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) ?? true
        else { return nil }
        self.name = name.flatMap { $0.isEmpty ? nil : $0 }
        self.address = address
    }

    /// A dot-atom on each side (RFC 5322 §3.2.3), in ASCII: what every mail server takes.
    static func isAddress(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard text.utf8.count <= 254, parts.count == 2, (1...64).contains(parts[0].utf8.count) else { return false }
        let local = /[A-Za-z0-9!#$%&'*+\/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+\/=?^_`{|}~-]+)*/
        let domain = /[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*/
        return parts[0].wholeMatch(of: local) != nil && parts[1].wholeMatch(of: domain) != nil
    }

    /// What stands behind the @.
    var domain: String { String(address.split(separator: "@").last ?? "") }
}
