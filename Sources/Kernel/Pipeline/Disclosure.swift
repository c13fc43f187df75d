/// A read of personal or tenant-private data, to be recorded before the answer leaves (spec: audit-log §1).
public struct Disclosure: Sendable {
    /// `tenant.view`, `tenant.search`, `audit.list`.
    public let action: String
    public let target: (type: String, id: String)?
    public let tenant: String?
    /// The query and filter as typed; sealed.
    public let query: JSON?
    /// How many rows were shown; `nil` when that isn't known before they leave, as with an export that is streamed.
    public let count: Int?
    /// The ids shown; only their digest is kept, and only with a count.
    public let ids: [String]
    /// Whose data the query may be, beside the target and who asks: erasing one of them erases the query.
    public let subjects: [String]

    public init(
        _ action: String, target: (type: String, id: String)? = nil, tenant: String? = nil, query: JSON? = nil,
        count: Int?, ids: [String] = [], subjects: [String] = []
    ) {
        self.subjects = subjects
        self.action = action
        self.target = target
        self.tenant = tenant
        self.query = query
        self.count = count
        self.ids = ids
    }

    /// The same session on the same object within 60 s is one event. Lists and searches differ by their query and by
    /// what they showed: another page of a list is another disclosure.
    public var foldingKey: String {
        let shown = sha256(JSON.array(ids.map(JSON.string)).canonical).hex
        return "\(action)|\(target?.id ?? "")|\(query?.canonicalText ?? "")|\(shown)"
    }
}
