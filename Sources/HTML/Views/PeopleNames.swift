import Kernel

/// People whose ids a difference shows, by name: colleagues for everybody who sees it, customers' people for whoever may look at
/// those. Roles of staff by their titles.
public struct PeopleNames: Sendable {
    /// What they are called, by id; roles by `DocumentDiff.roleKey`. One who is gone is left out.
    public private(set) var names: [String: String] = [:]
    /// Those of them who are customers' people: that they were shown is recorded.
    public private(set) var users: [String] = []

    private static let staff = "staff"
    private static let user = "user"
    private static let role = "role"

    public init() {}

    /// - Parameters:
    ///   - ids: what `ids(in:_:)` found.
    ///   - tenant: what the difference is about: whoever opened break-glass alone sees of another one no more than is there.
    public init(
        of ids: Set<String>, about tenant: String?, _ catalog: Catalog, for caller: Caller, from reader: any Reader
    ) throws {
        func find(_ type: String) throws -> [String: String] {
            guard let kind = catalog.entity(type) else { return [:] }
            let wanted = ids.filter { $0.hasPrefix("\(kind.idPrefix)_") }.sorted()
            var found: [String: String] = [:]
            // A plan may be about ten thousand people, and a statement doesn't take as many values.
            for start in stride(from: 0, to: wanted.count, by: 1000) {
                let part = Array(wanted[start..<min(start + 1000, wanted.count)])
                found.merge(try kind.displayNames(part, reader)) { name, _ in name }
            }
            return found
        }
        names = try find(Self.staff)
        let roles = ids.filter { $0.hasPrefix(DocumentDiff.roleKey("")) }.map {
            String($0.dropFirst(DocumentDiff.roleKey("").count))
        }
        if !roles.isEmpty, let kind = catalog.entity(Self.role) {
            for (code, title) in try kind.displayNames(Array(roles.sorted().prefix(1000)), reader) {
                names[DocumentDiff.roleKey(code)] = title
            }
        }
        guard caller.isSystem || caller.permissions.contains("user.view"),
            caller.emergency?.refusal(on: tenant) == nil
        else { return }
        let customers = try find(Self.user)
        users = customers.keys.sorted()
        names.merge(customers) { name, _ in name }
    }

    /// Ids of people that the difference of these groups shows, in its headings and as values, and the roles it names.
    public static func ids(
        in groups: some Sequence<UI.DiffGroup>, _ catalog: Catalog, fields: UI.DiffFields = .essential
    ) -> Set<String> {
        // A plan shows the ids of those who have a name, which is what is looked for.
        let fields: UI.DiffFields = fields == .planned ? .all : fields
        var texts: Set<String> = []
        var roles: Set<String> = []
        for group in groups {
            texts.formUnion((group.title ?? "").split(separator: " ").map(String.init))
            for line in DocumentDiff(before: group.before, after: group.after).shown(fields) {
                texts.formUnion([line.before?.string, line.after?.string].compactMap { $0 })
                roles.formUnion(DocumentDiff.roleKeys(line))
            }
        }
        let prefixes = [staff, user].compactMap { catalog.entity($0).map { "\($0.idPrefix)_" } }
        return texts.filter { text in prefixes.contains { text.hasPrefix($0) } }.union(roles)
    }
}
