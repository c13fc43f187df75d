import Crypto
import Foundation
import Kernel

// Signing in by an identity provider (spec: access §5; OpenID Connect Core 1.0).
extension StaffSignIn: SingleSignOn {
    public var provider: String? { settings.provider?.client.name }
    public var isProviderRequired: Bool { settings.provider?.isRequired ?? false }

    /// How long the way to the provider and back may take.
    static let providerTime = Span.minutes(10)
    /// How many ways one network may have open at once. An office has one address, and ways that nobody ends stay open.
    static let mostProviderRequests: Int64 = 500
    /// Of events of a sign-in by the provider.
    static let byProvider: [String: JSON] = ["method": "oidc"]

    private enum Purpose: String {
        case signIn = "sign_in"
        case link
    }

    private func demandProvider() throws(OperationError) -> StaffProvider {
        guard let provider = settings.provider else { throw .notFound("Nobody vouches for staff here.") }
        return provider
    }

    /// Refuses password and passkey where only the provider lets people in.
    func demandOtherWays() throws(OperationError) {
        guard let provider = settings.provider, provider.isRequired else { return }
        throw .conflict(
            "Here people sign in through \(provider.client.name) alone. Use its button on the sign-in page; a command line "
                + "signs in with: postern login", legal: nil)
    }

    // MARK: - The way there

    public func startAtProvider(
        visitor: String, next: String?, from source: Source
    ) async throws(OperationError) -> String {
        try await start(.signIn, session: nil, visitor: visitor, next: next, from: source)
    }

    public func startLinking(
        _ session: SessionInfo, by caller: Caller, visitor: String
    ) async throws(OperationError) -> String {
        try demandFreshFactor(caller)
        let provider = try demandProvider()
        let has = try await read { reader in
            try Self.links(of: session.staffID, at: provider.client.issuer, reader).isEmpty == false
        }
        guard !has else {
            throw .conflict(
                "Your account is linked to \(provider.client.name) already. Unlink it first to link another.",
                legal: nil)
        }
        return try await start(.link, session: session.id, visitor: visitor, next: nil, from: Self.source(of: caller))
    }

    private func start(
        _ purpose: Purpose, session: String?, visitor: String, next: String?, from source: Source
    ) async throws(OperationError) -> String {
        let provider = try demandProvider()
        let state = Base64.encodeURL(SecureRandom.bytes(32))
        let question = question(state, provider)
        let address: String
        do throws(ProviderRefusal) {
            address = try await provider.client.address(of: question)
        } catch {
            try await write { tx in recordRefusal(error.word, of: nil, from: source, tx) }
            throw .unavailable(meanwhile(error, provider))
        }
        let network = NetworkPrefix.of(source.ip)
        let key = "source|\(network)"
        let wait: Span? = try await write { tx in
            let now = tx.now
            if let entry = try Self.entries(tx.query(SignInQueries.throttle([key])))[key], now < entry.blockedUntil {
                return entry.blockedUntil - now
            }
            let open = try tx.first(ProviderQueries.countRequests(source: network, at: now))?.int("count") ?? 0
            guard open < Self.mostProviderRequests else { return .minutes(1) }
            tx.enqueue(
                ProviderQueries.insertRequest(
                    stateHash: Self.hash(state), visitorHash: Self.hash(visitor), purpose: purpose.rawValue,
                    session: session, next: next, source: network, at: now, expires: now + Self.providerTime))
            return nil
        }
        if let wait { throw .wait(wait) }
        return address
    }

    /// Nonce and verifier are made of the state, under a key of the server's: nothing secret is stored.
    private func question(_ state: String, _ provider: StaffProvider) -> ProviderQuestion {
        func derived(_ what: String) -> String {
            Base64.encodeURL(
                HMAC<SHA256>.authenticationCode(
                    for: Array("oidc \(what):\(state)".utf8), using: SymmetricKey(data: pepper)))
        }
        return ProviderQuestion(
            state: state, nonce: derived("nonce"), verifier: derived("verifier"), redirect: provider.redirect)
    }

