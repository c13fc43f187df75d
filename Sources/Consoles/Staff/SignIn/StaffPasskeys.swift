import Crypto
import Foundation
import Kernel

// Passkeys (spec: access §5; WebAuthn level 3).
extension StaffSignIn: Passkeys {
    public var hindrance: String? {
        switch settings.site {
        case .success: nil
        case .failure(let unfit): unfit.description
        }
    }

    func site() throws(OperationError) -> PasskeySite {
        switch settings.site {
        case .success(let site): return site
        case .failure(let unfit): throw .conflict(unfit.description, legal: nil)
        }
    }

    // MARK: - Questions

    private func nonce(
        _ purpose: PasskeyNonce.Purpose, for bearer: String
    ) async throws(OperationError) -> PasskeyNonce {
        let now = try await read { $0.now }
        return PasskeyNonce(purpose, for: bearer, at: now, pepper: pepper)
    }

    /// - Parameter passkeys: which may answer; none leaves the choice to the browser.
    func requestOptions(_ challenge: [UInt8], _ passkeys: [Factor], at site: PasskeySite) -> JSON {
        .members([
            ("challenge", .string(Base64.encodeURL(challenge))), ("rpId", .string(site.id)),
            ("timeout", .int(PasskeyNonce.lifetime.seconds * 1000)), ("userVerification", "required"),
            ("allowCredentials", passkeys.isEmpty ? nil : .array(passkeys.compactMap(\.descriptor))),
        ])
    }

    private func creationOptions(
        _ nonce: PasskeyNonce, for staff: String, email: String, name: String, excluding passkeys: [Factor],
        at site: PasskeySite
    ) -> JSON {
        [
            "rp": ["id": .string(site.id), "name": .string(settings.issuer)],
            // The id says nothing of the person to whom it is shown.
            "user": [
                "id": .string(Base64.encodeURL(Array(staff.utf8))), "name": .string(email),
                "displayName": .string(name),
            ],
            "challenge": .string(Base64.encodeURL(nonce.bytes)),
            "pubKeyCredParams": .array(
                PasskeyKey.Algorithm.allCases.map { ["type": "public-key", "alg": .int($0.rawValue)] }),
            "timeout": .int(PasskeyNonce.lifetime.seconds * 1000), "attestation": "none",
            "excludeCredentials": .array(passkeys.compactMap(\.descriptor)),
            "authenticatorSelection": [
                "residentKey": "required", "requireResidentKey": true, "userVerification": "required",
            ],
        ]
    }

    private static func passkeys(of staff: String, _ reader: any Reader) throws -> [Factor] {
        try reader.query(Factor.active(of: staff)).map(Factor.init).filter { $0.kind == .webauthn }
    }

    /// More than anybody has devices.
    static let most = 20

    // MARK: - Answers

    static func invalid(_ refusal: PasskeyRefusal) -> OperationError {
        .invalid([FieldError(pointer: "/passkey", detail: refusal.sentence)])
    }

    /// Takes the question an answer is to, once.
    func take(
        _ clientData: [UInt8], _ purpose: PasskeyNonce.Purpose, for bearer: String, _ tx: any Writer
    ) throws {
        let challenge = try PasskeyClientData(clientData).challenge
        let nonce = try PasskeyNonce(challenge, purpose, for: bearer, at: tx.now, pepper: pepper)
        guard try !tx.execute(PasskeyQueries.answer(nonce)).isEmpty else { throw PasskeyRefusal.challengeUsed }
    }

    /// A passkey that was used as it must be.
    struct UsedPasskey {
        let factor: Factor
        let credential: PasskeyCredential
    }

