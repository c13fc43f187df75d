import Crypto
import Foundation
import Kernel

// Signing in a command line by a browser (RFC 8628).
extension StaffSignIn: DeviceSignIn {
    /// How long a machine may wait for somebody.
    static let deviceTime = Span.minutes(10)
    /// How many machines of one network may wait at once.
    static let mostDevices: Int64 = 20
    static let byDevice: [String: JSON] = ["method": "device"]

    // MARK: - Codes

    /// Letters that are not taken for one another and make no words (RFC 8628 §6.1).
    static let codeLetters = Array("BCDFGHJKLMNPQRSTVWXZ".utf8)
    static let codeLength = 8

    /// 34 bits, and throttled by person: nobody guesses one in ten minutes.
    static func newCode() -> String {
        var letters: [UInt8] = []
        while letters.count < codeLength {
            // 240 is a multiple of 20: each letter is as likely as another.
            for byte in SecureRandom.bytes(16) where byte < 240 && letters.count < codeLength {
                letters.append(codeLetters[Int(byte) % codeLetters.count])
            }
        }
        return String(decoding: letters, as: UTF8.self)
    }

    static func shown(_ code: String) -> String { "\(code.prefix(4))-\(code.suffix(4))" }

    /// A code as people type it; `nil` when it can't be one.
    static func code(typed text: String) -> String? {
        let letters = text.uppercased().utf8.filter { ![UInt8(ascii: "-"), UInt8(ascii: " ")].contains($0) }
        guard letters.count == codeLength, letters.allSatisfy({ codeLetters.contains($0) }) else { return nil }
        return String(decoding: letters, as: UTF8.self)
    }

    private func codeHash(_ code: String) -> [UInt8] {
        Array(
            HMAC<SHA256>.authenticationCode(for: Array("device:\(code)".utf8), using: SymmetricKey(data: pepper)))
    }

    // MARK: - The machine

    public func beginDevice(machine: String, from source: Source) async throws(OperationError) -> DeviceInvitation {
        let name: String
        do throws(FieldError.Reason) {
            name = try TextRule.line(1...60).check(machine)
        } catch {
            throw .invalid([FieldError(pointer: "/machine", detail: "The machine’s name \(error.text)")])
        }
        let device = "dvs_" + Base64.encodeURL(SecureRandom.bytes(32))
        let code = Self.newCode()
        let network = NetworkPrefix.of(source.ip)
        let interval = settings.deviceInterval
        let expires: Instant? = try await write { tx in
            let now = tx.now
            try tx.lock(["signin:source:\(network)"])
            let waiting = try tx.first(DeviceQueries.count(network: network, at: now))?.int("count") ?? 0
            guard waiting < Self.mostDevices else { return nil }
            tx.enqueue(
                DeviceQueries.insert(
                    id: Identifier.mint("dvc", at: now), deviceHash: Self.hash(device), codeHash: codeHash(code),
                    machine: name, source: source, network: network, wait: interval, at: now,
                    expires: now + Self.deviceTime))
            return now + Self.deviceTime
        }
        guard let expires else { throw .tooManyRequests(retryAfter: .minutes(1)) }
        return DeviceInvitation(
            device: device, code: Self.shown(code), expiresAt: expires, lasts: Self.deviceTime, interval: interval)
    }

    public func redeem(device: String, from source: Source) async throws(OperationError) -> DeviceAnswer {
        let hash = Self.hash(device)
        return try await write { tx in
            let now = tx.now
            guard let row = try tx.first(DeviceQueries.byDevice(hash, tx.dialect)),
                case let id = try row.string("id"), now < (try row.instant("expires_at"))
            else { return .expired }
            switch try row.string("state") {
            case "pending":
                var wait = try row.int("wait_seconds")
                // A little early is no offence: the way here takes its time.
                let isEarly = try row.optionalInstant("polled_at").map {
                    (now - $0).microseconds < wait * 1_000_000 - 500_000
                }
                if isEarly == true { wait = min(wait + 5, 60) }
                tx.enqueue(DeviceQueries.poll(id, wait: wait, at: now))
                return isEarly == true ? .slowDown(interval: .seconds(wait)) : .pending(interval: .seconds(wait))
            case "approved":
                tx.enqueue(DeviceQueries.delete(id))
                return try enter(row, from: source, tx).map(DeviceAnswer.session) ?? .denied
            default:
                tx.enqueue(DeviceQueries.delete(id))
                return .denied
            }
        }
    }

