import Consoles
import Credentials
import Foundation
import HTML
import Kernel
import Store

/// A deployment with seeded policy and people who can sign in, on a test database. Hashing is cheap.
public struct StaffFixture: Sendable {
    /// Somebody who has enrolled, with everything they know.
    public struct Person: Sendable {
        public let id: String
        public let email: String
        public let password: String
        public let secret: [UInt8]
        public let recoveryCodes: [String]
        public let first: NewSession

        /// The code of the authenticator app at a time.
        public func code(at now: Instant) -> String { TOTP.code(secret: secret, at: now) }
    }

    public static let password = "plum tractor vivid"
    public static let source = Source(
        ip: "192.0.2.10", userAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", client: .console,
        requestID: "req_test")

    public let test: TestDatabase
    public let pipeline: Pipeline
    public let signIn: StaffSignIn
    public let masterKey: MasterKey

    /// Seeds policy unless told otherwise; nobody exists yet.
    /// - Parameter claims: the roles that values of the provider's claim stand for.
    public static func make(
        _ test: TestDatabase, settings: StaffSignIn.Settings = StaffSignIn.Settings(), seeded: Bool = true,
        hasher: (any PasswordHasher)? = nil, claims: [String: Set<String>]? = nil
    ) async throws -> StaffFixture {
        var settings = settings
        let catalog = Catalog(Consoles.all)
        let pipeline = Pipeline(
            database: test.database, records: SQLRecords(), directory: StaffDirectory(), catalog: catalog,
            clock: test.clock.clock)
        let masterKey = try MasterKey(parsing: MasterKey.generate())
        settings.provider?.roles = claims.map { ClaimedRoles(pipeline: pipeline, meanings: $0) }
        let signIn = StaffSignIn(
            database: test.database, records: SQLRecords(), hasher: hasher ?? cheapHasher(),
            cryptography: FidoCryptography(), masterKey: masterKey, pepper: SecureRandom.bytes(32), settings: settings)
        let fixture = StaffFixture(test: test, pipeline: pipeline, signIn: signIn, masterKey: masterKey)
        if seeded { _ = try await pipeline.run(OperationRequest(operation: "policy.seed"), by: system("migrate")) }
        return fixture
    }

    public static func cheapHasher() -> any PasswordHasher {
        do {
            return try Argon2idHasher(.cheap)
        } catch {
            preconditionFailure("argon2 refused its cheapest parameters: \(error)")
        }
    }

    public static func system(_ part: String) -> Caller {
        Caller(
            actor: .system(part), person: part, displayName: part, client: .worker,
            requestID: "req_\(part)")
    }

    /// The first person's enrolment token.
    public func bootstrapToken(email: String = "root@example.com", insteadOf: String? = nil) async throws -> String {
        let outcome = try await pipeline.run(
            OperationRequest(
                operation: "staff.bootstrap",
                input: .members([
                    ("email", .string(email)), ("name", "Robin Root"), ("instead_of", insteadOf.map(JSON.string)),
                ])), by: Self.system("bootstrap"))
        return try Self.token(outcome)
    }

    /// The first person, enrolled.
    public func bootstrap(email: String = "root@example.com") async throws -> Person {
        try await enrol(try await bootstrapToken(email: email))
    }

    public static func token(_ outcome: Outcome) throws -> String {
        guard case .applied(let applied) = outcome.result, let link = applied.reveal["enrolment_link"],
            let token = link.split(separator: "=").last, link.hasPrefix("http://localhost:8080/enrol?token=")
        else { throw StoreError.other("no enrolment link in \(outcome)") }
        return String(token)
    }

    /// Follows an enrolment link to its end.
    public func enrol(
        _ token: String, password: String = password, from source: Source = source
    ) async throws -> Person {
        let offer = try await signIn.enrolmentOffer(token: token)
        let secret = Base32.decode(offer.totpSecret) ?? []
        let done = try await signIn.enrol(
            token: token, password: password, sealedSecret: offer.sealedSecret,
            code: TOTP.code(secret: secret, at: test.clock.clock.now), from: source)
        return Person(
            id: offer.staffID, email: offer.email, password: password, secret: secret,
            recoveryCodes: done.recoveryCodes, first: done.session)
    }

    /// Signs in with password and the current code, after moving the clock to a step whose code was not used yet.
    public func signIn(_ person: Person, from source: Source = source) async throws -> NewSession {
        test.clock.advance(.seconds(60))
        let (challenge, _) = try await signIn.begin(email: person.email, password: person.password, from: source)
        return try await signIn.finish(challenge: challenge, totp: person.code(at: test.clock.clock.now), from: source)
    }

    public func caller(_ session: NewSession, from source: Source = source) async throws -> Caller {
        try await signIn.authenticate(token: session.token, from: source).0
    }

    /// Invites somebody and enrols them.
    public func invite(_ email: String, roles: [String], by caller: Caller) async throws -> Person {
        let outcome = try await pipeline.run(Self.invitation(email, roles: roles), by: caller)
        return try await enrol(try Self.token(outcome))
    }

    /// Invites several people before one of them enrols: once somebody could sign, an invitation waits for that.
    public func invite(_ people: [(email: String, roles: [String])], by caller: Caller) async throws -> [Person] {
        var tokens: [String] = []
        for person in people {
            let outcome = try await pipeline.run(Self.invitation(person.email, roles: person.roles), by: caller)
            tokens.append(try Self.token(outcome))
        }
        var enrolled: [Person] = []
        for token in tokens { enrolled.append(try await enrol(token)) }
        return enrolled
    }

    public static func invitation(_ email: String, roles: [String]) -> OperationRequest {
        OperationRequest(
            operation: "staff.invite",
            input: [
                "email": .string(email), "name": "Some Body", "roles": .array(roles.map(JSON.string)),
            ], justification: "They join the team today.", ticket: "HR-1", idempotencyKey: SecureRandom.bytes(8).hex)
    }

    /// Events of an action that are not sequenced yet, in the order they were written, as parsed leaves.
    public func events(_ action: String) async throws -> [JSON] {
        try await test.database.read { reader in
            try reader.query(
                Statement(
                    "SELECT e.leaf FROM events e JOIN log_pending p ON p.event_id = e.id WHERE e.action = $1 ORDER BY p.seq",
                    [.text(action)])
            ).map { try JSON(parsing: try $0.bytes("leaf")) }
        }
    }

    public func count(_ sql: String, _ values: [Value] = []) async throws -> Int64 {
        try await test.database.read { try $0.first(Statement(sql, values))?.int("count") ?? 0 }
    }
}
