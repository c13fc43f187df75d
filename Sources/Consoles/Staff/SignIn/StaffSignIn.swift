import Crypto
import Foundation
import Kernel

/// The staff realm's door: password, then a second factor, then a session (spec: access §5).
///
/// A wrong pair, an unknown account, an invited or a deactivated one all take the same path: one hash of the same cost,
/// the same statements, the same answer. Only the second step fails.
public struct StaffSignIn: SignIn {
    public struct Settings: Sendable {
        /// Time between password and second factor.
        public var challengeLength: Span = .minutes(5)
        public var challengeAttempts: Int64 = 5
        /// Bits of the address a session is bound to; `nil` binds it to the user agent only.
        public var network: (v4: Int, v6: Int)?
        /// What authenticator apps show.
        public var issuer = "Postern"
        /// Where passkeys may be used, or why nowhere.
        public var site: Result<PasskeySite, PasskeySite.Unfit> = .success(
            PasskeySite(id: "localhost", origin: "http://localhost:8080"))
        /// Whether mail is sent: then people hear of what was done to their account.
        public var sendsMail = false
        /// Who vouches for staff elsewhere; `nil` where nobody does.
        public var provider: StaffProvider?
        /// How long a command line waits between two questions whether it was let in.
        public var deviceInterval: Span = .seconds(5)
        public init() {}
    }

    let database: any Database
    let records: any Records
    let hasher: any PasswordHasher
    let cryptography: any PasskeyCryptography
    let masterKey: MasterKey
    let pepper: [UInt8]
    let settings: Settings
    let hooks: Pipeline.Hooks
    private let knownPermissions = KnownPermissions()

    /// - Parameters:
    ///   - masterKey: seals password hashes and TOTP secrets.
    ///   - pepper: at least 32 bytes, kept like the master key; keys the digests of recovery codes, CSRF tokens
    ///     and what passkeys are asked to sign.
    ///   - hooks: the same as the pipeline's, so that the sequencer wakes for these events too.
    public init(
        database: any Database, records: any Records, hasher: any PasswordHasher,
        cryptography: any PasskeyCryptography, masterKey: MasterKey, pepper: [UInt8],
        settings: Settings = Settings(), hooks: Pipeline.Hooks = Pipeline.Hooks()
    ) {
        precondition(pepper.count >= 32, "the pepper has at least 32 bytes")
        self.database = database
        self.records = records
        self.hasher = hasher
        self.cryptography = cryptography
        self.masterKey = masterKey
        self.pepper = pepper
        self.settings = settings
        self.hooks = hooks
    }

    // MARK: - First step

    public func begin(
        email: String, password: String, from source: Source
    ) async throws(OperationError) -> (challenge: String, factors: [FactorKind]) {
        try demandOtherWays()
        // Folded as the address was when the person was invited.
        let address = email.precomposedStringWithCanonicalMapping.trimmingCharacters(in: .whitespacesAndNewlines)
            .lowercased()
        let origin = Throttle.Origin(email: address, ip: source.ip, pepper: pepper)

        struct Found: Sendable {
            var staff: String?
            var factor: String?
            var secret: String?
            var wait: Span?
            var attempts: [Attempt] = []
        }
        let found: Found = try await write { tx in
            try tx.lock(origin.locks.sorted())
            let now = tx.now
            let rows = try tx.query([
                SignInQueries.throttle(origin.rungs.map(\.key)),
                SignInQueries.knownSource(email: address, ip: source.ip, since: now - .days(30)),
                SignInQueries.password(email: address),
            ])
            var found = Found()
            if let row = rows[2].first {
                found.staff = try row.string("staff_id")
                found.factor = try row.string("factor_id")
                found.secret = try row.string("secret")
            }
            let entries = try Self.entries(rows[0])
            let isKnown = !rows[1].isEmpty
            let blocking = origin.rungs.filter { !(isKnown && $0.key.hasPrefix("account|")) }
                .compactMap { entries[$0.key]?.blockedUntil }.max()
            if let until = blocking, now < until {
                found.wait = until - now
                fold(.throttled, 1, origin, found.staff, tx)
                return found
            }
            found.attempts = Self.attempts(origin.rungs, entries, at: now)
            for attempt in found.attempts { tx.enqueue(attempt.statement) }
            return found
        }
        if let wait = found.wait {
            throw .wait(wait)
        }

        let folded = PasswordRules.normalise(password)
        let isSane = folded.count <= PasswordRules.length.upperBound
        let isRight = try await hashing(found.attempts, locks: origin.locks) { () throws(OperationError) in
            if isSane, let factor = found.factor, let secret = found.secret,
                let encoded = masterKey.open(secret, context: Factor.sealContext(factor, .password))
            {
                return try await hasher.verify(folded, against: String(decoding: encoded, as: UTF8.self))
            }
            try await hasher.verifyDecoy(isSane ? folded : "")
            return false
        }

        let token = "chl_" + Base64.encodeURL(SecureRandom.bytes(32))
        let staff = isRight ? found.staff : nil
        let known = found.staff
        let failed: Int64 = isRight ? 0 : 1
        try await write { tx in
            let now = tx.now
            tx.enqueue(
                SignInQueries.insertChallenge(
                    tokenHash: Self.hash(token), staff: staff, origin: origin.text(known), client: source.client,
                    at: now, expires: now + settings.challengeLength))
            fold(.failed, failed, origin, known, tx)
        }
        return (token, [.totp, .recovery])
    }