    /// What is wrong, and what still works.
    private func meanwhile(_ refusal: ProviderRefusal, _ provider: StaffProvider) -> String {
        guard refusal.isOutage else { return refusal.sentence }
        return refusal.sentence
            + (provider.isRequired
                ? " Try again in a moment; whoever runs this server can let people in by password meanwhile."
                : " Sign in with your password or a passkey meanwhile, or try again in a moment.")
    }

    // MARK: - The way back

    public func finishAtProvider(
        _ answer: ProviderAnswer, visitor: String, session: SessionInfo?, from source: Source
    ) async throws(OperationError) -> ProviderOutcome {
        let provider = try demandProvider()
        let name = provider.client.name
        guard let begun = try await take(answer.state, visitor: visitor, from: source) else {
            return .refused(
                "This sign-in was begun in another browser, took longer than 10 minutes, or was used already. Begin again.",
                forLink: false, next: nil)
        }
        let isLink = begun.purpose == .link
        func refused(
            _ word: String, _ sentence: String, of staff: String? = nil
        ) async throws(OperationError) -> ProviderOutcome {
            try await write { tx in
                recordRefusal(word, of: staff ?? (isLink ? session?.staffID : nil), from: source, tx)
            }
            return .refused(sentence, forLink: isLink, next: begun.next)
        }
        if isLink, session == nil || session?.id != begun.session {
            return try await refused(
                "other_session",
                "The session in which you began to link your account has ended. Begin again under My security.")
        }
        let identity: ProviderIdentity
        do throws(ProviderRefusal) {
            identity = try await provider.client.identity(from: answer, to: question(answer.state, provider))
        } catch {
            return try await refused(error.word, meanwhile(error, provider))
        }
        guard isLink || provider.domains.isEmpty || Self.domain(of: identity).map(provider.domains.contains) == true
        else {
            return try await refused(
                "domain", "\(name) knows you by an address that may not sign in here. Use the account of your company.")
        }
        if isLink, let session { return try await link(identity, to: session, provider, from: source) }
        return try await arrive(identity, provider, next: begun.next, from: source)
    }

    private static func domain(of identity: ProviderIdentity) -> String? {
        guard let email = identity.email, let at = email.lastIndex(of: "@") else { return nil }
        return String(email[email.index(after: at)...]).lowercased()
    }

    private struct Begun: Sendable {
        let purpose: Purpose
        let session: String?
        let next: String?
    }

    /// The way that was begun with this state in this browser, once. What fits none is counted against its source.
    private func take(
        _ state: String, visitor: String, from source: Source
    ) async throws(OperationError) -> Begun? {
        let origin = Throttle.Origin(account: "-", source: NetworkPrefix.of(source.ip))
        let key = "source|\(origin.source)"
        enum Taken: Sendable {
            case begun(Begun)
            case unknown
            case wait(Span)
        }
        let taken: Taken = try await write { tx in
            let now = tx.now
            try tx.lock(origin.locks.sorted())
            let entry = try Self.entries(tx.query(SignInQueries.throttle([key])))[key]
            if let entry, now < entry.blockedUntil { return .wait(entry.blockedUntil - now) }
            let rows = try tx.execute(
                ProviderQueries.takeRequest(
                    stateHash: Self.hash(state), visitorHash: Self.hash(visitor), at: now))
            guard let row = rows.first, let purpose = Purpose(rawValue: try row.string("purpose")) else {
                tx.enqueue(SignInQueries.setThrottle(key, Throttle.count(entry, on: Throttle.source, at: now)))
                fold(.failed, 1, origin, nil, tx)
                return .unknown
            }
            return .begun(
                Begun(
                    purpose: purpose, session: try row.optionalString("session_id"),
                    next: try row.optionalString("next")))
        }
        switch taken {
        case .begun(let begun): return begun
        case .unknown: return nil
        case .wait(let span): throw .wait(span)
        }
    }

