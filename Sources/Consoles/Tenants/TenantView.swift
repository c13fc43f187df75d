import Kernel

/// Filters and order of the list of tenants, as they stand in its address: `status=expired&region=eu-west&sort=name`.
public struct TenantView: ParamValue {
    public let filter: TenantFilter
    public let sort: TenantSort

    public init(_ filter: TenantFilter, _ sort: TenantSort) {
        self.filter = filter
        self.sort = sort
    }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> TenantView {
        guard case .string(let text) = json else { throw .init("must be text.") }
        return try parse(text: text, rules)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> TenantView {
        guard text.utf8.count <= 4000 else { throw .init("must have at most 4,000 characters.") }
        var query: [String: [String]] = [:]
        for part in (text.hasPrefix("?") ? text.dropFirst() : text[...]).split(separator: "&") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[1].isEmpty else {
                throw .init("must be pairs such as status=active, joined by &.")
            }
            query[String(pair[0]), default: []].append(String(pair[1]))
        }
        let sorts = query.removeValue(forKey: "sort") ?? []
        let known = Set(TenantFilter.Kind.allCases.map(\.rawValue))
        if let stranger = query.keys.sorted().first(where: { !known.contains($0) }) {
            throw .init(
                "knows no \(stranger.prefix(40)); it is made of \(known.sorted().joined(separator: ", ")) and sort.")
        }
        guard let sort = sorts.isEmpty ? .created : TenantSort(rawValue: sorts[0]), sorts.count < 2 else {
            throw .init("has a sort that is none of \(TenantSort.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        let filter: TenantFilter
        do throws(OperationError) {
            filter = try TenantFilter(query)
        } catch {
            guard case .invalid(let errors) = error else { throw .init("can't be read.") }
            throw .init("can't be kept: \(errors.map(\.detail).joined(separator: " "))")
        }
        guard !filter.isEmpty || sort != .created else { throw .init("must narrow the list or order it.") }
        return TenantView(filter, sort)
    }

    /// The same for the same view, however it was typed.
    public var text: String {
        var parts = TenantFilter.Kind.allCases.flatMap { kind in filter[kind].map { "\(kind.rawValue)=\($0)" } }
        if sort != .created { parts.append("sort=\(sort.rawValue)") }
        return parts.joined(separator: "&")
    }
    public var json: JSON { .string(text) }
    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "string", "minLength": 1, "maxLength": 4000, "examples": ["status=active&sort=name"]]
    }
    public static var control: ParamControl { .line }

    /// "State active or expired, region eu-west, by name"
    var words: String {
        var parts = TenantFilter.Kind.allCases.compactMap { kind -> String? in
            let values = filter[kind]
            return values.isEmpty
                ? nil : "\(TenantListPage.title(kind).lowercased()) \(values.joined(separator: " or "))"
        }
        if sort != .created { parts.append(TenantListPage.words(sort)) }
        let text = parts.joined(separator: ", ")
        return text.prefix(1).uppercased() + text.dropFirst()
    }
}
