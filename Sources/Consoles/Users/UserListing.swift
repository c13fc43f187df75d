import Kernel

/// What a list of users is narrowed to.
struct UserFilter: Sendable, Hashable {
    var status: [UserStatus] = []
    /// `ten_…`
    var tenant: String?
    /// How an e-mail address begins, folded.
    var beginning: String?
    /// As it was typed, by query parameter.
    let typed: [String: String]

    static let parameters = ["q", "tenant", "status"]

    /// Reads `?status=…&tenant=…&q=…`; throws with every value that can't be.
    init(_ call: ReadCall, from reader: any Reader) throws {
        typed = Self.typed(call.query)
        var errors: [FieldError] = []
        for word in Set((call.query["status"] ?? []).filter { !$0.isEmpty }).sorted() {
            if let status = UserStatus(rawValue: word) {
                self.status.append(status)
            } else {
                let all = UserStatus.allCases.map(\.rawValue).joined(separator: ", ")
                errors.append(
                    FieldError(pointer: "?status", detail: "\"\(word.prefix(40))\" is no status; it is one of \(all)."))
            }
        }
        if let text = call.first("tenant") {
            tenant = text
            if !Identifier.isValid(text, prefix: Tenant.idPrefix) {
                tenant = try reader.first(TenantQueries.tenants(by: .slug, [text.lowercased()]))?.string("id")
                if tenant == nil {
                    errors.append(
                        FieldError(
                            pointer: "?tenant", detail: "No tenant has the id or slug \"\(text.prefix(100))\"."))
                }
            }
        }
        if let text = call.first("q") {
            do throws(FieldError.Reason) {
                beginning = try TextRule.line(1...200).check(text).lowercased()
            } catch {
                errors.append(FieldError(pointer: "?q", detail: "q \(error.text)"))
            }
        }
        guard errors.isEmpty else { throw OperationError.invalid(errors) }
    }

    static func typed(_ query: [String: [String]]) -> [String: String] {
        var typed: [String: String] = [:]
        for name in parameters {
            let values = (query[name] ?? []).filter { !$0.isEmpty }
            if !values.isEmpty { typed[name] = values.joined(separator: ", ") }
        }
        return typed
    }

    /// For the record of the look, and for cursors.
    var json: JSON {
        JSON.members([
            ("q", beginning.map(JSON.string)), ("tenant", tenant.map(JSON.string)),
            ("status", status.isEmpty ? nil : .array(status.map { .string($0.rawValue) })),
        ])
    }

    /// Addresses from A to Z where their beginning is given; else the newest first.
    var isByEmail: Bool { beginning != nil && tenant == nil }
}

/// One page of users with where they belong.
struct UserListing {
    struct Item {
        let user: User
        let places: Places

        var json: JSON {
            var members = user.document.object ?? [:]
            members["tenants"] = .array(places.tenants.map { ["id": .string($0.id), "name": .string($0.name)] })
            members["tenant_count"] = .int(Int64(places.count))
            return .object(members)
        }
    }

    /// Where a user belongs.
    struct Places {
        /// Tenants they are members of, in the order of their ids: all in an export, else the first.
        var tenants: [(id: String, name: String)] = []
        /// How many there are.
        var count = 0
    }

    let filter: UserFilter
    let items: [Item]
    /// Fewer than asked for, because the search for them was ended after a while; it goes on at the cursor.
    let isPartial: Bool
    let next: String?

    static func load(
        _ call: ReadCall, from reader: any Reader, reach: Int = UserListQueries.reach
    ) throws -> UserListing {
        let filter = try UserFilter(call, from: reader)
        let limit = try call.limit()
        let scope = "user.list " + filter.json.canonicalText
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        // Where two things are asked for, one is looked through and the other tested; not without an end.
        let end = try UserListQueries.end(filter, after: after, reach: reach).flatMap {
            try reader.first($0)?.string("key")
        }
        let rows = try reader.query(UserListQueries.page(filter, after: after, end: end, limit: limit + 1))
        let users = try rows.prefix(limit).map(User.init)
        let isPartial = rows.count <= limit && end != nil
        let position =
            isPartial ? end : rows.count > limit ? users.last.map { filter.isByEmail ? $0.email : $0.id } : nil
        let places = try Self.places(of: users.map(\.id), isWhole: call.isExport, from: reader)
        return UserListing(
            filter: filter, items: users.map { Item(user: $0, places: places[$0.id] ?? Places()) },
            isPartial: isPartial, next: position.map { call.cursors.encode(scope: scope, [.string($0)]) })
    }

    /// By user; who belongs nowhere is not among them.
    private static func places(
        of users: [String], isWhole: Bool, from reader: any Reader
    ) throws -> [String: Places] {
        guard !users.isEmpty else { return [:] }
        var found: [String: Places] = [:]
        for row in try reader.query(UserListQueries.places(of: users)) {
            let user = try row.string("user_id")
            var places = try found[user] ?? Places(count: Int(row.int("total")))
            places.tenants.append((try row.string("id"), try row.string("name")))
            found[user] = places
        }
        guard isWhole else { return found }
        for (user, first) in found where first.tenants.count < first.count {
            var places = first
            while places.tenants.count < places.count, let last = places.tenants.last {
                let rows = try reader.query(UserListQueries.places(of: user, after: last.id))
                guard !rows.isEmpty else { break }
                for row in rows { places.tenants.append((try row.string("id"), try row.string("name"))) }
            }
            found[user] = places
        }
        return found
    }

    /// One event for the list; what was typed may be somebody's address.
    var disclosure: Disclosure {
        let ids = items.map(\.user.id)
        return Disclosure(
            "user.list", tenant: filter.tenant, query: filter.json, count: ids.count, ids: ids,
            subjects: filter.beginning == nil ? [] : ids)
    }

    static let schema: JSON = {
        var schema = User.schema.object ?? [:]
        var properties = schema["properties"]?.object ?? [:]
        properties["tenants"] = [
            "type": "array",
            "items": [
                "type": "object", "required": ["id", "name"],
                "properties": ["id": ["type": "string"], "name": ["type": "string"]],
            ],
        ]
        properties["tenant_count"] = ["type": "integer"]
        schema["properties"] = .object(properties)
        return .object(schema)
    }()
}
