import Kernel

/// `/scim/v2/Users`: everybody who works here, as the identity provider sees them.
struct ScimPeople {
    let door: ScimDoor
    let call: ProvisioningCall

    func answer() async throws(ProvisioningError) -> ProvisioningAnswer {
        switch (call.verb, call.path.count) {
        case (.read, 1): return .list(try await list())
        case (.create, 1): return try await create()
        case (.read, 2): return try await one()
        case (.replace, 2): return try await replace()
        case (.change, 2): return try await change()
        case (.remove, 2): return try await remove()
        default: throw ProvisioningError(.notAllowed, "This can't be done to all people at once.")
        }
    }

    // MARK: A person as the provider sees them

    struct Person: Sendable {
        let staff: Staff
        let user: ScimUser?
        /// Role, what it is called, and whether it only waits.
        var roles: [(role: String, title: String, waits: Bool)] = []

        var isActive: Bool { staff.status != .deactivated }
        var profile: ScimProfile {
            guard let user else {
                return ScimProfile(userName: staff.email, email: staff.email, displayName: staff.name)
            }
            return ScimProfile(
                userName: user.userName, email: staff.email, externalID: user.externalID,
                displayName: user.shownName, formattedName: user.formattedName, givenName: user.givenName,
                familyName: user.familyName)
        }
        var version: String { ScimTag.text(staff.version) }

        /// What a provider may write, as a resource.
        var writable: JSON {
            let profile = profile
            let name = JSON.members([
                ("formatted", profile.formattedName.map(JSON.string)),
                ("givenName", profile.givenName.map(JSON.string)),
                ("familyName", profile.familyName.map(JSON.string)),
            ])
            return JSON.members([
                ("id", .string(staff.id)), ("userName", .string(profile.userName)),
                ("externalId", profile.externalID.map(JSON.string)),
                ("name", name == .object([:]) ? .none : .some(name)),
                ("displayName", profile.displayName.map(JSON.string)),
                ("emails", [["value": .string(profile.email), "type": "work"]]), ("active", .bool(isActive)),
            ])
        }

        func json(at address: String) -> JSON {
            var members = writable.object ?? [:]
            members["schemas"] = [.string(ScimSchemas.user)]
            members["emails"] = [["value": .string(staff.email), "type": "work", "primary": true]]
            if !roles.isEmpty {
                members["groups"] = .array(
                    roles.map {
                        [
                            "value": .string($0.role), "display": .string($0.title),
                            "$ref": .string("\(address)/Groups/\($0.role)"),
                            "type": .string($0.waits ? "pending" : "direct"),
                        ]
                    })
            }
            members["meta"] = [
                "resourceType": "User", "created": .string(staff.createdAt.rfc3339),
                "lastModified": .string(staff.updatedAt.rfc3339),
                "location": .string("\(address)/Users/\(staff.id)"), "version": .string(version),
            ]
            return .object(members)
        }
    }

    /// Those with these ids, in their order; whom the provider deleted are not among them.
    static func load(_ ids: [String], withRoles: Bool, from reader: any Reader) throws -> [Person] {
        guard !ids.isEmpty else { return [] }
        let rows = try reader.query([
            Staff.select(ids, lock: false, reader.dialect), ScimUser.of(ids), Grant.of(ids),
            Role.selectAll(after: "", limit: 1000),
        ])
        var users: [String: ScimUser] = [:]
        for user in try rows[1].map(ScimUser.init) { users[user.staffID] = user }
        var titles: [String: String] = [:]
        for role in try rows[3].map(Role.init) { titles[role.id] = role.title }
        var roles: [String: [(role: String, title: String, waits: Bool)]] = [:]
        if withRoles {
            for grant in try rows[2].map(Grant.init) where grant.isLive(at: reader.now) {
                roles[grant.staffID, default: []].append((grant.role, titles[grant.role] ?? grant.role, false))
            }
            let asked = try reader.query(PendingGrant.asked(forRoles: titles.keys.sorted() + [""]))
            for row in asked where try row.string("state") == PendingGrant.State.pending.rawValue {
                let role = try row.string("role_id")
                roles[try row.string("id"), default: []].append((role, titles[role] ?? role, true))
            }
        }
        return try rows[0].map(Staff.init).filter { users[$0.id]?.deletedAt == nil }.map { staff in
            Person(
                staff: staff, user: users[staff.id], roles: (roles[staff.id] ?? []).sorted { $0.role < $1.role })
        }
    }