    // MARK: - Second step

    public func finish(
        challenge: String, totp code: String, from source: Source
    ) async throws(OperationError) -> NewSession {
        try await finish(challenge, from: source) { staff, tx in
            // The same statement and the same work whether the password was right or not.
            guard let row = try tx.first(Factor.active(.totp, of: staff?.id ?? "", lock: false, tx.dialect)) else {
                _ = TOTP.matchingStep(code, secret: pepper, at: tx.now)
                return nil
            }
            guard try use(code, of: try Factor(row), tx) else { return nil }
            return Second(kind: .totp, changes: [])
        }
    }

    public func finish(
        challenge: String, recovery code: String, from source: Source
    ) async throws(OperationError) -> NewSession {
        try await finish(challenge, from: source) { staff, tx in
            guard let digest = RecoveryCode.digest(code, pepper: pepper),
                let row = try tx.first(Factor.active(.recovery, of: staff?.id ?? "", lock: true, tx.dialect))
            else { return nil }
            let before = try Factor(row)
            let left = before.recoveryDigests
            guard let index = left.firstIndex(where: { constantTimeEqual(Array($0.utf8), Array(digest.utf8)) }) else {
                return nil
            }
            var after = before
            after.recoveryDigests.remove(at: index)
            after.version += 1
            return Second(kind: .recovery, changes: [.update(before, to: after)])
        }
    }

    /// How the second factor was shown.
    struct Second {
        let kind: FactorKind
        let changes: [Change]
    }

    func finish(
        _ challenge: String, from source: Source,
        check: @escaping @Sendable (Staff?, any Writer) throws -> Second?
    ) async throws(OperationError) -> NewSession {
        let hash = Self.hash(challenge)
        let result: Result<(opened: NewSession, roles: Set<String>?), OperationError> = try await write { tx in
            let now = tx.now
            let peek = try tx.first(SignInQueries.challenge(tokenHash: hash, lock: false, tx.dialect))
            let (account, tried) = Throttle.Origin.read(try peek?.string("source") ?? "-|-")
            // Counters of the account are the challenge's, those of the source belong to whoever asks now.
            let asking = Throttle.Origin(account: account, source: NetworkPrefix.of(source.ip))
            try tx.lock(asking.locks.sorted())
            let row = try tx.first(SignInQueries.challenge(tokenHash: hash, lock: true, tx.dialect))
            let isOpen = try row.map {
                try now < $0.instant("expires_at") && $0.int("attempts") < settings.challengeAttempts
            }
            let staffID = try row?.optionalString("staff_id")
            let staff = try tx.first(Staff.select([staffID ?? ""], lock: true, tx.dialect)).map(Staff.init)
            let vouched = try row.flatMap { try voucher(in: $0, of: hash) }
            // Whoever comes from the provider is known: a wait tells nothing of a password, and no code is used up by it.
            if vouched != nil, let row, let staff, let wait = try pause(for: row, asking, of: staff, from: source, tx) {
                fold(.throttled, 1, asking, staff.id, tx)
                return .failure(.wait(wait))
            }
            tx.enqueue(SignInQueries.countAttempt(tokenHash: hash))

            let isReadable = try vouched != nil || row?.optionalString("provider") == nil
            let second = try check(staff, tx)
            if isOpen == true, isReadable, let staff, staff.status == .active, let second {
                if let vouched, let refusal = try linkRefusal(vouched, staff, tx) {
                    tx.enqueue(SignInQueries.deleteChallenge(tokenHash: hash))
                    recordRefusal(refusal.word, of: staff.id, from: source, tx)
                    return .failure(.conflict(refusal.sentence, legal: nil))
                }
                let first: FactorKind = vouched == nil ? .password : .oidc
                let isFromNewNetwork = try isNewNetwork(source.ip, of: staff.id, tx)
                let opened = try open(staff, [first, second.kind], from: source, tx)
                tx.enqueue(SignInQueries.deleteChallenge(tokenHash: hash))
                tx.enqueue(SignInQueries.forgetThrottle(asking.rungs[0].key))
                // The first step was counted.
                for rung in asking.rungs.dropFirst() { tx.enqueue(SignInQueries.forgiveThrottle(rung.key)) }
                if second.kind == .recovery {
                    let event = record(
                        "recovery_code.used", of: opened.info, with: [.recovery], from: source, changes: second.changes,
                        tx)
                    // One mail of one sign-in: this one says both.
                    notify(.recoveryUsed, staff.id, of: event, isNewNetwork: isFromNewNetwork, tx)
                }
                if let vouched { try arrive(opened, by: vouched, from: source, tx) }
                let event = record(
                    "signin.succeeded", of: opened.info, with: [first, second.kind], from: source,
                    facts: vouched == nil ? [:] : Self.byProvider, tx)
                if isFromNewNetwork, second.kind != .recovery { notify(.newNetwork, staff.id, of: event, tx) }
                return .success((opened, vouched?.roles))
            }
            // A used code stays used even when the challenge was not worth anything.
            try count(asking, at: now, tx)
            // A wrong pair was counted by the first step already.
            let isCounted = isOpen == true && staffID == nil
            fold(.failed, isCounted ? 0 : 1, asking, tried, tx)
            return .failure(.unauthenticated)
        }
        let (opened, roles) = try result.get()
        try await settle(roles, of: opened, from: source)
        return opened
    }

