import Crypto
import Foundation
import Kernel

// Pieces that every step of signing in shares.
extension StaffSignIn {
    static func hash(_ text: String) -> [UInt8] { sha256(Array(text.utf8)) }

    /// HMAC over the session's token hash: needs no storage and says nothing about the token.
    func csrfToken(_ tokenHash: [UInt8]) -> String {
        Base64.encodeURL(
            HMAC<SHA256>.authenticationCode(for: Array("csrf:".utf8) + tokenHash, using: SymmetricKey(data: pepper)))
    }

    func isSameNetwork(_ a: String, _ b: String) -> Bool {
        guard let network = settings.network else { return true }
        return NetworkPrefix.of(a, v4: network.v4, v6: network.v6)
            == NetworkPrefix.of(b, v4: network.v4, v6: network.v6)
    }

    /// Takes a code's step, once. False when the code is wrong, old, or was used before.
    func use(_ code: String, of factor: Factor, _ tx: any Writer) throws -> Bool {
        guard let secret = masterKey.open(factor.secret, context: factor.sealContext) else {
            throw OperationError.internalError("factor \(factor.id) was sealed under a key that is not here")
        }
        guard let step = TOTP.matchingStep(code, secret: secret, at: tx.now) else { return false }
        return try !tx.execute(SignInQueries.useStep(factor: factor.id, step: step, at: tx.now)).isEmpty
    }

    /// Starts a session; the token leaves this process once.
    /// - Parameter mfaAt: when the second factor was used, where that was not just now.
    func open(
        _ staff: Staff, _ factors: [FactorKind], mfaAt: Instant? = nil, from source: Source, _ tx: any Writer
    ) throws -> NewSession {
        let now = tx.now
        let mfaAt = min(mfaAt ?? now, now)
        let token = "pst_" + Base64.encodeURL(SecureRandom.bytes(32))
        let hash = Self.hash(token)
        let id = Identifier.mint("ses", at: now)
        let limits = try tx.first(SignInQueries.limits).map { try SessionLimits($0) } ?? SessionLimits()
        let expires = now + limits.length
        tx.enqueue(
            SignInQueries.insertSession(
                id: id, tokenHash: hash, staff: staff.id, source: source, factors: factors, mfaAt: mfaAt,
                userAgentHash: Self.hash(source.userAgent), at: now, expires: expires))
        return NewSession(
            token: token,
            info: SessionInfo(
                id: id, staffID: staff.id, email: staff.email, name: staff.name, mfaAt: mfaAt, createdAt: now,
                expiresAt: expires, lastSeenAt: now, csrfToken: csrfToken(hash), limits: limits))
    }

    // MARK: Throttling

    static func entries(_ rows: [Row]) throws -> [String: Throttle.Entry] {
        var out: [String: Throttle.Entry] = [:]
        for row in rows {
            out[try row.string("key")] = Throttle.Entry(
                failures: try row.int("failures"), blockedUntil: try row.instant("blocked_until"),
                updatedAt: try row.instant("updated_at"))
        }
        return out
    }

    func count(_ origin: Throttle.Origin, at now: Instant, _ tx: any Writer) throws {
        let entries = try Self.entries(tx.query(SignInQueries.throttle(origin.rungs.map(\.key))))
        for attempt in Self.attempts(origin.rungs, entries, at: now) { tx.enqueue(attempt.statement) }
    }

    /// An attempt as it is counted on one rung, and what stood there before.
    struct Attempt: Sendable {
        let key: String
        let before: Throttle.Entry?
        let counted: Throttle.Entry
        var statement: Statement { SignInQueries.setThrottle(key, counted) }
    }

    static func attempts(
        _ rungs: [(key: String, ladder: Throttle.Ladder)], _ entries: [String: Throttle.Entry], at now: Instant
    ) -> [Attempt] {
        rungs.map { key, ladder in
            Attempt(key: key, before: entries[key], counted: Throttle.count(entries[key], on: ladder, at: now))
        }
    }

    /// Runs what hashes a password. When it is too busy to look at it, the attempt was none: it is taken back.
    func hashing<T: Sendable>(
        _ attempts: [Attempt], locks: [String], _ body: () async throws(OperationError) -> T
    ) async throws(OperationError) -> T {
        do throws(OperationError) {
            return try await body()
        } catch {
            guard case .tooManyRequests = error else { throw error }
            try await write { tx in
                try tx.lock(locks.sorted())
                for attempt in attempts {
                    tx.enqueue(SignInQueries.withdraw(attempt.key, attempt.counted, before: attempt.before))
                }
            }
            throw error
        }
    }

    // MARK: Events

