import CommandLine
import Consoles
import Foundation
import Kernel

/// Large data as a pure function of its size and a seed: tenants with three users each, and what staff did about them in two
/// years. Only the staff are the demo's own.
///
/// The first tenant has 2 % of the events, one in a thousand has about 500, every fifth has 22, and the rest none.
struct LargeData: Sendable {
    let size: DemoSize
    let seed: UInt64
    /// `stf_…` of all of the demo's people, and of those who may change tenants.
    let staff: [String]
    let editors: [String]
    let policyVersion: Int64

    /// The two years: imported on the first day, worked on for the rest.
    static let start = Instant(microseconds: 1_704_067_200_000_000)  // 2024-01-01
    private static let importing = Span.days(1)
    private static let working = Span.days(729)
    /// The oldest of the tenants became a customer then.
    private static let oldest = start - .days(2192)

    /// A prime beyond every size: its multiples modulo the size are a permutation.
    private static let prime = 2_654_435_761

    // MARK: Names

    private static let syllables = [
        "ba", "cor", "den", "fil", "gra", "hel", "jun", "kor", "lum", "mar", "nel", "oru", "pax", "quil", "ras", "sol",
        "tam", "ul", "ver", "win", "xan", "yor", "zel", "bri", "cla", "dro", "eth", "flo", "gim", "hav", "ist", "jol",
    ]
    private static let kinds = [
        "Labs", "Group", "Systems", "Logistics", "Media", "Health", "Foods", "Energy", "Partners", "Studio",
    ]
    private static let regions = ["eu-west", "eu-north", "us-east", "us-west", "ap-south"]
    private static let words: [String] = (0..<2000).map { number in
        let mixed = number * 7919 % 32_768
        let count = syllables.count
        return (syllables[mixed % count] + syllables[mixed / count % count] + syllables[mixed / count / count % count])
            .capitalized
    }

    static func name(_ tenant: Int) -> String {
        let mixed = tenant * prime % 4_294_967_296
        return "\(words[mixed % 2000]) \(words[(mixed >> 11) % 2000]) \(kinds[(mixed >> 22) % 10])"
    }

    private static func status(_ tenant: Int) -> TenantStatus {
        switch (tenant * prime >> 7) % 100 {
        case ..<90: .active
        case ..<95: .ready
        default: .suspended
        }
    }

    private static func plan(_ tenant: Int) -> String {
        switch (tenant * 40_503 >> 4) % 100 {
        case ..<70: "free"
        case ..<90: "team"
        case ..<98: "business"
        default: "enterprise"
        }
    }

    // MARK: Randomness

    private enum Purpose: UInt64 {
        case tenant = 1
        case user, membership, importEvent, event, operation, request, session, salt, kind
    }