    private func find(_ id: String) async throws(ProvisioningError) -> Person {
        let found = try await door.read(call) { reader in
            let found = try Self.load([id], withRoles: true, from: reader).first
            return (
                found,
                found.map {
                    Disclosure("scim_user.view", target: (Staff.type, $0.staff.id), count: 1, ids: [$0.staff.id])
                }
            )
        }
        guard let found else { throw ProvisioningError(.notFound, "There is nobody with the id \(id.prefix(60)).") }
        return found
    }

    private func shown(_ id: String, isCreated: Bool = false) async throws(ProvisioningError) -> ProvisioningAnswer {
        let person = try await find(id)
        return .resource(
            ScimSelection(call).apply(person.json(at: call.address)), version: person.version, isCreated: isCreated)
    }

    // MARK: Reading

    private func list() async throws(ProvisioningError) -> JSON {
        let paging = try ScimPaging(call)
        let filter = try ScimPeople.filter(call)
        let selection = ScimSelection(call)
        let (address, text) = (call.address, call.first("filter"))
        // What can't be looked for is said before anything is read.
        _ = try ScimFilterQueries.page(filter, at: Instant(microseconds: 0), from: 1, limit: 1)
        return try await door.read(call) { reader in
            let (page, count) = try ScimFilterQueries.page(
                filter, at: reader.now, from: paging.start, limit: paging.count)
            let rows = try reader.query([page, count])
            let ids = try rows[0].map { try $0.string("id") }
            let people = try Self.load(ids, withRoles: selection.wants("groups"), from: reader)
            return (
                ScimSchemas.listing(
                    people.map { selection.apply($0.json(at: address)) }, total: try rows[1].first?.int("count") ?? 0,
                    start: paging.start),
                ids.isEmpty
                    ? nil
                    : Disclosure(
                        "scim_user.list", query: text.map { ["filter": .string($0)] }, count: ids.count, ids: ids)
            )
        }
    }

    static func filter(_ call: ProvisioningCall) throws(ProvisioningError) -> ScimFilter? {
        guard let text = call.first("filter") else { return nil }
        do throws(ScimSyntaxError) {
            return try ScimParser.filter(text)
        } catch {
            throw ProvisioningError(.invalidFilter, "The filter can't be read. \(error.detail)")
        }
    }

    private func one() async throws(ProvisioningError) -> ProvisioningAnswer {
        let person = try await find(call.path[1])
        if call.known == person.version { return .unchanged(version: person.version) }
        return .resource(
            ScimSelection(call).apply(person.json(at: call.address)), version: person.version, isCreated: false)
    }

    // MARK: Writing

    private func create() async throws(ProvisioningError) -> ProvisioningAnswer {
        let (profile, active) = try Self.profile(of: try body(), besides: nil)
        let namesakes = try await door.read(call) { reader in
            let rows = try reader.query([ScimUser.called(profile.userName), Staff.withEmail(profile.email)])
            let users = try rows[0].map(ScimUser.init)
            let holder = try rows[1].first.map(Staff.init)
            let holders = try reader.query(ScimUser.of([holder?.id ?? ""])).map(ScimUser.init)
            return ((users + holders, holder), nil)
        }
        // Whom the provider deleted comes back as the same person, without roles and factors.
        if let gone = namesakes.0.first, namesakes.0.allSatisfy({ $0.deletedAt != nil && $0.staffID == gone.staffID }),
            namesakes.1 == nil || namesakes.1?.id == gone.staffID
        {
            return try await comeBack(gone.staffID, profile, isActive: active ?? true)
        }
        let made = try await door.run(
            ProvisionStaff.spec.name, ScimFields.input(profile, isActive: active ?? true), call)
        return try await shown(made.target ?? "", isCreated: true)
    }

