import Kernel
import Synchronization

/// A sign-in with known people and codes, so that tests of the listeners decide who stands at the door.
///
/// The password is "right" and the code 123456; each challenge takes one code. Steps up with 654321.
final class TestDoor: SignIn {
    private struct Person {
        var caller: Caller
        var session: SessionInfo
    }

    private struct State {
        var sessions: [String: Person] = [:]
        var challenges: [String: String] = [:]
        var permissions: [String: [String]] = [:]
        var count = 0
        var uses = 0
    }

    private let state = Mutex(State())
    private let clock: Clock
    init(clock: Clock) { self.clock = clock }

    /// A session of somebody who holds exactly these permissions.
    func token(_ name: String, permissions: [String], factorAge: Span = .seconds(10)) -> String {
        let now = clock.now
        return state.withLock { state in
            state.permissions[name] = permissions
            return Self.open(name, permissions, mfaAt: now - factorAge, now, &state).token
        }
    }

    /// What somebody holds from now on, in the sessions they have.
    func permit(_ name: String, _ permissions: [String]) {
        state.withLock { state in
            state.permissions[name] = permissions
            for (token, person) in state.sessions where person.session.staffID == "stf_\(name)" {
                let known = person.caller
                state.sessions[token] = Person(
                    caller: Caller(
                        actor: known.actor, person: known.person, displayName: known.displayName, roles: known.roles,
                        permissions: Permissions(
                            Dictionary(uniqueKeysWithValues: permissions.map { ($0, [Limit]?.none) })),
                        authentication: known.authentication, client: known.client, requestID: ""),
                    session: person.session)
            }
        }
    }

    /// How often a session was used.
    var uses: Int { state.withLock { $0.uses } }

    /// Ends every session, as if their time were over.
    func endAll() { state.withLock { $0.sessions = [:] } }

    private static func open(
        _ name: String, _ permissions: [String], mfaAt: Instant, _ now: Instant, _ state: inout State
    ) -> NewSession {
        state.count += 1
        let token = "pst_\(name)_\(state.count)"
        let info = SessionInfo(
            id: "ses_\(name)_\(state.count)", staffID: "stf_\(name)", email: "\(name)@example.test", name: name,
            mfaAt: mfaAt,
            createdAt: now, expiresAt: now + .hours(8), lastSeenAt: now, csrfToken: "csrf_\(name)_\(state.count)")
        let caller = Caller(
            actor: Actor(.staff, "stf_\(name)"), person: "stf_\(name)", displayName: name, roles: ["tester"],
            permissions: Permissions(Dictionary(uniqueKeysWithValues: permissions.map { ($0, [Limit]?.none) })),
            authentication: Authentication(session: info.id, factors: [.password, .totp], mfaAt: mfaAt, readAt: now),
            client: .api,
            requestID: "")
        state.sessions[token] = Person(caller: caller, session: info)
        return NewSession(token: token, info: info)
    }

    func endOthers(than session: SessionInfo, from source: Source) async throws(OperationError) {
        state.withLock { state in
            state.sessions = state.sessions.filter {
                $0.value.session.staffID != session.staffID || $0.value.session.id == session.id
            }
        }
    }

    func authenticate(token: String, from source: Source) async throws(OperationError) -> (Caller, SessionInfo) {
        state.withLock { $0.uses += 1 }
        return try await recognise(token: token, from: source)
    }

    func recognise(token: String, from source: Source) async throws(OperationError) -> (Caller, SessionInfo) {
        guard let person = state.withLock({ $0.sessions[token] }) else { throw .unauthenticated }
        let known = person.caller
        let caller = Caller(
            actor: known.actor, person: known.person, displayName: known.displayName, roles: known.roles,
            permissions: known.permissions, authentication: known.authentication, client: source.client, ip: source.ip,
            userAgent: source.userAgent, requestID: source.requestID)
        return (caller, person.session)
    }

    func begin(
        email: String, password: String, from source: Source
    ) async throws(OperationError) -> (challenge: String, factors: [FactorKind]) {
        let name = password == "right" ? String(email.prefix { $0 != "@" }) : ""
        let challenge = state.withLock { state in
            state.count += 1
            state.challenges["chl_\(state.count)"] = name
            return "chl_\(state.count)"
        }
        return (challenge, [.totp, .recovery])
    }

    func finish(challenge: String, totp code: String, from source: Source) async throws(OperationError) -> NewSession {
        let now = clock.now
        let session = state.withLock { state -> NewSession? in
            guard code == "123456", let name = state.challenges[challenge], !name.isEmpty else { return nil }
            state.challenges[challenge] = nil
            return Self.open(name, state.permissions[name] ?? [], mfaAt: now, now, &state)
        }
        guard let session else { throw .unauthenticated }
        return session
    }

    func finish(challenge: String, recovery code: String, from source: Source) async throws(OperationError)
        -> NewSession
    {
        try await finish(challenge: challenge, totp: code == "recovery" ? "123456" : "", from: source)
    }