    /// Somebody whom the provider knows. Who is linked comes in, after a factor of Postern's own where the provider did not
    /// ask for one. Who is not is found by the verified address and always shows one: that ties both accounts together.
    private func arrive(
        _ identity: ProviderIdentity, _ provider: StaffProvider, next: String?, from source: Source
    ) async throws(OperationError) -> ProviderOutcome {
        let name = provider.client.name
        let roles = identity.claimed.flatMap { provider.roles?.roles(of: $0) }
        let outcome: ProviderOutcome = try await write { tx in
            func refuse(_ word: String, _ sentence: String, of staff: String? = nil) -> ProviderOutcome {
                recordRefusal(word, of: staff, from: source, tx)
                return .refused(sentence, forLink: false, next: next)
            }
            let known = Voucher(identity, links: false, roles: roles)
            if let row = try tx.first(ProviderQueries.link(known.subject)) {
                let link = try Factor(row)
                // Again under the person's lock: what ends factors holds it.
                guard let staff = try Staff.load(link.staffID, lock: true, from: tx),
                    try tx.first(ProviderQueries.link(known.subject)) != nil
                else { return refuse("link_ended", "The link to your account was taken away just now. Begin again.") }
                guard staff.status == .active else {
                    return refuse("not_active", Self.nobody(name), of: staff.id)
                }
                guard identity.usedSecondFactor else {
                    return try challenge(staff, known, links: false, next: next, from: source, tx)
                }
                let isFromNewNetwork = try isNewNetwork(source.ip, of: staff.id, tx)
                // Without a time it is as old as it may be: whatever is of high risk asks again.
                let provedAt = identity.authenticatedAt ?? tx.now - .hours(8)
                let opened = try open(staff, [.oidc], mfaAt: provedAt, from: source, tx)
                try arrive(opened, by: known, from: source, tx)
                let event = record(
                    "signin.succeeded", of: opened.info, with: [.oidc], from: source,
                    facts: Self.byProvider.merging(["factor": .string(link.id)]) { $1 }, tx)
                if isFromNewNetwork { notify(.newNetwork, staff.id, of: event, tx) }
                return .session(opened, next: next)
            }
            let address = identity.email?.precomposedStringWithCanonicalMapping.lowercased() ?? ""
            guard !address.isEmpty, identity.isEmailVerified else {
                return refuse(
                    "address_unverified",
                    "\(name) does not say that your e-mail address is verified, so it can’t tell who you are here. "
                        + "Sign in with your password or a passkey, and link your account under My security.")
            }
            guard let staff = try tx.first(Staff.withEmail(address)).map(Staff.init), staff.status == .active else {
                return refuse("unknown", Self.nobody(name))
            }
            guard try Self.links(of: staff.id, at: identity.issuer, tx).isEmpty else {
                return refuse(
                    "other_account",
                    "Your account here is linked to another account at \(name). Sign in in another way and unlink it under "
                        + "My security first.", of: staff.id)
            }
            return try challenge(
                staff, Voucher(identity, links: true, roles: roles), links: true, next: next, from: source, tx)
        }
        if case .session(let opened, _) = outcome { try await settle(roles, of: opened, from: source) }
        return outcome
    }

    /// Gives and takes what the claims of whoever signed in say, before their browser has the session: no request of it is with
    /// more than they hold by now.
    func settle(_ roles: Set<String>?, of opened: NewSession, from source: Source) async throws(OperationError) {
        guard let roles, let claimed = settings.provider?.roles else { return }
        try await claimed.settle(opened.info.staffID, roles, from: source)
    }

    /// The same for who was never here, is not enrolled yet and has left: the provider vouches for them, nothing more.
    private static func nobody(_ name: String) -> String {
        "\(name) knows you, but no active account here has your address. Ask whoever invites staff."
    }