    // MARK: - Step-up

    public func stepUp(
        _ session: SessionInfo, code: String, from source: Source
    ) async throws(OperationError) {
        enum Answer: Sendable {
            case renewed, wrong, ended
            case wait(Span)
        }
        let key = "stepup|\(session.staffID)"
        let answer: Answer = try await write { tx in
            let now = tx.now
            try tx.lock(["signin:\(key)"])
            let entry = try Self.entries(tx.query(SignInQueries.throttle([key])))[key]
            if let entry, now < entry.blockedUntil { return .wait(entry.blockedUntil - now) }
            let row = try tx.first(Factor.active(.totp, of: session.staffID, lock: false, tx.dialect))
            guard let row, try use(code, of: try Factor(row), tx) else {
                tx.enqueue(SignInQueries.setThrottle(key, Throttle.count(entry, on: Throttle.stepUp, at: now)))
                record("stepup.failed", .denied, of: session, from: source, tx)
                return .wrong
            }
            guard
                try !tx.execute(
                    SignInQueries.renewFactor(session: session.id, factors: [.totp], at: now)
                ).isEmpty
            else { return .ended }
            tx.enqueue(SignInQueries.forgetThrottle(key))
            record("stepup.succeeded", of: session, with: [.totp], from: source, tx)
            return .renewed
        }
        switch answer {
        case .renewed: return
        case .ended: throw .unauthenticated
        case .wait(let span): throw .wait(span)
        case .wrong:
            throw .invalid([
                FieldError(
                    pointer: "/code",
                    detail: "That code is wrong or was used already. Wait for the next one in your app, then try again."
                )
            ])
        }
    }

    // MARK: - Ending

    public func end(_ session: SessionInfo, from source: Source) async throws(OperationError) {
        try await write { tx in
            let ended = try tx.execute(SignInQueries.end(session: session.id, of: session.staffID, at: tx.now))
            // Signing out twice is no second fact.
            guard !ended.isEmpty else { return }
            record("signout", of: session, from: source, tx)
        }
    }

    public func end(
        sessionID: String, of session: SessionInfo, from source: Source
    ) async throws(OperationError) {
        let ended: Bool = try await write { tx in
            let rows = try tx.execute(SignInQueries.end(session: sessionID, of: session.staffID, at: tx.now))
            guard !rows.isEmpty else { return false }
            record("signout", of: session, from: source, facts: ["ended_session": .string(sessionID)], tx)
            return true
        }
        guard ended else { throw .notFound("That session is not one of yours, or it has ended already.") }
    }

    public func endOthers(than session: SessionInfo, from source: Source) async throws(OperationError) {
        try await write { tx in
            let ended = try tx.execute(
                SignInQueries.endOthers(than: session.id, of: session.staffID, at: tx.now))
            // Nothing to end is no fact.
            guard !ended.isEmpty else { return }
            record("signout", of: session, from: source, facts: ["sessions_ended": .int(Int64(ended.count))], tx)
        }
    }

    // MARK: - Every request

    public func authenticate(
        token: String, from source: Source
    ) async throws(OperationError) -> (Caller, SessionInfo) {
        try await look(token, from: source, isUse: true)
    }

    public func recognise(
        token: String, from source: Source
    ) async throws(OperationError) -> (Caller, SessionInfo) {
        try await look(token, from: source, isUse: false)
    }