    func stepUp(_ session: SessionInfo, code: String, from source: Source) async throws(OperationError) {
        guard code == "654321" else { throw .unauthenticated }
        let now = clock.now
        state.withLock { state in
            for (token, person) in state.sessions where person.session.id == session.id {
                let old = person.session
                let fresh = SessionInfo(
                    id: old.id, staffID: old.staffID, email: old.email, name: old.name, mfaAt: now,
                    createdAt: old.createdAt,
                    expiresAt: old.expiresAt, lastSeenAt: now, csrfToken: old.csrfToken)
                let known = person.caller
                state.sessions[token] = Person(
                    caller: Caller(
                        actor: known.actor, person: known.person, displayName: known.displayName, roles: known.roles,
                        permissions: known.permissions,
                        authentication: Authentication(
                            session: old.id, factors: [.password, .totp], mfaAt: now, readAt: now),
                        client: known.client, requestID: ""), session: fresh)
            }
        }
    }

    func end(_ session: SessionInfo, from source: Source) async throws(OperationError) {
        state.withLock { state in state.sessions = state.sessions.filter { $0.value.session.id != session.id } }
    }

    func end(sessionID: String, of session: SessionInfo, from source: Source) async throws(OperationError) {
        state.withLock { state in
            state.sessions = state.sessions.filter {
                $0.value.session.id != sessionID || $0.value.session.staffID != session.staffID
            }
        }
    }

    func enrolmentOffer(token: String) async throws(OperationError) -> EnrolmentOffer {
        guard token == "enr_new" else { throw .notFound("This link is unknown, used or over.") }
        return EnrolmentOffer(
            staffID: "stf_new", email: "new@example.test", name: "New", totpSecret: "SECRET\(nextNumber())",
            totpURI: "otpauth://totp/new", sealedSecret: "sealed")
    }

    func enrol(
        token: String, password: String, sealedSecret: String, code: String, from source: Source
    ) async throws(OperationError) -> (recoveryCodes: [String], session: NewSession) {
        guard code == "123456" else {
            throw .invalid([FieldError(pointer: "/code", detail: "The code does not fit the secret.")])
        }
        let now = clock.now
        return (["one", "two"], state.withLock { Self.open("new", [], mfaAt: now, now, &$0) })
    }

    func renewRecoveryCodes(_ session: SessionInfo, by caller: Caller) async throws(OperationError) -> [String] {
        ["one"]
    }
    func authenticatorOffer(_ session: SessionInfo, by caller: Caller) async throws(OperationError) -> EnrolmentOffer {
        throw .unauthenticated
    }
    func setAuthenticator(
        _ sealedSecret: String, code: String, of session: SessionInfo, by caller: Caller
    ) async throws(OperationError) {}
    func removeAuthenticator(of session: SessionInfo, by caller: Caller) async throws(OperationError) {}
    func changePassword(
        _ session: SessionInfo, by caller: Caller, old: String, new: String
    ) async throws(OperationError) {}

    private func nextNumber() -> Int {
        state.withLock { state in
            state.count += 1
            return state.count
        }
    }
}

/// A log with one checkpoint and one tile.
final class TestLog: TransparencyLog {
    private let asked = Mutex<[(filter: EventFilter, format: ExportFormat)]>([])
    /// What was exported.
    var filters: [EventFilter] { asked.withLock { $0.map(\.filter) } }
    var formats: [ExportFormat] { asked.withLock { $0.map(\.format) } }
    /// An export goes on until its reader goes away.
    let isEndless = Mutex(false)
    /// The bytes of each piece of an endless export.
    let pieceBytes = Mutex(1 << 16)

    var verifierKey: String { "test+00000000+AAAA" }
    func checkpoint() async throws(OperationError) -> String? { "postern.test/log\n1\nAAAA\n\n— test AAAA\n" }
    func tile(level: Int, index: Int64, width: Int?) async throws(OperationError) -> [UInt8]? {
        level == 0 && index == 0 && width == 1 ? [UInt8](repeating: 7, count: 32) : nil
    }
    func entries(index: Int64, width: Int?) async throws(OperationError) -> EntryBundle? {
        index == 0 ? .leaves([0, 2, 0x7B, 0x7D]) : nil
    }
    func receipt(event id: String, wait: Span) async throws(OperationError) -> JSON {
        // Whether there is such an event was looked up before.
        ["event": .string(id)]
    }
    func export(
        _ filter: EventFilter, as format: ExportFormat,
        sink: @escaping @Sendable ([UInt8], Int64) async throws -> Void
    ) async throws(OperationError) {
        asked.withLock { $0.append((filter, format)) }
        do {
            let bytes = pieceBytes.withLock { $0 }
            while isEndless.withLock({ $0 }) { try await sink([UInt8](repeating: 0x2E, count: bytes), 1) }
            for number in 0..<2000 { try await sink(Array("{\"index\":\(number)}\n".utf8), 1) }
        } catch {
            throw .unavailable("the reader went away")
        }
    }
}