    /// Opens the session that was agreed to, with the factors of the session it was agreed to in. `nil` when that one has ended,
    /// the person may not come in any more, or another machine shows the secret.
    private func enter(_ row: Row, from source: Source, _ tx: any Writer) throws -> NewSession? {
        guard let approver = try row.optionalString("session_id"), let person = try row.optionalString("staff_id"),
            let staff = try Staff.load(person, lock: true, from: tx), staff.status == .active,
            let proof = try tx.first(DeviceQueries.proof(session: approver, of: staff.id, at: tx.now)),
            isSameNetwork(try row.string("ip"), source.ip)
        else { return nil }
        let factors = try proof.json("factors").array?.compactMap { $0.string.flatMap(FactorKind.init) } ?? []
        let opened = try open(staff, factors, mfaAt: try proof.instant("mfa_at"), from: source, tx)
        // What ends that one at the provider ends this one.
        if let voucher = try kept(of: approver, tx) { keep(voucher, for: opened, tx) }
        let event = record(
            "signin.succeeded", of: opened.info, from: source,
            facts: Self.byDevice.merging(["approved_in": .string(approver)]) { $1 },
            details: ["machine": .string(try row.string("machine"))], tx)
        notify(.commandLine, staff.id, of: event, tx)
        return opened
    }

    // MARK: - The person

    public func device(
        code: String, for session: SessionInfo, from source: Source
    ) async throws(OperationError) -> WaitingDevice {
        try await finding(code, for: session, from: source) { row, shown, _ in
            try waiting(row, shown, from: source)
        }
    }

    private func waiting(_ row: Row, _ code: String, from source: Source) throws -> WaitingDevice {
        let ip = try row.string("ip")
        return WaitingDevice(
            code: code, machine: try row.string("machine"), client: try row.string("client"), ip: ip,
            askedAt: try row.instant("created_at"), expiresAt: try row.instant("expires_at"),
            isElsewhere: NetworkPrefix.of(ip, v4: 24, v6: 48) != NetworkPrefix.of(source.ip, v4: 24, v6: 48))
    }

    public func approveDevice(
        code: String, for session: SessionInfo, by caller: Caller
    ) async throws(OperationError) {
        try demandFreshFactor(caller)
        try await decide(code, isApproved: true, session, caller)
    }

    public func denyDevice(code: String, for session: SessionInfo, by caller: Caller) async throws(OperationError) {
        try await decide(code, isApproved: false, session, caller)
    }

    private func decide(
        _ code: String, isApproved: Bool, _ session: SessionInfo, _ caller: Caller
    ) async throws(OperationError) {
        let source = Self.source(of: caller)
        try await finding(code, for: session, from: source) { row, _, tx in
            try demandLive(session, tx)
            // Somebody who reads codes off their own terminal guesses none.
            tx.enqueue(SignInQueries.forgetThrottle(Self.codesKey(session)))
            tx.enqueue(
                DeviceQueries.decide(
                    try row.string("id"), isApproved ? "approved" : "denied", staff: session.staffID,
                    session: session.id))
            let details: JSON = [
                "machine": .string(try row.string("machine")), "address": .string(try row.string("ip")),
            ]
            if isApproved {
                record("device.approve", of: session, from: source, facts: Self.byDevice, details: details, tx)
            } else {
                record("device.deny", .denied, of: session, from: source, facts: Self.byDevice, details: details, tx)
            }
        }
    }

    /// What wrong codes are counted by.
    private static func codesKey(_ session: SessionInfo) -> String { "device|\(session.staffID)" }

    /// Looks a code up for somebody. What is no code is counted against them.
    private func finding<T: Sendable>(
        _ typed: String, for session: SessionInfo, from source: Source,
        _ body: @escaping @Sendable (Row, String, any Writer) throws -> T
    ) async throws(OperationError) -> T {
        let key = Self.codesKey(session)
        let code = Self.code(typed: typed)
        let found: Result<T, OperationError> = try await write { tx in
            let now = tx.now
            try tx.lock(["signin:\(key)"])
            let entry = try Self.entries(tx.query(SignInQueries.throttle([key])))[key]
            if let entry, now < entry.blockedUntil {
                return .failure(.wait(entry.blockedUntil - now))
            }
            // A slip of the hand is no guess.
            guard let code else {
                return .failure(
                    .invalid([FieldError(pointer: "/code", detail: "A code has eight letters, as in BCDF-GHJK.")]))
            }
            guard let row = try tx.first(DeviceQueries.byCode(codeHash(code), at: now, tx.dialect)) else {
                tx.enqueue(SignInQueries.setThrottle(key, Throttle.count(entry, on: Throttle.stepUp, at: now)))
                record("device.refused", .denied, of: session, from: source, facts: Self.byDevice, tx)
                return .failure(
                    .invalid([
                        FieldError(
                            pointer: "/code",
                            detail:
                                "No command line waits with this code. It may have run out, or been answered already.")
                    ]))
            }
            return .success(try body(row, Self.shown(code), tx))
        }
        return try found.get()
    }
}