    /// Everything but the question: whose it is, the signature, the counter. A counter that went back is an event.
    /// - Parameter staff: whose it must be; `nil` when that is what is asked.
    func use(
        _ answer: PasskeyAssertion, of staff: String?, at site: PasskeySite, from source: Source, _ tx: any Writer
    ) throws -> UsedPasskey {
        guard let row = try tx.first(PasskeyQueries.passkey(credential: answer.credential)) else {
            throw PasskeyRefusal.unknown
        }
        let factor = try Factor(row)
        // Again under the person's lock: what ends factors holds it.
        guard let person = try Staff.load(factor.staffID, lock: true, from: tx), person.status == .active,
            try tx.first(PasskeyQueries.passkey(credential: answer.credential)) != nil
        else { throw PasskeyRefusal.unknown }
        if let staff, factor.staffID != staff { throw PasskeyRefusal.otherPerson }
        if let handle = answer.userHandle, handle != Array(factor.staffID.utf8) { throw PasskeyRefusal.otherPerson }
        let credential = try factor.passkey()
        let counter = try PasskeyCeremony.use(answer, of: credential, at: site, with: cryptography)
        let stored = try row.optionalInt("last_step") ?? 0
        do throws(PasskeyRefusal) {
            try PasskeyCeremony.check(counter: counter, after: stored)
        } catch {
            recordCounter(factor, stored: stored, shown: counter, from: source, tx)
            throw error
        }
        guard try !tx.execute(PasskeyQueries.use(factor: factor.id, counter: counter, at: tx.now)).isEmpty else {
            throw PasskeyRefusal.counter(stored: stored, shown: counter)
        }
        return UsedPasskey(factor: factor, credential: credential)
    }

    private func recordCounter(
        _ factor: Factor, stored: Int64, shown: Int64, from source: Source, _ tx: any Writer
    ) {
        var draft = EventDraft(at: tx.now, .authn, "passkey.counter_fell", .blocked, actor: .system("signin"))
        draft.target = (Staff.type, factor.staffID)
        draft.client = source.client
        draft.requestID = source.requestID
        draft.facts = ["factor": .string(factor.id), "stored": .int(stored), "shown": .int(shown)]
        draft.sealed["actor_ip"] = .init(.string(source.ip), subjects: [factor.staffID])
        draft.sealed["user_agent"] = .init(
            .string(String(source.userAgent.prefix(400))), subjects: [factor.staffID])
        // Whoever has a copy is after an account: kept as long as any change of it.
        draft.retention = .standard(for: .mutation)
        tx.enqueue(records.insert(SealedEvent(draft)))
        notify(.passkeyCopied, factor.staffID, of: draft.id, tx)
    }

    /// Runs what an answer asks for. A refusal keeps what was written to record it, and is answered after the commit.
    private func answering<T: Sendable>(
        _ body: @escaping @Sendable (any Writer) throws -> Result<T, PasskeyRefusal>
    ) async throws(OperationError) -> T {
        let result = try await write(body)
        switch result {
        case .success(let value): return value
        case .failure(let refusal): throw Self.invalid(refusal)
        }
    }

    private static func caught<T>(_ body: () throws -> T) throws -> Result<T, PasskeyRefusal> {
        do {
            return .success(try body())
        } catch let refusal as PasskeyRefusal {
            return .failure(refusal)
        }
    }

    static func reading<T>(_ body: () throws(PasskeyRefusal) -> T) throws(OperationError) -> T {
        do throws(PasskeyRefusal) { return try body() } catch { throw invalid(error) }
    }

    // MARK: - Signing in

    public func signInOptions(visitor: String) async throws(OperationError) -> JSON {
        requestOptions(try await nonce(.signIn, for: visitor).bytes, [], at: try site())
    }

    public func signIn(_ answer: JSON, visitor: String, from source: Source) async throws(OperationError) -> NewSession
    {
        try demandOtherWays()
        let site = try site()
        let assertion = try Self.reading { () throws(PasskeyRefusal) in try PasskeyAssertion(answer) }
        // Of the account nothing is counted: nobody can lock it by failing here. Of the source it is.
        let origin = Throttle.Origin(account: "-", source: NetworkPrefix.of(source.ip))
        let key = "source|\(origin.source)"
        enum Answer: Sendable {
            case opened(NewSession)
            case wait(Span)
        }
        let result: Answer = try await answering { tx in
            let now = tx.now
            try tx.lock(origin.locks.sorted())
            let entry = try Self.entries(tx.query(SignInQueries.throttle([key])))[key]
            if let entry, now < entry.blockedUntil { return .success(.wait(entry.blockedUntil - now)) }
            let used: Result<UsedPasskey, PasskeyRefusal> = try Self.caught {
                try take(assertion.clientData, .signIn, for: visitor, tx)
                guard assertion.userHandle != nil else { throw PasskeyRefusal.malformed("it does not say whose it is") }
                return try use(assertion, of: nil, at: site, from: source, tx)
            }
            switch used {
            case .success(let used):
                guard let staff = try Staff.load(used.factor.staffID, from: tx), staff.status == .active else {
                    fallthrough
                }
                let isFromNewNetwork = try isNewNetwork(source.ip, of: staff.id, tx)
                let opened = try open(staff, [.webauthn], from: source, tx)
                let event = record(
                    "signin.succeeded", of: opened.info, with: [.webauthn], from: source,
                    facts: ["factor": .string(used.factor.id)], tx)
                if isFromNewNetwork { notify(.newNetwork, staff.id, of: event, tx) }
                return .success(.opened(opened))
            default:
                tx.enqueue(SignInQueries.setThrottle(key, Throttle.count(entry, on: Throttle.source, at: now)))
                fold(.failed, 1, origin, nil, tx)
                if case .failure(let refusal) = used { return .failure(refusal) }
                return .failure(.unknown)
            }
        }
        switch result {
        case .opened(let session): return session
        case .wait(let span): throw .wait(span)
        }
    }

