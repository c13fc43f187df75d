import Kernel

/// `/scim/v2/Groups`: the roles, with those who hold them. A member who is added gets the role, at once or once a colleague
/// accepts it; one who is taken out loses it at once.
struct ScimGroups {
    let door: ScimDoor
    let call: ProvisioningCall

    func answer() async throws(ProvisioningError) -> ProvisioningAnswer {
        switch (call.verb, call.path.count) {
        case (.read, 1): return .list(try await list())
        case (.read, 2): return try await one()
        case (.replace, 2): return try await replace()
        case (.change, 2): return try await change()
        case (.create, 1): return try await create()
        case (.remove, 2):
            _ = try await find(call.path[1])
            throw ProvisioningError(
                .forbidden, "Roles are made and ended in Postern. Take the members out of the group instead.")
        default: throw ProvisioningError(.notAllowed, "This can't be done to all groups at once.")
        }
    }

    // MARK: A role as the provider sees it

    struct Group: Sendable {
        let role: Role
        /// Id and name of those who hold it or are to hold it.
        let members: [(id: String, name: String)]
        /// Those to whom somebody said no. They are not shown, and not asked for again until the provider took them out.
        let refused: [String]

        /// What the provider told of, as far as it can change it.
        var told: JSON {
            let all = members.map(\.id) + refused
            return [
                "id": .string(role.id), "displayName": .string(role.title),
                "members": .array(all.map { ["value": .string($0)] }),
            ]
        }

        func json(at address: String, withMembers: Bool = true) -> JSON {
            var resource =
                JSON.members([
                    ("schemas", [.string(ScimSchemas.group)]), ("id", .string(role.id)),
                    ("displayName", .string(role.title)),
                    (
                        "members",
                        members.isEmpty || !withMembers
                            ? .none
                            : .some(
                                .array(
                                    members.map {
                                        [
                                            "value": .string($0.id), "display": .string($0.name), "type": "User",
                                            "$ref": .string("\(address)/Users/\($0.id)"),
                                        ]
                                    }))
                    ),
                ]).object ?? [:]
            resource["meta"] = [
                "resourceType": "Group", "location": .string("\(address)/Groups/\(role.id)"),
                "version": .string(version),
            ]
            return .object(resource)
        }

        /// Of who is in it and what it is called.
        var version: String {
            let text = JSON.array([.string(role.title)] + members.map { .string($0.id) }).canonical
            return "W/\"\(sha256(text).prefix(8).hex)\""
        }
    }