    /// A second step with a factor of Postern's own. It is counted before a code is seen, as a password is, so that nobody
    /// collects steps to guess at later. Failing with codes before holds it back.
    private func challenge(
        _ staff: Staff, _ voucher: Voucher, links: Bool, next: String?, from source: Source, _ tx: any Writer
    ) throws -> ProviderOutcome {
        let now = tx.now
        let origin = Throttle.Origin(email: staff.email, ip: source.ip, pepper: pepper)
        try tx.lock(origin.locks.sorted())
        let entries = try Self.entries(tx.query(SignInQueries.throttle(origin.rungs.map(\.key))))
        if let until = try blocking(origin, entries, of: staff, from: source, tx), now < until {
            fold(.throttled, 1, origin, staff.id, tx)
            return .refused(
                "Too many codes were wrong. Try again in \((until - now).seconds + 1) seconds.", forLink: false,
                next: next)
        }
        for attempt in Self.attempts(origin.rungs, entries, at: now) { tx.enqueue(attempt.statement) }
        let token = "chl_" + Base64.encodeURL(SecureRandom.bytes(32))
        let hash = Self.hash(token)
        tx.enqueue(
            SignInQueries.insertChallenge(
                tokenHash: hash, staff: staff.id, origin: origin.text(staff.id), client: source.client,
                provider: masterKey.seal(voucher.json.canonical, context: Self.challengeContext(hash)), at: now,
                expires: now + settings.challengeLength))
        return .challenge(token, links: links, next: next)
    }

    /// Until when codes of a person are not looked at.
    /// - Parameter begun: when the second step began. What was counted up to then, it among them, has let it begin.
    private func blocking(
        _ origin: Throttle.Origin, _ entries: [String: Throttle.Entry], since begun: Instant? = nil, of staff: Staff,
        from source: Source, _ tx: any Writer
    ) throws -> Instant? {
        let isKnown = try !tx.query(
            SignInQueries.knownSource(email: staff.email, ip: source.ip, since: tx.now - .days(30))
        ).isEmpty
        return origin.rungs.filter { !(isKnown && $0.key.hasPrefix("account|")) }.compactMap { entries[$0.key] }
            .filter { entry in begun.map { $0 < entry.updatedAt } ?? true }.map(\.blockedUntil).max()
    }

    private static func challengeContext(_ hash: [UInt8]) -> String { "challenge:\(hash.hex)" }

    // MARK: - The second step

    /// What the provider said before this challenge; `nil` where a password came first.
    func voucher(in row: Row, of hash: [UInt8]) throws -> Voucher? {
        guard let sealed = try row.optionalString("provider"),
            let bytes = masterKey.open(sealed, context: Self.challengeContext(hash)),
            let json = try? JSON(parsing: bytes)
        else { return nil }
        return Voucher(json)
    }

    /// How long a second step after the provider has to wait; `nil` when its code may be looked at.
    func pause(
        for challenge: Row, _ origin: Throttle.Origin, of staff: Staff, from source: Source, _ tx: any Writer
    ) throws -> Span? {
        let entries = try Self.entries(tx.query(SignInQueries.throttle(origin.rungs.map(\.key))))
        let begun = try challenge.instant("created_at")
        guard let until = try blocking(origin, entries, since: begun, of: staff, from: source, tx), tx.now < until
        else { return nil }
        return until - tx.now
    }

    /// Why what the provider said when the way began lets nobody in any more: the link was taken away, or two accounts can't be
    /// tied together that could be then.
    func linkRefusal(
        _ voucher: Voucher, _ staff: Staff, _ tx: any Writer
    ) throws -> (word: String, sentence: String)? {
        guard let link = voucher.links else {
            guard let row = try tx.first(ProviderQueries.link(voucher.subject)), try Factor(row).staffID == staff.id
            else { return ("link_ended", "The link to your account was taken away just now. Begin again.") }
            return nil
        }
        try tx.lock(["provider:\(voucher.subject)"])
        guard try tx.first(ProviderQueries.link(voucher.subject)) == nil else {
            return ("linked_elsewhere", "That account is linked to somebody here already. Begin again.")
        }
        guard try Self.links(of: staff.id, at: link.issuer, tx).isEmpty else {
            return ("other_account", "Your account here was linked to another account meanwhile. Begin again.")
        }
        return nil
    }

