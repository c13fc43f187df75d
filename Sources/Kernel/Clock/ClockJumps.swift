/// Notices when the machine's clock is set while the process runs.
public struct ClockJumps: Sendable {
    /// What NTP does step by step is no jump.
    public static let tolerated = Span.seconds(30)

    private let wall: Clock
    private let steady: Clock
    private var offset: Span

    /// - Parameters:
    ///   - wall: what may be set.
    ///   - steady: what nobody can set.
    public init(wall: Clock = .system, steady: Clock = .steady) {
        self.wall = wall
        self.steady = steady
        offset = wall.now - steady.now
    }

    /// How far the clock was set since the last look, forwards or back; `nil` when it was not.
    public mutating func look() -> Span? {
        let now = wall.now - steady.now
        let jump = Span(microseconds: now.microseconds - offset.microseconds)
        offset = now
        return abs(jump.microseconds) > Self.tolerated.microseconds ? jump : nil
    }
}
