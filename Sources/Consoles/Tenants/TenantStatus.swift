import Kernel

/// Where a tenant stands in its life (spec: operations §3).
public enum TenantStatus: String, ParamChoice {
    case pending, ready, failed, active, expired, suspended, cancelled, archived, deleted

    /// The word with its article, for sentences: "an archived tenant".
    public var withArticle: String {
        switch self {
        case .active, .expired, .archived: "an \(rawValue)"
        default: "a \(rawValue)"
        }
    }

    /// `Active`
    public var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
}