    /// Remembers which session of the provider's this one came from, and the link if it is new.
    func arrive(_ opened: NewSession, by voucher: Voucher, from source: Source, _ tx: any Writer) throws {
        keep(voucher, for: opened, tx)
        guard let link = voucher.links, let provider = settings.provider else { return }
        let factor = Factor(
            linking: voucher, link, to: opened.info.staffID, named: provider.client.name, at: tx.now)
        recordLink(factor, of: opened.info, from: source, tx)
    }

    private func recordLink(_ factor: Factor, of session: SessionInfo, from source: Source, _ tx: any Writer) {
        let event = record(
            "oidc.link", of: session, with: [.oidc], from: source, changes: [.create(factor)], facts: Self.byProvider,
            class: .mutation, tx)
        notify(.providerLinked, session.staffID, of: event, tx)
    }

    func keep(_ voucher: Voucher, for opened: NewSession, _ tx: any Writer) {
        let session = opened.info
        tx.enqueue(
            ProviderQueries.insertSession(
                session.id, subject: voucher.subject, sid: voucher.sid,
                token: masterKey.seal(Array(voucher.token.utf8), context: Self.sessionContext(session.id)),
                expires: session.expiresAt))
    }

    /// What the provider said of a session, for another one that comes from it.
    func kept(of session: String, _ reader: any Reader) throws -> Voucher? {
        guard let row = try reader.first(ProviderQueries.session(session)) else { return nil }
        let token = masterKey.open(try row.string("token"), context: Self.sessionContext(session)) ?? []
        return Voucher(
            subject: try row.string("subject"), sid: try row.optionalString("sid"),
            token: String(decoding: token, as: UTF8.self))
    }

    private static func sessionContext(_ session: String) -> String { "provider_session:\(session)" }

    public func finish(
        challenge: String, passkey answer: JSON, visitor: String, from source: Source
    ) async throws(OperationError) -> NewSession {
        let site = try site()
        let assertion = try Self.reading { () throws(PasskeyRefusal) in try PasskeyAssertion(answer) }
        return try await finish(challenge, from: source) { staff, tx in
            guard let staff else { return nil }
            do {
                try take(assertion.clientData, .signIn, for: visitor, tx)
                _ = try use(assertion, of: staff.id, at: site, from: source, tx)
                return Second(kind: .webauthn, changes: [])
            } catch is PasskeyRefusal {
                return nil
            }
        }
    }

    // MARK: - Links

    /// A person's links at one provider.
    static func links(of staff: String, at issuer: String, _ reader: any Reader) throws -> [Factor] {
        try reader.query(Factor.active(of: staff)).map(Factor.init).filter { $0.providerAccount?.issuer == issuer }
    }

    private func link(
        _ identity: ProviderIdentity, to session: SessionInfo, _ provider: StaffProvider, from source: Source
    ) async throws(OperationError) -> ProviderOutcome {
        try await write { tx in
            try demandLive(session, tx)
            let voucher = Voucher(identity, links: true)
            guard let link = voucher.links, let staff = try Staff.load(session.staffID, from: tx) else {
                throw OperationError.unauthenticated
            }
            if let refusal = try linkRefusal(voucher, staff, tx) {
                recordRefusal(refusal.word, of: staff.id, from: source, tx)
                return .refused(refusal.sentence, forLink: true, next: nil)
            }
            let factor = Factor(linking: voucher, link, to: staff.id, named: provider.client.name, at: tx.now)
            recordLink(factor, of: session, from: source, tx)
            return .linked
        }
    }

