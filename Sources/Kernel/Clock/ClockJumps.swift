/// Notices when the machine's clock is set while the process runs.
public struct ClockJumps: Sendable {
    /// What NTP does step by step is no jump.
    public static let tolerated = Span.seconds(30)

    private let wall: Clock
    private let steady: Clock
    /// Of the wall clock from the steady one, where nobody sets it.
    private var offset: Span
    private var lookedAt: Instant

    /// - Parameters:
    ///   - wall: what may be set.
    ///   - steady: what nobody can set.
    public init(wall: Clock = .system, steady: Clock = .steady) {
        self.wall = wall
        self.steady = steady
        lookedAt = steady.now
        offset = wall.now - lookedAt
    }

    /// How far the clock was set, forwards or back, in one step or in many since the last jump; `nil` when it was not. What is
    /// slewed by no more than NTP does, 500 µs a second, is followed: else it would add up to a jump.
    public mutating func look() -> Span? {
        let at = steady.now
        let now = wall.now - at
        let away = now.microseconds - offset.microseconds
        // Whoever looks all the time would round it away.
        if at - lookedAt >= .seconds(1) {
            let slew = (at - lookedAt).microseconds / 2000
            offset = offset + Span(microseconds: max(-slew, min(slew, away)))
            lookedAt = at
        }
        guard abs(now.microseconds - offset.microseconds) > Self.tolerated.microseconds else { return nil }
        offset = now
        return Span(microseconds: away)
    }
}