    // MARK: - Step-up

    public func stepUpOptions(_ session: SessionInfo) async throws(OperationError) -> JSON {
        let site = try site()
        let nonce = try await nonce(.stepUp, for: session.id)
        let passkeys = try await read { try Self.passkeys(of: session.staffID, $0) }
        guard !passkeys.isEmpty else { throw Self.none }
        return requestOptions(nonce.bytes, passkeys, at: site)
    }

    static let none = OperationError.conflict("You have no passkey yet. Add one on your own page.", legal: nil)

    public func stepUp(_ session: SessionInfo, with answer: JSON, from source: Source) async throws(OperationError) {
        let assertion = try Self.reading { () throws(PasskeyRefusal) in try PasskeyAssertion(answer) }
        _ = try await renew(session, assertion, from: source) { tx in
            try take(assertion.clientData, .stepUp, for: session.id, tx)
        }
    }

    /// The session's factor is fresh after this.
    /// - Parameter question: takes what the answer is to.
    func renew(
        _ session: SessionInfo, _ assertion: PasskeyAssertion, from source: Source,
        _ question: @escaping @Sendable (any Writer) throws -> Void
    ) async throws(OperationError) -> UsedPasskey {
        let site = try site()
        // Of the session, not of the person: a signature can't be guessed, and nobody is held back by another's failures.
        let key = "stepup|\(session.id)"
        enum Answer: Sendable {
            case renewed(UsedPasskey)
            case ended
            case wait(Span)
        }
        let result: Answer = try await answering { tx in
            let now = tx.now
            try tx.lock(["signin:\(key)"])
            let entry = try Self.entries(tx.query(SignInQueries.throttle([key])))[key]
            if let entry, now < entry.blockedUntil { return .success(.wait(entry.blockedUntil - now)) }
            let used: Result<UsedPasskey, PasskeyRefusal> = try Self.caught {
                try question(tx)
                return try use(assertion, of: session.staffID, at: site, from: source, tx)
            }
            switch used {
            case .failure(let refusal):
                tx.enqueue(SignInQueries.setThrottle(key, Throttle.count(entry, on: Throttle.stepUp, at: now)))
                record(
                    "stepup.failed", .denied, of: session, from: source, facts: ["refusal": .string(refusal.word)], tx)
                return .failure(refusal)
            case .success(let used):
                guard
                    try !tx.execute(SignInQueries.renewFactor(session: session.id, factors: [.webauthn], at: now))
                        .isEmpty
                else { return .success(.ended) }
                tx.enqueue(SignInQueries.forgetThrottle(key))
                record(
                    "stepup.succeeded", of: session, with: [.webauthn], from: source,
                    facts: ["factor": .string(used.factor.id)], tx)
                return .success(.renewed(used))
            }
        }
        switch result {
        case .renewed(let used): return used
        case .ended: throw .unauthenticated
        case .wait(let span): throw .wait(span)
        }
    }

    // MARK: - Signed intent

    public func intentNonce(
        _ session: SessionInfo
    ) async throws(OperationError) -> (nonce: String, seed: IntentSeed) {
        let nonce = Base64.encodeURL(try await nonce(.intent, for: session.id).bytes)
        return (nonce, intentSeed(nonce))
    }

    public func intentSeed(_ nonce: String) -> IntentSeed {
        let bytes = Base64.decodeURL(nonce) ?? []
        return IntentSeed(
            at: PasskeyNonce.time(of: bytes),
            secret: Array(
                HMAC<SHA256>.authenticationCode(
                    for: Array("intent:".utf8) + bytes, using: SymmetricKey(data: pepper))))
    }