    enum Fold: String, CaseIterable, Sendable {
        case failed, throttled
        var action: String { "signin.\(rawValue)" }
        var outcome: EventOutcome { self == .failed ? .denied : .blocked }
        var prefix: String { "fold-\(rawValue)" }
    }

    /// One counter for each source and account; addresses that belong to nobody share one.
    static func foldKey(_ fold: Fold, _ origin: Throttle.Origin, _ staff: String?) -> String {
        "\(fold.prefix)|\(staff ?? "-")|\(origin.source)"
    }

    /// A request only counts: whether it also writes an event would tell by its time whose address was typed.
    func fold(_ fold: Fold, _ count: Int64, _ origin: Throttle.Origin, _ staff: String?, _ tx: any Writer) {
        tx.enqueue(SignInQueries.addFold(Self.foldKey(fold, origin, staff), count: count, at: tx.now))
    }

    /// What passes between two events of one counter: less than two sweeps, so that none waits for a third.
    private static let foldSpacing = Span.seconds(50)

    /// Records what a counter holds as one event, when the last one is old enough.
    private func recordFold(_ fold: Fold, _ key: String, isLast: Bool, _ tx: any Writer) throws {
        let now = tx.now
        // Read again by writing, so that of two servers only one finds something to record.
        guard let row = try tx.first(SignInQueries.addFold(key, count: 0, at: now)) else { return }
        let failures = try row.int("failures")
        // For a fold, `blocked_until` is when its last event was written.
        let last = try row.instant("blocked_until")
        guard failures > 0, isLast || now - last >= Self.foldSpacing else { return }
        let parts = key.split(separator: "|", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        let staff = parts[1] == "-" ? nil : parts[1]
        var draft = EventDraft(at: now, .authn, fold.action, fold.outcome, actor: .system("signin"))
        draft.target = staff.map { (Staff.type, $0) }
        draft.facts = ["count": .int(failures)]
        draft.sealed["details"] = .init(["source": .string(parts[2])], subjects: staff.map { [$0] } ?? [])
        tx.enqueue(records.insert(SealedEvent(draft)))
        tx.enqueue(SignInQueries.setThrottle(key, .init(failures: 0, blockedUntil: now, updatedAt: now)))
    }

    /// An `authn` event of a person, with the governed rows it changes. Answers its id.
    @discardableResult func record(
        _ action: String, _ outcome: EventOutcome = .applied, of session: SessionInfo, with factors: [FactorKind] = [],
        from source: Source, changes: [Change] = [], facts: [String: JSON] = [:], details: JSON? = nil,
        class eventClass: EventClass = .authn, _ tx: any Writer
    ) -> String {
        let staff = session.staffID
        var draft = EventDraft(at: tx.now, eventClass, action, outcome, actor: Actor(.staff, staff))
        draft.target = (Staff.type, staff)
        draft.client = source.client
        draft.requestID = source.requestID
        draft.authentication = Authentication(
            session: session.id, factors: factors,
            // The provider says by itself when it asked for one.
            mfaAt: factors.contains { ![.password, .oidc].contains($0) } ? tx.now : session.mfaAt, readAt: tx.now)
        draft.facts = facts
        draft.changes = changes.map(EventDraft.ChangeRecord.init)
        // Whoever changes a governed row is remembered as long as any other change.
        if !changes.isEmpty { draft.retention = .standard(for: .mutation) }
        draft.sealed["actor_ip"] = .init(.string(source.ip), subjects: [staff])
        draft.sealed["user_agent"] = .init(.string(String(source.userAgent.prefix(400))), subjects: [staff])
        if let details { draft.sealed["details"] = .init(details, subjects: [staff]) }
        tx.enqueue(records.insert(SealedEvent(draft)))
        for change in changes {
            tx.enqueue(change.before.map { change.after.update(expecting: $0.version) } ?? change.after.insert())
        }
        return draft.id
    }

    /// Queues a notice to the person, with what it tells of.
    /// - Parameter isNewNetwork: it also tells that they were never there before.
    func notify(
        _ notice: MailNotice, _ staff: String, of event: String, isNewNetwork: Bool = false, _ tx: any Writer
    ) {
        guard settings.sendsMail else { return }
        tx.enqueue(
            records.enqueue(
                notice.effect(to: staff, isNewNetwork: isNewNetwork), id: Identifier.mint("out", at: tx.now),
                event: event, operationID: "",
                tenantVersion: nil, at: tx.now))
    }

    /// Whether the person has signed in before, and never from this network.
    func isNewNetwork(_ ip: String, of staff: String, _ tx: any Writer) throws -> Bool {
        guard settings.sendsMail else { return false }
        let known = try tx.query(SignInQueries.addresses(of: staff)).map { try Self.network(of: $0.string("ip")) }
        return !known.isEmpty && !known.contains(Self.network(of: ip))
    }

    /// The same net for everybody, also where sessions are not bound to theirs.
    private static func network(of ip: String) -> String { NetworkPrefix.of(ip, v4: 24, v6: 48) }

    // MARK: The database

    func write<T: Sendable>(
        _ body: @escaping @Sendable (any Writer) throws -> T
    ) async throws(OperationError) -> T {
        if let reason = hooks.blocked() { throw .unavailable(reason) }
        var tries = 0
        while true {
            tries += 1
            do {
                let value = try await database.write(body)
                hooks.committed()
                return value
            } catch let error as StoreError where tries < 3 && Self.isTransient(error) {
                continue
            } catch {
                throw Self.translate(error)
            }
        }
    }

    func read<T: Sendable>(_ body: @escaping @Sendable (any Reader) throws -> T) async throws(OperationError) -> T {
        do {
            return try await database.read(body)
        } catch {
            throw Self.translate(error)
        }
    }

    func snapshot(_ statements: [Statement]) async throws(OperationError) -> Snapshot {
        do {
            return try await database.snapshot(statements)
        } catch {
            throw Self.translate(error)
        }
    }

    /// Runs `body` with what it throws said in the words of operations.
    static func translating<T>(_ body: () throws -> T) throws(OperationError) -> T {
        do { return try body() } catch { throw translate(error) }
    }

    private static func isTransient(_ error: StoreError) -> Bool {
        switch error {
        case .retry, .rowCount: true
        default: false
        }
    }

    private static func translate(_ error: any Error) -> OperationError {
        if let error = error as? OperationError { return error }
        guard let error = error as? StoreError else { return .internalError(String(describing: error)) }
        switch error {
        case .unavailable: return .unavailable("The database can't be reached right now. Try again in a moment.")
        case .full(let detail): return .unavailable("The database can't store anything: \(detail)")
        case .retry, .rowCount:
            return .conflict("Somebody else changed this at the same moment. Look at it again, then retry.", legal: nil)
        default: return .internalError(String(describing: error))
        }
    }

    // MARK: Housekeeping

    /// Records failures that were counted and not yet recorded, and clears what has run out. Run it every 30 seconds, and
    /// once before the server ends.
    /// - Parameter isLast: records counters too whose last event is not a minute old.
    public func sweep(isLast: Bool = false) async throws(OperationError) {
        for fold in Fold.allCases {
            var cursor: String?
            while true {
                let last: String? = try await write { [cursor] tx in
                    let rows = try tx.query(
                        SignInQueries.throttle(after: cursor ?? fold.prefix + "|", before: fold.prefix + "}"))
                    for row in rows {
                        let key = try row.string("key")
                        if try row.int("failures") > 0 {
                            try self.recordFold(fold, key, isLast: isLast, tx)
                        } else if case let updated = try row.instant("updated_at"), tx.now - updated > .hours(1) {
                            tx.enqueue(SignInQueries.forgetThrottle(key, updatedAt: updated))
                        }
                    }
                    return try rows.last?.string("key")
                }
                guard let last else { break }
                cursor = last
            }
        }
        for (prefix, forget) in [
            ("account", Throttle.account.forget), ("pair", Throttle.pair.forget), ("source", Throttle.source.forget),
            ("stepup", Throttle.stepUp.forget), ("device", Throttle.stepUp.forget),
            ("runtime", Throttle.source.forget), ("service", Throttle.source.forget), ("scim", Throttle.source.forget),
        ] {
            var cursor: String?
            while true {
                let last: String? = try await write { [cursor] tx in
                    let rows = try tx.query(SignInQueries.throttle(after: cursor ?? prefix + "|", before: prefix + "}"))
                    for row in rows {
                        let updated = try row.instant("updated_at")
                        guard tx.now - updated > forget else { continue }
                        tx.enqueue(SignInQueries.forgetThrottle(try row.string("key"), updatedAt: updated))
                    }
                    return try rows.last?.string("key")
                }
                guard let last else { break }
                cursor = last
            }
        }
        try await write { tx in
            tx.enqueue(SignInQueries.deleteChallenges(expiredBefore: tx.now - .hours(1)))
            tx.enqueue(PasskeyQueries.deleteAnswers(expiredBefore: tx.now - .hours(1)))
            for statement in ProviderQueries.forget(expiredBefore: tx.now - .hours(1)) { tx.enqueue(statement) }
            tx.enqueue(DeviceQueries.forget(expiredBefore: tx.now - .hours(1)))
        }
    }
}
