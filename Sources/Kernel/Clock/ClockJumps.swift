/// Where a clock stood against the time since the machine started: kept, it tells the next process what was set meanwhile.
public struct ClockMark: Sendable, Hashable {
    /// How far the clock is ahead of that time, where nobody sets it.
    public let offset: Span
    /// When it was looked at, in that time.
    public let lookedAt: Instant

    public init(offset: Span, lookedAt: Instant) {
        self.offset = offset
        self.lookedAt = lookedAt
    }

    /// What the clock said then.
    public var seenAt: Instant { lookedAt + offset }
}

/// Notices when the machine's clock is set.
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

    /// Goes on from where the clock stood, since the same start of the machine.
    public init(from mark: ClockMark, wall: Clock = .system, steady: Clock = .steady) {
        self.wall = wall
        self.steady = steady
        offset = mark.offset
        // What was slewed is followed for a minute at most: nobody looked for longer, and a clock that was set would pass for it.
        let now = steady.now
        lookedAt = min(now, max(mark.lookedAt, now - .minutes(1)))
    }

    /// From where another one may go on.
    public var mark: ClockMark { ClockMark(offset: offset, lookedAt: lookedAt) }

    /// How far a clock was set back that said `latest` before it says `now`, whatever happened to the machine meanwhile; `nil` when
    /// it was not. Whether it was set forward nobody can tell so.
    public static func back(from latest: Instant, to now: Instant) -> Span? {
        latest - now > tolerated ? now - latest : nil
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
