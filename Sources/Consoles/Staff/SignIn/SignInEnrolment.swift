import Foundation
import Kernel

extension StaffSignIn {
    // MARK: - Enrolment

    public func enrolmentOffer(token: String) async throws(OperationError) -> EnrolmentOffer {
        let hash = Enrolment.hash(token)
        let person = try await invited(hash).person
        return offer(person, context: Self.offerContext(hash))
    }

    private func offer(_ person: (id: String, email: String, name: String), context: String) -> EnrolmentOffer {
        let secret = SecureRandom.bytes(TOTP.secretLength)
        return EnrolmentOffer(
            staffID: person.id, email: person.email, name: person.name, totpSecret: Base32.encode(secret),
            totpURI: TOTP.uri(secret: secret, issuer: settings.issuer, account: person.email),
            sealedSecret: masterKey.seal(secret, context: context))
    }

    public func enrol(
        token: String, password: String, sealedSecret: String, code: String, from source: Source
    ) async throws(OperationError) -> (recoveryCodes: [String], session: NewSession) {
        let hash = Enrolment.hash(token)
        let (person, now) = try await invited(hash)
        guard let secret = masterKey.open(sealedSecret, context: Self.offerContext(hash)) else {
            throw .invalid([
                FieldError(
                    pointer: "/code",
                    detail: "This form is not the one that was shown. Open the link again and start over.")
            ])
        }
        var errors: [FieldError] = []
        if let sentence = PasswordRules.refusal(password, email: person.email) {
            errors.append(FieldError(pointer: "/password", detail: "The password \(sentence)"))
        }
        let step = TOTP.matchingStep(code, secret: secret, at: now)
        if step == nil {
            errors.append(Self.wrongCode)
        }
        guard errors.isEmpty, let step else { throw .invalid(errors) }

        let encoded = try await hasher.hash(PasswordRules.normalise(password))
        let codes = RecoveryCode.generate()
        let session: NewSession = try await write { tx in
            try complete(hash, of: person.id, password: encoded, codes, from: source, tx) { staff in
                let totp = factor(.totp, "Authenticator app", of: staff, sealing: secret, at: tx.now)
                // The code that proved the app works can't be used again to sign in.
                tx.enqueue(SignInQueries.useStep(factor: totp.id, step: step, at: tx.now))
                return (totp, .totp)
            }
        }
        return (codes, session)
    }

    /// Uses the link up: password, a second factor and recovery codes are set together, and the person is signed in.
    /// - Parameter second: makes the factor for somebody.
    func complete(
        _ hash: [UInt8], of person: String, password encoded: String, _ codes: [String], from source: Source,
        _ tx: any Writer, _ second: (String) throws -> (Factor, FactorKind)
    ) throws -> NewSession {
        let now = tx.now
        // The person first, as everything that renews a link does.
        guard let before = try Staff.load(person, lock: true, from: tx), before.status != .deactivated,
            try !tx.execute(EnrolmentQueries.use(tokenHash: hash, at: now)).isEmpty
        else { throw Self.goneLink }
        tx.enqueue(EnrolmentQueries.cancel(of: before.id, at: now))

        var after = before
        after.status = .active
        after.version += 1
        after.updatedAt = now
        var changes: [Change] = [.update(before, to: after)]
        // A link that replaces lost factors takes the old ones away.
        let lost = try tx.query(Factor.active(of: before.id)).map(Factor.init)
        changes += lost.map(Self.revoked)
        let (factor, kind) = try second(after.id)
        changes += [
            .create(self.factor(.password, "Password", of: after.id, sealing: Array(encoded.utf8), at: now)),
            .create(factor), .create(recoveryFactor(codes, of: after.id, at: now)),
        ]
        let opened = try open(after, [.password, kind], from: source, tx)
        // Whoever was signed in with the factors before is not any more.
        try tx.execute(SignInQueries.endOthers(than: opened.info.id, of: after.id, at: now))
        let event = record(
            "enrolment.completed", of: opened.info, with: [.password, kind], from: source, changes: changes,
            facts: factor.registered, tx)
        // Whoever was active before had factors, which a reset may have ended already.
        if before.status == .active { notify(.factorsReplaced, after.id, of: event, tx) }
        return opened
    }

    func invited(_ hash: [UInt8]) async throws(OperationError) -> (
        person: (id: String, email: String, name: String), now: Instant
    ) {
        try await read { reader in
            guard let row = try reader.first(EnrolmentQueries.open(tokenHash: hash, at: reader.now)),
                try row.string("status") != Staff.Status.deactivated.rawValue
            else { throw Self.goneLink }
            return ((try row.string("id"), try row.string("email"), try row.string("name")), reader.now)
        }
    }

    private static let goneLink = OperationError.notFound(
        "This link was used already, has run out, or a newer one has taken its place. Ask whoever sent it for a new one."
    )

    private static func offerContext(_ tokenHash: [UInt8]) -> String { "enrolment:\(tokenHash.hex)" }