    /// Roles with their members; `nil` for all.
    static func load(_ id: String?, from reader: any Reader) throws -> [Group] {
        let roles = try reader.query(
            id.map { Role.select([$0], lock: false, reader.dialect) } ?? Role.selectAll(after: "", limit: 1000)
        ).map(Role.init)
        guard !roles.isEmpty else { return [] }
        let rows = try reader.query([
            ScimMemberQueries.holders(of: roles.map(\.id), at: reader.now),
            PendingGrant.asked(forRoles: roles.map(\.id)),
        ])
        var members: [String: [String: String]] = [:]
        var refused: [String: [String]] = [:]
        for row in rows.joined() {
            let (role, id) = (try row.string("role_id"), try row.string("id"))
            if try row.optionalString("state") == PendingGrant.State.dismissed.rawValue {
                refused[role, default: []].append(id)
            } else {
                members[role, default: [:]][id] = try row.string("name")
            }
        }
        return roles.map { role in
            let held = members[role.id] ?? [:]
            return Group(
                role: role, members: held.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 },
                refused: (refused[role.id] ?? []).filter { held[$0] == nil })
        }
    }

    private func find(_ id: String) async throws(ProvisioningError) -> Group {
        let found = try await door.read(call) { reader in
            let found = try Self.load(id, from: reader).first
            return (
                found,
                found.map {
                    Disclosure(
                        "scim_group.view", target: (Role.type, $0.role.id), count: $0.members.count,
                        ids: $0.members.map(\.id))
                }
            )
        }
        guard let found else { throw ProvisioningError(.notFound, "There is no group \(id.prefix(60)).") }
        return found
    }

    private func shown(_ group: Group) -> ProvisioningAnswer {
        .resource(
            ScimSelection(call).apply(group.json(at: call.address)), version: group.version, isCreated: false)
    }

    // MARK: Reading

    private func list() async throws(ProvisioningError) -> JSON {
        let paging = try ScimPaging(call)
        let filter = try ScimPeople.filter(call)
        let selection = ScimSelection(call)
        let (address, text) = (call.address, call.first("filter"))
        return try await door.read(call) { reader in
            let all = try Self.load(nil, from: reader)
            // A role is also found by its code.
            let fitting = all.filter { group in
                guard let filter else { return true }
                var coded = group.json(at: address).object ?? [:]
                coded["displayName"] = .string(group.role.id)
                return filter.matches(group.json(at: address)) || filter.matches(.object(coded))
            }
            let page = fitting.dropFirst(Int(paging.start - 1)).prefix(paging.count)
            let ids = selection.wants("members") ? page.flatMap { $0.members.map(\.id) } : []
            return (
                ScimSchemas.listing(
                    page.map { selection.apply($0.json(at: address)) }, total: Int64(fitting.count),
                    start: paging.start),
                ids.isEmpty
                    ? nil
                    : Disclosure(
                        "scim_group.list", query: text.map { ["filter": .string($0)] }, count: ids.count, ids: ids)
            )
        }
    }

    private func one() async throws(ProvisioningError) -> ProvisioningAnswer {
        let group = try await find(call.path[1])
        return call.known == group.version ? .unchanged(version: group.version) : shown(group)
    }

    // MARK: Writing

    /// A group of a role's name is that role; others are made in Postern.
    private func create() async throws(ProvisioningError) -> ProvisioningAnswer {
        let name = ScimFilter.member("displayName", of: try body())?.value.string ?? ""
        let roles = try await door.read(call) { reader in
            (try reader.query(Role.selectAll(after: "", limit: 1000)).map(Role.init), nil)
        }
        if let role = roles.first(where: { Self.isName(name, of: $0) }) {
            throw ProvisioningError(.uniqueness, "The group \(role.title) is here already, as \(role.id).")
        }
        throw ProvisioningError(
            .forbidden,
            "Roles are made in Postern. Name the group like one of them: \(roles.map(\.title).joined(separator: ", "))."
        )
    }

    private static func isName(_ text: String, of role: Role) -> Bool {
        [role.id, role.title.lowercased()].contains(text.lowercased())
    }

    private func replace() async throws(ProvisioningError) -> ProvisioningAnswer {
        let body = try body()
        return try await settle { _ throws(ProvisioningError) in body }
    }

    private func change() async throws(ProvisioningError) -> ProvisioningAnswer {
        let body = try body()
        return try await settle { group throws(ProvisioningError) in
            var patch = ScimPatch(group.told, attributes: ScimSchemas.groupAttributes)
            try patch.apply(body)
            return .object(patch.resource)
        }
    }

    /// More people than this do not come and go by one request: those who come do so in one transaction, and everybody else
    /// whose roles change waits for it.
    private static let mostChanges = 100

    /// Who goes and who comes.
    private struct Steps: Equatable {
        var going: [String] = []
        var coming: [String] = []
        var count: Int { going.count + coming.count }
    }

    /// What of a request could not be done, and why.
    private struct Refused {
        let left: Steps
        let error: ProvisioningError
    }

    /// Brings the group to what is wished. What was refused is looked at again when others did a part of it meanwhile, or a
    /// colleague said no: then less is left to do.
    private func settle(
        _ wish: (Group) throws(ProvisioningError) -> JSON
    ) async throws(ProvisioningError) -> ProvisioningAnswer {
        var refused: Refused?
        while true {
            let group = try await find(call.path[1])
            let steps: Steps
            do throws(ProvisioningError) {
                try ScimTag.check(call.expected, group.version)
                steps = try self.steps(group, wish(group))
            } catch {
                // A patch may name whom it has taken out by now.
                throw refused?.error ?? error
            }
            if let refused, refused.left == steps { throw refused.error }
            guard let now = try await carryOut(steps, on: group.role) else {
                return shown(try await find(group.role.id))
            }
            // Ever fewer are left, so that this ends.
            if let refused, refused.left.count <= now.left.count { throw now.error }
            refused = now
        }
    }

    /// Takes away before it gives, as what goes may be what a role is not held together with. Whom the provider takes out does not
    /// stay in because somebody else can't be taken out, or can't be put in: each of them is a transaction. Those who come do so
    /// together or not at all.
    /// - Returns: what could not be done; `nil` when nothing is left.
    private func carryOut(_ steps: Steps, on role: Role) async throws(ProvisioningError) -> Refused? {
        var left = Steps()
        var why: ProvisioningError?
        for person in steps.going {
            do throws(ProvisioningError) {
                try await run(WithdrawRole.spec.name, [person], role, isNamed: steps.count > 1)
            } catch {
                // The others could not be done either.
                if error.reason == .unavailable { throw error }
                left.going.append(person)
                why = why ?? error
            }
        }
        do throws(ProvisioningError) {
            try await know(steps.coming)
            try await run(ProvisionRole.spec.name, steps.coming, role, isNamed: steps.count > 1)
        } catch {
            left.coming = steps.coming
            why = why ?? error
        }
        return why.map { Refused(left: left, error: $0) }
    }

    private func run(
        _ operation: String, _ people: [String], _ role: Role, isNamed: Bool
    ) async throws(ProvisioningError) {
        let steps = people.map {
            OperationRequest(operation: operation, target: $0, input: ["role": .string(role.id)])
        }
        try await door.run(together: steps, call) { isNamed ? $0.target : nil }
    }

    /// Refuses whom nobody knows.
    private func know(_ people: [String]) async throws(ProvisioningError) {
        guard !people.isEmpty else { return }
        let known = try await door.read(call) { reader in
            (try ScimPeople.load(people, withRoles: false, from: reader).map(\.staff.id), nil)
        }
        if let stranger = people.first(where: { !known.contains($0) }) {
            throw ProvisioningError(.invalidValue, "There is nobody with the id \(stranger.prefix(60)).")
        }
    }

    private func steps(_ group: Group, _ wanted: JSON) throws(ProvisioningError) -> Steps {
        if let name = ScimFilter.member("displayName", of: wanted)?.value {
            guard let name = name.string, Self.isName(name, of: group.role) else {
                throw ProvisioningError(
                    .mutability, "Roles are named in Postern: this one is \(group.role.title), or \(group.role.id).")
            }
        }
        let wantedIDs = try Self.members(wanted)
        let present = Set(group.members.map(\.id) + group.refused)
        let steps = Steps(
            going: present.subtracting(wantedIDs).sorted(), coming: wantedIDs.subtracting(present).sorted())
        guard steps.count <= Self.mostChanges else {
            throw ProvisioningError(
                .tooMany,
                "At most \(Self.mostChanges) members come and go by one request, and these are \(steps.count). Send them in parts."
            )
        }
        return steps
    }

    private static func members(_ resource: JSON) throws(ProvisioningError) -> Set<String> {
        var ids: Set<String> = []
        for member in ScimFilter.member("members", of: resource)?.value.array ?? [] {
            guard let id = member.string ?? ScimFilter.member("value", of: member)?.value.string, !id.isEmpty else {
                throw ProvisioningError(.invalidValue, "A member needs the id of a person as its value.")
            }
            ids.insert(id)
        }
        return ids
    }

    private func body() throws(ProvisioningError) -> JSON {
        guard let body = call.body, body.object != nil else {
            throw ProvisioningError(.invalidSyntax, "The body must be a JSON object.")
        }
        return body
    }
}