    private func comeBack(
        _ id: String, _ profile: ScimProfile, isActive: Bool
    ) async throws(ProvisioningError) -> ProvisioningAnswer {
        let status = try await door.read(call) { reader in (try Staff.load(id, from: reader)?.status, nil) }
        var steps: [OperationRequest] = []
        // It is refused for whom a colleague sent away, and then nothing of them changes.
        if isActive, status == .deactivated { steps.append(Self.returning(id)) }
        if !isActive, status != .deactivated { steps.append(Self.leaving(id)) }
        steps.append(Self.syncing(id, profile))
        try await door.run(together: steps, call)
        return try await shown(id, isCreated: true)
    }

    private func replace() async throws(ProvisioningError) -> ProvisioningAnswer {
        let body = try body()
        return try await settle { person throws(ProvisioningError) in try Self.profile(of: body, besides: person) }
    }

    private func change() async throws(ProvisioningError) -> ProvisioningAnswer {
        let body = try body()
        return try await settle { person throws(ProvisioningError) in
            var patch = ScimPatch(person.writable, attributes: ScimSchemas.userAttributes)
            try patch.apply(body)
            return try Self.profile(of: .object(patch.resource), besides: person)
        }
    }

    /// How often somebody who is changed by others meanwhile is looked at again.
    private static let tries = 3

    /// Does what is different, all of it in one transaction, and nothing where nothing is. What is wished is worked out on the
    /// person as they stand: should somebody else change them before it is done, it is worked out once more, unless the provider
    /// said which version it means.
    private func settle(
        _ wish: (Person) throws(ProvisioningError) -> (ScimProfile, isActive: Bool?)
    ) async throws(ProvisioningError) -> ProvisioningAnswer {
        let id = call.path[1]
        var tries = 1
        while true {
            let person = try await find(id)
            try check(person.version)
            let (profile, isActive) = try wish(person)
            do throws(ProvisioningError) {
                try await door.run(
                    together: steps(person, profile, isActive: isActive ?? person.isActive), call)
                return try await shown(id)
            } catch {
                guard error.reason == .versionMismatch, [nil, "*"].contains(call.expected), tries < Self.tries else {
                    throw error
                }
                tries += 1
            }
        }
    }

    private func steps(_ person: Person, _ profile: ScimProfile, isActive: Bool) -> [OperationRequest] {
        let id = person.staff.id
        var steps: [OperationRequest] = []
        // Whoever is to go goes first: nothing of what they hold outlives this.
        if person.isActive, !isActive { steps.append(Self.leaving(id)) }
        if profile != person.profile || (person.user == nil && call.verb == .replace) {
            steps.append(Self.syncing(id, profile))
        }
        if !person.isActive, isActive { steps.append(Self.returning(id)) }
        if !steps.isEmpty { steps[0].ifMatch = person.staff.version }
        return steps
    }

    /// By the operation that no rule holds up: a request of the provider can't wait for anybody.
    private static func leaving(_ id: String) -> OperationRequest {
        OperationRequest(operation: DeprovisionStaff.spec.name, target: id, input: ["deleted": false])
    }

    private static func returning(_ id: String) -> OperationRequest {
        OperationRequest(operation: ReactivateStaff.spec.name, target: id, reasonCode: "returned")
    }

    private static func syncing(_ id: String, _ profile: ScimProfile) -> OperationRequest {
        OperationRequest(operation: SyncStaffProfile.spec.name, target: id, input: ScimFields.input(profile))
    }

    private func remove() async throws(ProvisioningError) -> ProvisioningAnswer {
        let person = try await find(call.path[1])
        try check(person.version)
        try await door.run(
            DeprovisionStaff.spec.name, on: person.staff.id,
            ifMatch: call.expected == nil ? nil : person.staff.version, call)
        return .nothing
    }