    private static let wrongCode = FieldError(
        pointer: "/code",
        detail:
            "That code does not fit. Check that the app has scanned this picture and that the phone's clock is right.")

    // MARK: - A person's own factors

    public func authenticatorOffer(
        _ session: SessionInfo, by caller: Caller
    ) async throws(OperationError) -> EnrolmentOffer {
        try demandFreshFactor(caller)
        return offer((session.staffID, session.email, session.name), context: Self.authenticatorContext(session))
    }

    private static func authenticatorContext(_ session: SessionInfo) -> String { "authenticator:\(session.id)" }

    public func setAuthenticator(
        _ sealedSecret: String, code: String, of session: SessionInfo, by caller: Caller
    ) async throws(OperationError) {
        try demandFreshFactor(caller)
        let source = Self.source(of: caller)
        guard let secret = masterKey.open(sealedSecret, context: Self.authenticatorContext(session)) else {
            throw .invalid([
                FieldError(
                    pointer: "/code", detail: "This form is not the one that was shown. Start again on your page.")
            ])
        }
        try await write { tx in
            try demandLive(session, tx)
            try demandOwnFactor(caller, tx)
            guard let step = TOTP.matchingStep(code, secret: secret, at: tx.now) else {
                throw OperationError.invalid([Self.wrongCode])
            }
            let old = try Self.authenticators(of: session, tx)
            let created = factor(.totp, "Authenticator app", of: session.staffID, sealing: secret, at: tx.now)
            // The code that proved the app works can't be used again.
            tx.enqueue(SignInQueries.useStep(factor: created.id, step: step, at: tx.now))
            let event = record(
                "factor.set_authenticator", of: session, from: source,
                changes: old.map(Self.revoked) + [.create(created)], class: .mutation, tx)
            notify(.authenticatorSet, session.staffID, of: event, tx)
        }
    }

    public func removeAuthenticator(of session: SessionInfo, by caller: Caller) async throws(OperationError) {
        try demandFreshFactor(caller)
        let source = Self.source(of: caller)
        try await write { tx in
            try demandLive(session, tx)
            try demandOwnFactor(caller, tx)
            let old = try Self.authenticators(of: session, tx)
            guard !old.isEmpty else {
                throw OperationError.conflict("You have no authenticator app: it was removed already.", legal: nil)
            }
            guard try tx.query(Factor.active(of: session.staffID)).contains(where: { try Factor($0).kind == .webauthn })
            else {
                throw OperationError.conflict(
                    "The authenticator app is your only factor. Add a passkey first.", legal: nil)
            }
            let event = record(
                "factor.remove_authenticator", of: session, from: source, changes: old.map(Self.revoked),
                class: .mutation, tx)
            notify(.authenticatorRemoved, session.staffID, of: event, tx)
        }
    }

    private static func authenticators(of session: SessionInfo, _ tx: any Writer) throws -> [Factor] {
        try tx.query(Factor.active(of: session.staffID)).map(Factor.init).filter { $0.kind == .totp }
    }

    public func renewRecoveryCodes(
        _ session: SessionInfo, by caller: Caller
    ) async throws(OperationError) -> [String] {
        try demandFreshFactor(caller)
        let codes = RecoveryCode.generate()
        let source = Self.source(of: caller)
        try await write { tx in
            let now = tx.now
            try demandLive(session, tx)
            try demandOwnFactor(caller, tx)
            let old = try tx.first(Factor.active(.recovery, of: session.staffID, lock: true, tx.dialect))
            let changes: [Change] =
                (try old.map { [Self.revoked(try Factor($0))] } ?? [])
                + [.create(recoveryFactor(codes, of: session.staffID, at: now))]
            let event = record(
                "factor.renew_recovery", of: session, from: source, changes: changes, class: .mutation, tx)
            notify(.recoveryRenewed, session.staffID, of: event, tx)
        }
        return codes
    }

    /// What a person changes of their own factors meets whatever ends these or the session, and comes before it or is not done.
    func demandLive(_ session: SessionInfo, _ tx: any Writer) throws {
        try tx.lock([Guard.staff(session.staffID).name])
        guard let staff = try Staff.load(session.staffID, lock: true, from: tx), staff.status == .active,
            try tx.first(SignInQueries.live(session.id, at: tx.now)) != nil
        else { throw OperationError.unauthenticated }
    }

    /// Whoever finds a session open on a desk can't make it their own.
    func demandFreshFactor(_ caller: Caller) throws(OperationError) {
        guard caller.authentication?.isFresh == true else {
            throw .stepUpRequired(maxAge: caller.authentication?.stepUpAge ?? Authentication.stepUpAge)
        }
    }

    /// What is enough, used last, to give or take a factor.
    static func ownFactors(hasPasskey: Bool) -> [FactorKind] {
        hasPasskey ? [.webauthn, .recovery] : [.webauthn, .recovery, .totp]
    }

