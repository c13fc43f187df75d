/// Signing in a command line by a browser, in the manner of RFC 8628: the machine shows a short code, and somebody who is signed
/// in to the console lets it in.
public protocol DeviceSignIn: Sendable {
    /// - Parameter machine: what the machine calls itself; anybody may have written it.
    func beginDevice(machine: String, from source: Source) async throws(OperationError) -> DeviceInvitation
    /// What became of it, for the machine that waits.
    func redeem(device: String, from source: Source) async throws(OperationError) -> DeviceAnswer
    /// Which machine a code is of. Guessing is throttled by person.
    func device(code: String, for session: SessionInfo, from source: Source) async throws(OperationError)
        -> WaitingDevice
    /// Lets it in as this person. Needs a fresh factor, which the machine's session has too.
    func approveDevice(code: String, for session: SessionInfo, by caller: Caller) async throws(OperationError)
    func denyDevice(code: String, for session: SessionInfo, by caller: Caller) async throws(OperationError)
}

/// What a machine is told that wants to be let in.
public struct DeviceInvitation: Sendable {
    /// The machine's own secret.
    public let device: String
    /// What a person compares: `BCDF-GHJK`.
    public let code: String
    public let expiresAt: Instant
    public let lasts: Span
    /// How long to wait between two questions.
    public let interval: Span
    public init(device: String, code: String, expiresAt: Instant, lasts: Span, interval: Span) {
        self.device = device
        self.code = code
        self.expiresAt = expiresAt
        self.lasts = lasts
        self.interval = interval
    }
}

public enum DeviceAnswer: Sendable {
    case session(NewSession)
    case pending(interval: Span)
    /// It asked too soon; the interval is longer from now on.
    case slowDown(interval: Span)
    case denied
    /// Also for one that nobody knows.
    case expired
}

/// A machine that waits, as a person is asked about it.
public struct WaitingDevice: Sendable {
    public let code: String
    /// What it calls itself.
    public let machine: String
    public let client: String
    public let ip: String
    public let askedAt: Instant
    public let expiresAt: Instant
    /// The person asks from another network than the machine.
    public let isElsewhere: Bool
    public init(
        code: String, machine: String, client: String, ip: String, askedAt: Instant, expiresAt: Instant,
        isElsewhere: Bool
    ) {
        self.code = code
        self.machine = machine
        self.client = client
        self.ip = ip
        self.askedAt = askedAt
        self.expiresAt = expiresAt
        self.isElsewhere = isElsewhere
    }
}