    /// SplitMix64 over the seed, a purpose and a number.
    private func mixed(_ purpose: Purpose, _ number: Int, _ turn: UInt64 = 0) -> UInt64 {
        var z: UInt64 = seed
        z &+= purpose.rawValue &* 0xD1B5_4A32_D192_ED03
        z &+= UInt64(bitPattern: Int64(number)) &* 0x9E37_79B9_7F4A_7C15
        z &+= turn &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private func id(_ prefix: String, _ purpose: Purpose, _ number: Int, at instant: Instant) -> String {
        let (first, second) = (mixed(purpose, number, 1), mixed(purpose, number, 2))
        var random: [UInt8] = []
        random.reserveCapacity(16)
        withUnsafeBytes(of: first.littleEndian) { random.append(contentsOf: $0) }
        withUnsafeBytes(of: second.littleEndian) { random.append(contentsOf: $0.prefix(2)) }
        return Identifier.make(prefix, milliseconds: UInt64(instant.microseconds / 1000), random: random)
    }

    /// The salts of an event, one after the other. They are no secret: this data is about nobody.
    private func seal(_ draft: EventDraft, number: Int) -> SealedEvent {
        var turn: UInt64 = 0
        return SealedEvent(draft) {
            var salt: [UInt8] = []
            salt.reserveCapacity(32)
            for _ in 0..<4 {
                turn += 1
                withUnsafeBytes(of: mixed(.salt, number, turn).littleEndian) { salt.append(contentsOf: $0) }
            }
            return salt
        }
    }

    // MARK: Customers

    static let tenantsPerBatch = 1000
    var batches: Int { (size.tenants + Self.tenantsPerBatch - 1) / Self.tenantsPerBatch }

    private func imported(_ batch: Int) -> Instant {
        Self.start + Span(microseconds: Self.importing.microseconds / Int64(batches + 1) * Int64(batch + 1))
    }

    func importEventID(_ batch: Int) -> String { id("evt", .importEvent, batch, at: imported(batch)) }

    func tenantID(_ tenant: Int) -> String {
        id("ten", .tenant, tenant, at: imported((tenant - 1) / Self.tenantsPerBatch))
    }

    func userID(_ tenant: Int, _ seat: Int) -> String {
        id("usr", .user, tenant * 3 + seat, at: imported((tenant - 1) / Self.tenantsPerBatch))
    }

    /// A tenant as it was imported, numbered from 1.
    func tenant(_ number: Int) -> Tenant {
        let now = imported((number - 1) / Self.tenantsPerBatch)
        let history = (now - Self.oldest).microseconds
        let created = Self.oldest + Span(microseconds: history / Int64(size.tenants + 1) * Int64(number))
        let seen = Span(microseconds: Int64(mixed(.tenant, number, 3) % UInt64(Span.days(30).microseconds)))
        let plan = Self.plan(number)
        var tenant = Tenant(
            id: tenantID(number), externalID: "acct-\(number)", slug: "tenant-\(number)", name: Self.name(number),
            status: Self.status(number), plan: plan, tier: plan == "enterprise" ? "enterprise" : "standard",
            region: Self.regions[number % 5], ownerID: userID(number, 0),
            metadata: ["seats": String(number * 37 % 500 + 1)], createdAt: created, now: now,
            lastActivityAt: max(created, now - seen))
        tenant.version = 1
        return tenant
    }

    private static let roles: [MembershipRole] = [.owner, .admin, .member]

    /// What one batch of the import writes.
    struct Import: Sendable {
        var tenants: [Tenant] = []
        var users: [User] = []
        var memberships: [Membership] = []
        let event: SealedEvent
    }

    func imports(_ batch: Int) -> Import {
        let now = imported(batch)
        let first = batch * Self.tenantsPerBatch + 1
        var draft = EventDraft(
            id: importEventID(batch), at: now, .mutation, ImportRegistryBatch.spec.name, actor: .system("demo"))
        draft.client = .cli
        draft.policyVersion = policyVersion
        draft.requestID = id("req", .request, -1 - batch, at: now)
        draft.operationID = id("op", .operation, -1 - batch, at: now)
        var rows: [any Entity] = []
        var (tenants, users, memberships): ([Tenant], [User], [Membership]) = ([], [], [])
        for number in first..<min(first + Self.tenantsPerBatch, size.tenants + 1) {
            let tenant = tenant(number)
            for (seat, role) in Self.roles.enumerated() {
                let name = [(number + seat) % 2000, (number * 13 + seat) % 2000].map { Self.words[$0] }
                var user = User(
                    id: userID(number, seat), externalID: "user-\(number * 3 - 2 + seat)",
                    email: "u\(seat).t\(number)@mail.example.test", name: name.joined(separator: " "), createdAt: now)
                user.version = 1
                users.append(user)
                rows.append(user)
                var membership = Membership(
                    id: id("mem", .membership, number * 3 + seat, at: now), tenant: tenant.id, userID: user.id,
                    role: role, status: .joined, joinedAt: now)
                membership.version = 1
                memberships.append(membership)
            }
            tenants.append(tenant)
            rows.append(tenant)
            rows += memberships.suffix(Self.roles.count) as [any Entity]
        }
        draft.facts = ["created": .int(Int64(tenants.count)), "updated": 0, "unchanged": 0, "owners_differ": 0]
        let digests = draft.nameByDigest(rows)
        draft.sealed["details"] = .init(
            [
                "consequence":
                    .string(
                        "\(tenants.count) customers are created and 0 updated; 0 are as they were."),
                "rows": digests,
            ], subjects: [])
        return Import(
            tenants: tenants, users: users, memberships: memberships, event: seal(draft, number: -1 - batch))
    }

    // MARK: Deeds

    /// A person signs in and then does so many things.
    private static let deedsPerSession = 64

    /// What happened, before it is worked out.
    enum Deed: Sendable {
        case signIn
        /// A look at a tenant.
        case look
        /// The tenant's `version`-th state becomes the next one; the one before is of `since`.
        case edit(version: Int64, since: Instant)
        case refusedEdit
    }

    struct Plan: Sendable {
        let number: Int
        /// From 1; 0 where it is about none.
        let tenant: Int
        let deed: Deed
    }

    private func tenantOf(_ event: Int) -> Int {
        let total = size.events
        let slot = event * Self.prime % total
        let one = total * 2 / 100 + total / 10_000
        let hot = total / 10
        let tenant =
            if slot < one {
                1
            } else if slot < one + hot {
                2 + (slot - one) % max(size.tenants / 1000 - 1, 1)
            } else {
                5 * (1 + (slot - one - hot) % max(size.tenants / 5, 1))
            }
        return min(tenant, size.tenants)
    }

    func at(_ event: Int) -> Instant {
        let step = Self.working.microseconds / Int64(max(1, size.events))
        return Self.start + Self.importing + Span(microseconds: step * Int64(event))
    }

    func eventID(_ event: Int) -> String { id("evt", .event, event, at: at(event)) }

    /// The events in `range`, in order; `states` is what the events before have come to.
    func plan(_ range: Range<Int>, _ states: inout TenantStates) -> [Plan] {
        range.map { number in
            guard number % Self.deedsPerSession != 0 else { return Plan(number: number, tenant: 0, deed: .signIn) }
            let tenant = tenantOf(number)
            let session = number / Self.deedsPerSession
            guard isEditor(session) else { return Plan(number: number, tenant: tenant, deed: .look) }
            switch mixed(.kind, number) % 100 {
            case 0..<20:
                let (version, since) = states.advance(tenant, to: at(number))
                return Plan(number: number, tenant: tenant, deed: .edit(version: version, since: since))
            case 20: return Plan(number: number, tenant: tenant, deed: .refusedEdit)
            default: return Plan(number: number, tenant: tenant, deed: .look)
            }
        }
    }

    private func isEditor(_ session: Int) -> Bool { mixed(.session, session) & 1 == 0 }

    private func person(_ session: Int) -> String {
        let people = isEditor(session) ? editors : staff
        return people[Int(mixed(.session, session) >> 32) % people.count]
    }

    /// A tenant behind so many edits; the last one was at `since`.
    private func tenant(_ number: Int, version: Int64, since: Instant) -> Tenant {
        var tenant = tenant(number)
        guard version > 1 else { return tenant }
        tenant.version = version
        tenant.metadata["reviewed"] = String(version - 1)
        tenant.updatedAt = since
        return tenant
    }

    private static let agents = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "postern/1.0",
    ]