    public func signingOptions(
        _ action: JSON, nonce: String, of session: SessionInfo
    ) async throws(OperationError) -> JSON {
        let site = try site()
        let passkeys = try await read { try Self.passkeys(of: session.staffID, $0) }
        guard !passkeys.isEmpty else { throw Self.none }
        return requestOptions(
            SignedIntent.challenge(action, nonce: Base64.decodeURL(nonce) ?? []), passkeys, at: site)
    }

    public func sign(
        _ action: JSON, nonce: String, with answer: JSON, of session: SessionInfo, from source: Source
    ) async throws(OperationError) -> SignedIntent {
        let assertion = try Self.reading { () throws(PasskeyRefusal) in try PasskeyAssertion(answer) }
        let bytes = Base64.decodeURL(nonce) ?? []
        let used = try await renew(session, assertion, from: source) { tx in
            let nonce = try PasskeyNonce(bytes, .intent, for: session.id, at: tx.now, pepper: pepper)
            guard try !tx.execute(PasskeyQueries.answer(nonce)).isEmpty else { throw PasskeyRefusal.challengeUsed }
            let challenge = try PasskeyClientData(assertion.clientData).challenge
            guard challenge == SignedIntent.challenge(action, nonce: nonce.bytes) else {
                throw PasskeyRefusal.otherAction
            }
        }
        return SignedIntent(
            person: session.staffID, action: action, nonce: bytes,
            seed: action["decision"] == "request" ? intentSeed(nonce) : nil, factor: used.factor.id,
            key: used.credential.key,
            assertion: assertion)
    }

    public func registration(of factor: String) async throws(OperationError) -> String? {
        try await read { reader in
            try reader.first(PasskeyQueries.registration(of: factor))?.optionalString("id")
        }
    }

    // MARK: - A person's own passkeys

    public func creationOptions(_ session: SessionInfo, by caller: Caller) async throws(OperationError) -> JSON {
        try demandFreshFactor(caller)
        let site = try site()
        let nonce = try await nonce(.create, for: session.id)
        let passkeys = try await read { try Self.passkeys(of: session.staffID, $0) }
        return creationOptions(
            nonce, for: session.staffID, email: session.email, name: session.name, excluding: passkeys, at: site)
    }

    public func add(
        _ answer: JSON, named name: String, to session: SessionInfo, by caller: Caller
    ) async throws(OperationError) {
        try demandFreshFactor(caller)
        let label = try Self.label(name)
        let site = try site()
        let registration = try Self.reading { () throws(PasskeyRefusal) in try PasskeyRegistration(answer) }
        let source = Self.source(of: caller)
        try await answering { tx in
            try Self.caught {
                // Two at once meet here, so that both can't be the last one allowed.
                try demandLive(session, tx)
                try demandOwnFactor(caller, tx)
                try take(registration.clientData, .create, for: session.id, tx)
                guard try Self.passkeys(of: session.staffID, tx).count < Self.most else {
                    throw OperationError.conflict(
                        "You have \(Self.most) passkeys, which is the most. Remove one you no longer use.", legal: nil)
                }
                let created = try self.passkey(registration, label, of: session.staffID, at: site, tx)
                let event = record(
                    "passkey.add", of: session, with: [.webauthn], from: source, changes: [.create(created)],
                    facts: created.registered, class: .mutation, tx)
                notify(.passkeyAdded, session.staffID, of: event, tx)
            }
        }
    }

    /// A new factor from what an authenticator made, with the counter it starts from.
    private func passkey(
        _ registration: PasskeyRegistration, _ label: String, of staff: String, at site: PasskeySite, _ tx: any Writer
    ) throws -> Factor {
        let (credential, counter) = try PasskeyCeremony.register(registration, at: site, with: cryptography)
        guard try tx.first(PasskeyQueries.isTaken(credential.id)) == nil else {
            throw PasskeyRefusal.alreadyRegistered
        }
        let factor = Factor(
            id: Identifier.mint(Factor.idPrefix, at: tx.now), staffID: staff, kind: .webauthn, label: label,
            secret: credential.json.canonicalText, credential: Base64.encodeURL(credential.id), createdAt: tx.now)
        tx.enqueue(PasskeyQueries.use(factor: factor.id, counter: counter, at: tx.now))
        return factor
    }

    public func rename(
        _ id: String, to name: String, of session: SessionInfo, by caller: Caller
    ) async throws(OperationError) {
        let label = try Self.label(name)
        let source = Self.source(of: caller)
        try await write { tx in
            try demandLive(session, tx)
            let before = try Self.own(id, of: session, tx)
            guard before.label != label else { return }
            var after = before
            after.label = label
            after.version += 1
            record(
                "passkey.rename", of: session, from: source, changes: [.update(before, to: after)], class: .mutation, tx
            )
        }
    }