    private func check(_ version: String) throws(ProvisioningError) {
        try ScimTag.check(call.expected, version)
    }

    private func body() throws(ProvisioningError) -> JSON {
        guard let body = call.body, body.object != nil else {
            throw ProvisioningError(.invalidSyntax, "The body must be a JSON object.")
        }
        return body
    }

    /// What a resource says of a person, and whether they are active, where it says so.
    /// - Parameter person: whom it is about, for what is not said.
    static func profile(
        of resource: JSON, besides person: Person?
    ) throws(ProvisioningError) -> (ScimProfile, isActive: Bool?) {
        func text(_ name: String, in json: JSON) throws(ProvisioningError) -> String? {
            switch ScimFilter.member(name, of: json)?.value {
            case nil, .null?: return nil
            case .string(let text)?:
                let trimmed = text.trimmingSpaces
                return trimmed.isEmpty ? nil : trimmed
            // Entra ID sends a number where the source has one.
            case .int(let number)?: return String(number)
            default: throw ProvisioningError(.invalidValue, "\(name) must be text.")
            }
        }
        guard let userName = try text("userName", in: resource) else {
            throw ProvisioningError(.invalidValue, "userName is required.")
        }
        let emails = ScimFilter.member("emails", of: resource)?.value.array ?? []
        let chosen =
            emails.last { ScimFilter.member("primary", of: $0)?.value == true }
            ?? emails.last {
                ScimFilter.member("type", of: $0)?.value.string?.lowercased() == "work" && emails.count == 1
            }
            ?? emails.last
        let isAddress = userName.contains("@") && !userName.contains(" ")
        let email: String?
        switch chosen {
        case .string(let address)?: email = address.trimmingSpaces
        case let value?: email = try text("value", in: value)
        case nil: email = nil
        }
        guard let email = email ?? (isAddress ? userName : nil) ?? person?.staff.email else {
            throw ProvisioningError(.invalidValue, "emails is required: a person signs in with an address.")
        }
        let name = ScimFilter.member("name", of: resource)?.value ?? .null
        let profile = ScimProfile(
            userName: userName, email: email.lowercased(), externalID: try text("externalId", in: resource),
            displayName: try text("displayName", in: resource), formattedName: try text("formatted", in: name),
            givenName: try text("givenName", in: name), familyName: try text("familyName", in: name))
        return (profile, try isActive(ScimFilter.member("active", of: resource)?.value))
    }

    /// Entra ID writes it as text.
    private static func isActive(_ json: JSON?) throws(ProvisioningError) -> Bool? {
        switch json {
        case nil, .null?: return nil
        case .bool(let value)?: return value
        case .string(let text)? where text.lowercased() == "true": return true
        case .string(let text)? where text.lowercased() == "false": return false
        default: throw ProvisioningError(.invalidValue, "active must be true or false.")
        }
    }
}

/// Versions of resources as the provider hears of them.
enum ScimTag {
    static func text(_ version: Int64) -> String { "W/\"\(version)\"" }

    /// - Parameter expected: what the provider saw, or several of them; `nil` where it does not say.
    static func check(_ expected: String?, _ version: String) throws(ProvisioningError) {
        guard let expected, expected != "*" else { return }
        func bare(_ tag: some StringProtocol) -> String {
            let tag = String(tag).trimmingSpaces
            return tag.hasPrefix("W/") ? String(tag.dropFirst(2)) : tag
        }
        guard expected.split(separator: ",").contains(where: { bare($0) == bare(version) }) else {
            throw ProvisioningError(
                .versionMismatch,
                "Somebody changed it since you read it: it is \(version) now. Read it again and repeat.")
        }
    }
}

extension String {
    /// Without spaces and tabs around it.
    var trimmingSpaces: String {
        var text = Substring(self)
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text)
    }
}