    /// Who has a passkey signs with it alone, so nothing weaker gives or takes one: else a code that was asked for on the telephone
    /// would be as good as a passkey. A provider's word is nobody's own factor.
    func demandOwnFactor(_ caller: Caller, _ tx: any Writer) throws {
        let hasPasskey = try tx.query(Factor.active(of: caller.person)).contains { try Factor($0).kind == .webauthn }
        if let last = caller.authentication?.factors.last, Self.ownFactors(hasPasskey: hasPasskey).contains(last) {
            return
        }
        throw OperationError.conflict(
            hasPasskey
                ? "You have a passkey, so this takes it: use your passkey again, then come back. Lost it? Sign in with a recovery code."
                : "This takes a factor of your own: use your authenticator again, then come back.", legal: nil)
    }

    public func changePassword(
        _ session: SessionInfo, by caller: Caller, old: String, new: String
    ) async throws(OperationError) {
        try demandFreshFactor(caller)
        if let sentence = PasswordRules.refusal(new, email: session.email) {
            throw .invalid([FieldError(pointer: "/new", detail: "The password \(sentence)")])
        }
        // The old password is throttled like a code: a stolen session is no way to guess it.
        let key = "stepup|\(session.staffID)"
        let source = Self.source(of: caller)
        let (current, wait, attempts): (Factor?, Span?, [Attempt]) = try await write { tx in
            try tx.lock(["signin:\(key)"])
            let now = tx.now
            let entries = try Self.entries(tx.query(SignInQueries.throttle([key])))
            if let entry = entries[key], now < entry.blockedUntil { return (nil, entry.blockedUntil - now, []) }
            let attempts = Self.attempts([(key, Throttle.stepUp)], entries, at: now)
            for attempt in attempts { tx.enqueue(attempt.statement) }
            let row = try tx.first(Factor.active(.password, of: session.staffID, lock: false, tx.dialect))
            return (try row.map(Factor.init), nil, attempts)
        }
        if let wait { throw .wait(wait) }
        guard let current, let encoded = masterKey.open(current.secret, context: current.sealContext) else {
            throw .internalError("staff \(session.staffID) is signed in and has no readable password")
        }
        let isRight = try await hashing(attempts, locks: ["signin:\(key)"]) { () throws(OperationError) in
            try await hasher.verify(PasswordRules.normalise(old), against: String(decoding: encoded, as: UTF8.self))
        }
        guard isRight else {
            try await write { tx in
                _ = record(
                    "factor.change_password", .denied, of: session, from: source, facts: ["refusal": "wrong_password"],
                    class: .mutation, tx)
            }
            throw .invalid([FieldError(pointer: "/old", detail: "The present password is not right.")])
        }
        let next = try await hashing(attempts, locks: ["signin:\(key)"]) { () throws(OperationError) in
            try await hasher.hash(PasswordRules.normalise(new))
        }
        try await write { tx in
            let now = tx.now
            try demandLive(session, tx)
            guard let row = try tx.first(Factor.active(.password, of: session.staffID, lock: true, tx.dialect)),
                case let before = try Factor(row), before.id == current.id, before.version == current.version
            else {
                throw OperationError.conflict(
                    "The password was changed from elsewhere meanwhile. Sign in again.", legal: nil)
            }
            let changes = [
                Self.revoked(before),
                .create(factor(.password, "Password", of: session.staffID, sealing: Array(next.utf8), at: now)),
            ]
            let others = try tx.execute(SignInQueries.endOthers(than: session.id, of: session.staffID, at: now))
            tx.enqueue(SignInQueries.forgetThrottle(key))
            let event = record(
                "factor.change_password", of: session, with: [.password], from: source, changes: changes,
                facts: ["sessions_ended": .int(Int64(others.count))], class: .mutation, tx)
            notify(.passwordChanged, session.staffID, of: event, tx)
        }
    }

    // MARK: - Pieces

    private func factor(
        _ kind: FactorKind, _ label: String, of staff: String, sealing secret: [UInt8], at now: Instant
    ) -> Factor {
        let id = Identifier.mint(Factor.idPrefix, at: now)
        return Factor(
            id: id, staffID: staff, kind: kind, label: label,
            secret: masterKey.seal(secret, context: Factor.sealContext(id, kind)), createdAt: now)
    }

    private func recoveryFactor(_ codes: [String], of staff: String, at now: Instant) -> Factor {
        var factor = Factor(
            id: Identifier.mint(Factor.idPrefix, at: now), staffID: staff, kind: .recovery, label: "Recovery codes",
            secret: "", createdAt: now)
        factor.recoveryDigests = codes.compactMap { RecoveryCode.digest($0, pepper: pepper) }
        return factor
    }

    static func revoked(_ before: Factor) -> Change {
        var after = before
        after.status = .revoked
        after.version += 1
        return .update(before, to: after)
    }

    static func source(of caller: Caller) -> Source {
        Source(
            ip: caller.ip ?? "", userAgent: caller.userAgent ?? "", client: caller.client, requestID: caller.requestID)
    }
}