    public func remove(_ id: String, of session: SessionInfo, by caller: Caller) async throws(OperationError) {
        try demandFreshFactor(caller)
        let source = Self.source(of: caller)
        try await write { tx in
            // Two at once can't both take the last but one.
            try demandLive(session, tx)
            try demandOwnFactor(caller, tx)
            let before = try Self.own(id, of: session, tx)
            let others = try tx.query(Factor.active(of: session.staffID)).map(Factor.init).filter {
                $0.id != before.id && [.webauthn, .totp].contains($0.kind)
            }
            guard !others.isEmpty else {
                throw OperationError.conflict(
                    "This passkey is your only factor. Add another passkey or an authenticator app first.", legal: nil)
            }
            let event = record(
                "passkey.remove", of: session, from: source, changes: [Self.revoked(before)], class: .mutation, tx)
            notify(.passkeyRemoved, session.staffID, of: event, tx)
        }
    }

    public func count(of session: SessionInfo) async throws(OperationError) -> Int {
        try await read { try Self.passkeys(of: session.staffID, $0).count }
    }

    private static func own(_ id: String, of session: SessionInfo, _ tx: any Writer) throws -> Factor {
        guard let row = try tx.first(PasskeyQueries.own(id, of: session.staffID, tx.dialect)) else {
            throw OperationError.notFound("That passkey is not one of yours, or it was removed already.")
        }
        return try Factor(row)
    }

    private static func label(_ text: String) throws(OperationError) -> String {
        do throws(FieldError.Reason) {
            return try TextRule.line(1...60).check(text)
        } catch {
            throw .invalid([FieldError(pointer: "/name", detail: "The name \(error.text)")])
        }
    }

    // MARK: - Enrolment

    public func enrolmentOptions(token: String) async throws(OperationError) -> JSON {
        let site = try site()
        let hash = Enrolment.hash(token)
        let person = try await invited(hash).person
        return creationOptions(
            try await nonce(.enrol, for: hash.hex), for: person.id, email: person.email, name: person.name,
            excluding: [], at: site)
    }

    public func enrol(
        token: String, password: String, passkey answer: JSON, named name: String, from source: Source
    ) async throws(OperationError) -> (recoveryCodes: [String], session: NewSession) {
        let site = try site()
        let hash = Enrolment.hash(token)
        let person = try await invited(hash).person
        if let sentence = PasswordRules.refusal(password, email: person.email) {
            throw .invalid([FieldError(pointer: "/password", detail: "The password \(sentence)")])
        }
        let label = try Self.label(name.isEmpty ? "Passkey" : name)
        let registration = try Self.reading { () throws(PasskeyRefusal) in try PasskeyRegistration(answer) }
        // What can be refused is, before a password is hashed for it.
        _ = try Self.reading { () throws(PasskeyRefusal) in
            try PasskeyCeremony.register(registration, at: site, with: cryptography)
        }
        let encoded = try await hasher.hash(PasswordRules.normalise(password))
        let codes = RecoveryCode.generate()
        let session: NewSession = try await answering { tx in
            try Self.caught {
                try take(registration.clientData, .enrol, for: hash.hex, tx)
                return try complete(hash, of: person.id, password: encoded, codes, from: source, tx) { staff in
                    (try passkey(registration, label, of: staff, at: site, tx), .webauthn)
                }
            }
        }
        return (codes, session)
    }
}

extension Factor {
    /// The passkey this factor is.
    func passkey() throws -> PasskeyCredential {
        guard kind == .webauthn, let id = credential.flatMap(Base64.decodeURL), let json = try? JSON(parsing: secret)
        else { throw StoreError.shape(column: "credential") }
        return try PasskeyCredential(id: id, json)
    }

    /// What its registration says in clear: whose key it is stays provable when the person is erased. Nothing for other factors.
    var registered: [String: JSON] {
        guard let passkey = try? passkey() else { return [:] }
        return ["factor": .string(id), "key_sha256": .string(sha256(passkey.key.cose).hex)]
    }

    /// As browsers are told of it.
    var descriptor: JSON? {
        guard let credential, let json = try? JSON(parsing: secret) else { return nil }
        return ["type": "public-key", "id": .string(credential), "transports": json["transports"] ?? []]
    }
}