    /// - Returns: the event, and the tenant as it is behind it where it is changed.
    func event(_ plan: Plan) -> (event: SealedEvent, after: Tenant?) {
        let number = plan.number
        let now = at(number)
        let session = number / Self.deedsPerSession
        let person = person(session)
        let begun = at(session * Self.deedsPerSession)
        let (eventClass, action, outcome): (EventClass, String, EventOutcome) =
            switch plan.deed {
            case .signIn: (.authn, "signin.succeeded", .applied)
            case .look: (.access, Self.looks[Int(mixed(.kind, number) >> 32) % Self.looks.count], .applied)
            case .edit: (.mutation, UpdateTenant.spec.name, .applied)
            case .refusedEdit: (.mutation, UpdateTenant.spec.name, .denied)
            }
        var draft = EventDraft(
            id: eventID(number), at: now, eventClass, action, outcome, actor: Actor(.staff, person))
        draft.client = session % 5 == 0 ? .cli : .console
        draft.requestID = id("req", .request, number, at: now)
        draft.authentication = Authentication(
            session: id("ses", .session, session, at: begun), factors: [.password, .totp], mfaAt: begun, readAt: now)
        draft.sealed["actor_ip"] = .init(.string("198.51.100.\(session % 250 + 1)"), subjects: [person])
        draft.sealed["user_agent"] = .init(
            .string(Self.agents[session % 5 == 0 ? 2 : session % 2]), subjects: [person])
        guard plan.tenant > 0 else {
            draft.target = (Staff.type, person)
            return (seal(draft, number: number), nil)
        }
        let id = tenantID(plan.tenant)
        draft.tenant = id
        draft.target = (Tenant.type, id)
        switch plan.deed {
        case .signIn: break
        case .look:
            draft.facts = ["count": 1]
            draft.sealed["details"] = .init(
                ["ids_sha256": .string(sha256(JSON.array([.string(id)]).canonical).hex)],
                subjects: [person, id].sorted())
        case .refusedEdit:
            draft.facts = ["refusal": "precondition_failed"]
            draft.sealed["details"] = .init(
                ["reason": "It changed meanwhile: somebody else edited the tenant."], subjects: [id, person])
        case .edit(let version, let since):
            let before = tenant(plan.tenant, version: version, since: since)
            let after = tenant(plan.tenant, version: version + 1, since: now)
            draft.policyVersion = policyVersion
            draft.operationID = self.id("op", .operation, number, at: now)
            draft.facts = ["fields": ["metadata"]]
            draft.changes = [EventDraft.ChangeRecord(.update(before, to: after))]
            draft.sealed["details"] = .init(
                ["consequence": .string("\(after.name) gets another metadata.")], subjects: after.subjects)
            return (seal(draft, number: number), after)
        }
        return (seal(draft, number: number), nil)
    }

    private static let looks = ["tenant.view", "tenant.view", "tenant.view", "tenant.users", "tenant.activity"]
}

/// What the tenants have come to: how often each was edited, and when last.
struct TenantStates: Sendable {
    private var versions: [Int64]
    private var since: [Instant]

    init(tenants: Int) {
        versions = Array(repeating: 1, count: tenants + 1)
        since = Array(repeating: LargeData.start, count: tenants + 1)
    }

    /// The version before, and since when it was.
    mutating func advance(_ tenant: Int, to now: Instant) -> (version: Int64, since: Instant) {
        defer {
            versions[tenant] += 1
            since[tenant] = now
        }
        return (versions[tenant], since[tenant])
    }
}