    public func unlink(_ factor: String, of session: SessionInfo, by caller: Caller) async throws(OperationError) {
        try demandFreshFactor(caller)
        let source = Self.source(of: caller)
        try await write { tx in
            try demandLive(session, tx)
            guard let row = try tx.first(ProviderQueries.own(factor, of: session.staffID, tx.dialect)) else {
                throw OperationError.notFound("That link is not one of yours, or it was taken away already.")
            }
            let before = try Factor(row)
            let ended = try tx.execute(
                ProviderQueries.end(subject: before.credential ?? "", besides: session.id, at: tx.now))
            let event = record(
                "oidc.unlink", of: session, from: source, changes: [Self.revoked(before)],
                facts: Self.byProvider.merging(["sessions_ended": .int(Int64(ended.count))]) { $1 }, class: .mutation,
                tx)
            notify(.providerUnlinked, session.staffID, of: event, tx)
        }
    }

    // MARK: - Ending

    public func farewell(_ session: SessionInfo) async -> String? {
        guard let provider = settings.provider,
            let voucher = try? await read({ try kept(of: session.id, $0) }), !voucher.token.isEmpty
        else { return nil }
        return await provider.client.farewell(to: voucher.token, returningTo: provider.farewell)
    }

    public func endByProvider(_ token: String, from source: Source) async throws(OperationError) {
        let provider = try demandProvider()
        let logout: ProviderLogout
        do throws(ProviderRefusal) {
            logout = try await provider.client.logout(token)
        } catch {
            // Anybody may send something here: counted, not recorded one by one.
            let origin = Throttle.Origin(account: "-", source: NetworkPrefix.of(source.ip))
            try await write { tx in fold(.failed, 1, origin, nil, tx) }
            throw .invalid([FieldError(pointer: "/logout_token", detail: error.sentence)])
        }
        let isNew: Bool = try await write { tx in
            let now = tx.now
            let id = Array("\(logout.issuer)\0\(logout.id)".utf8)
            guard try !tx.execute(ProviderQueries.takeToken(sha256(id), expires: logout.expiresAt)).isEmpty else {
                return false
            }
            let subject = Voucher.digest("sub", logout.issuer, logout.subject ?? "")
            let ended = try tx.execute(
                logout.session.map {
                    ProviderQueries.end(sid: Voucher.digest("sid", logout.issuer, $0), subject: subject, at: now)
                } ?? ProviderQueries.end(subject: subject, at: now))
            let people = Dictionary(grouping: try ended.map { try $0.string("staff_id") }) { $0 }
            for (staff, sessions) in people.sorted(by: { $0.key < $1.key }) {
                var draft = EventDraft(at: now, .authn, "oidc.logout", actor: .system("signin"))
                draft.target = (Staff.type, staff)
                draft.requestID = source.requestID
                draft.facts = Self.byProvider.merging(["sessions_ended": .int(Int64(sessions.count))]) { $1 }
                tx.enqueue(records.insert(SealedEvent(draft)))
            }
            return true
        }
        guard isNew else {
            throw .invalid([FieldError(pointer: "/logout_token", detail: "This token was used already.")])
        }
    }

    // MARK: - Events

    /// Somebody came from the provider and was not let in.
    func recordRefusal(_ word: String, of staff: String?, from source: Source, _ tx: any Writer) {
        var draft = EventDraft(at: tx.now, .authn, "oidc.refused", .denied, actor: .system("signin"))
        draft.target = staff.map { (Staff.type, $0) }
        draft.client = source.client
        draft.requestID = source.requestID
        draft.facts = Self.byProvider.merging(["refusal": .string(word)]) { $1 }
        draft.sealed["details"] = .init(
            ["source": .string(NetworkPrefix.of(source.ip))], subjects: staff.map { [$0] } ?? [])
        tx.enqueue(records.insert(SealedEvent(draft)))
    }
}
