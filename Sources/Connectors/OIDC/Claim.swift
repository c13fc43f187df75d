import Kernel

/// A claim that says what somebody belongs to: groups, or roles there.
enum Claim {
    /// More than any provider sends.
    private static let most = 2000

    /// What a token, or the provider where it is asked, says by it.
    enum Saying: Equatable {
        case values(Set<String>)
        /// It is not there.
        case nothing
        /// It is there and can't be understood, or only in part: nobody loses a role by that.
        case unclear
    }

    /// Providers write one value alone as text, and some nest theirs (`realm_access.roles`).
    static func read(_ name: String, in claims: JSON) -> Saying {
        switch find(name, in: claims) {
        case .array(let values)?:
            let texts = values.compactMap(\.string)
            return texts.count == values.count && texts.count <= most ? .values(Set(texts)) : .unclear
        case .string(let value)?: return .values([value])
        case nil: return .nothing
        default: return .unclear
        }
    }

    private static func find(_ name: String, in claims: JSON) -> JSON? {
        if let own = claims[name] { return own }
        return name.split(separator: ".", omittingEmptySubsequences: false).reduce(JSON?.some(claims)) { json, part in
            json?[String(part)]
        }
    }

    /// Whether it is said that it would be too long: another place is named instead (OpenID Connect Core 1.0 §5.6.2), which is not
    /// asked.
    static func isLeftOut(_ name: String, of claims: JSON) -> Bool {
        claims["_claim_names"]?[name] != nil || (name == "groups" && claims["hasgroups"] != nil)
    }
}