    private func look(
        _ token: String, from source: Source, isUse: Bool
    ) async throws(OperationError) -> (Caller, SessionInfo) {
        guard token.hasPrefix("pst_"), token.utf8.count == 47 else { throw .unauthenticated }
        let hash = Self.hash(token)
        let session = SignInQueries.session(tokenHash: hash)
        let known: Known
        switch try knownSession(try await snapshot([session]), hash, source) {
        case .nobody: throw .unauthenticated
        case .known(let found): known = found
        case .unknownPolicy:
            // Read with the session in one snapshot, so that all are of one mark.
            let all = try await snapshot([
                session, SignInQueries.permissions(database.dialect), SignInQueries.limits,
            ])
            guard case .known(let found) = try knownSession(all, hash, source) else { throw .unauthenticated }
            known = found
        }
        if isUse, known.isDue {
            // A missed touch only makes the session idle earlier, so a busy or full database does not fail the request.
            try? await write { tx in tx.enqueue(SignInQueries.touch(session: known.info.id, at: tx.now)) }
        }
        let info = known.info
        return (
            Caller(
                actor: Actor(.staff, info.staffID), person: info.staffID, displayName: info.name, roles: known.roles,
                permissions: known.permissions,
                authentication: Authentication(
                    session: info.id, factors: known.factors, mfaAt: info.mfaAt, readAt: known.readAt,
                    stepUpAge: info.limits.stepUpAge),
                client: source.client, ip: source.ip, userAgent: source.userAgent, requestID: source.requestID,
                emergency: known.emergency), info
        )
    }

    private struct Known: Sendable {
        let info: SessionInfo
        let factors: [FactorKind]
        let roles: Set<String>
        let permissions: Permissions
        let isDue: Bool
        let readAt: Instant
        let emergency: Emergency?
    }

    private enum Looked {
        case nobody
        /// What roles may do and how long sessions are is still to be read.
        case unknownPolicy
        case known(Known)
    }

    /// - Parameter snapshot: the session's rows, and with them what the policy says or nothing.
    private func knownSession(
        _ snapshot: Snapshot, _ hash: [UInt8], _ source: Source
    ) throws(OperationError) -> Looked {
        try Self.translating {
            let now = snapshot.now
            guard let row = snapshot.rows[0].first else { return .nobody }
            let mark = try row.string("mark")
            var roles: Set<String> = []
            for row in snapshot.rows[0] where try row.optionalInstant("grant_expires_at").map({ $0 > now }) ?? true {
                if let role = try row.optionalString("role_id") { roles.insert(role) }
            }
            guard
                let (permissions, limits) = try knownPermissions.known(
                    of: roles, at: mark, reading: snapshot.rows.dropFirst())
            else { return .unknownPolicy }
            let seen = try row.instant("last_seen_at")
            let created = try row.instant("created_at")
            // A shorter length than when it began ends it earlier.
            let expires = min(try row.instant("expires_at"), created + limits.length)
            guard try row.optionalInstant("ended_at") == nil, now < expires, now - seen < limits.idle,
                try row.string("status") == Staff.Status.active.rawValue,
                constantTimeEqual(try row.bytes("user_agent_hash"), Self.hash(source.userAgent)),
                isSameNetwork(try row.string("ip"), source.ip)
            else { return .nobody }
            let emergency = try Emergency(beside: row, of: permissions, at: now)
            let left = SoloLock.apply(emergency, to: roles, permissions)
            let factors = try row.json("factors").array?.compactMap { $0.string.flatMap(FactorKind.init) } ?? []
            return .known(
                Known(
                    info: SessionInfo(
                        id: try row.string("id"), staffID: try row.string("staff_id"), email: try row.string("email"),
                        name: try row.string("name"), mfaAt: try row.instant("mfa_at"),
                        createdAt: created, expiresAt: expires, lastSeenAt: seen, csrfToken: csrfToken(hash),
                        limits: limits),
                    factors: factors, roles: left.roles, permissions: left.permissions,
                    isDue: now - seen >= .minutes(1), readAt: now, emergency: emergency))
        }
    }

    /// What these roles give together.
    /// - Parameter lists: by role, as `SignInQueries.permissions` answers them.
    static func union(_ lists: [String: String]) throws -> Permissions {
        var held: [(permission: String, limits: [Limit]?)] = []
        for (role, list) in lists.sorted(by: { $0.key < $1.key }) {
            for line in list.split(separator: "\n") {
                let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
                let code = String(parts[0])
                var limits: [Limit]?
                if parts.count == 2 {
                    guard let json = try? JSON(parsing: String(parts[1])), let read = RolePermission.limits(json)
                    else { throw StoreError.shape(column: "limits") }
                    limits = read
                }
                held.append((code, Seeds.effective(limits, of: role, on: code)))
            }
        }
        return Permissions(union: held)
    }
}
