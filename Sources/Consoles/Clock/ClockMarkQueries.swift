import Kernel

/// Where the clock stood when servers last looked. A machine's start has one row, and there are few.
enum ClockMarkQueries {
    /// Of one start of a machine.
    static func own(_ boot: String) -> Statement {
        Statement("SELECT ahead, steady_at FROM clock_marks WHERE boot = $1", [.text(boot)])
    }

    /// `seen_at`: the latest time that any of them saw; null where none did.
    static let latest = Statement("SELECT MAX(steady_at + ahead) AS seen_at FROM clock_marks")

    /// `seen_at`: the latest time that any other start of a machine saw; null where none did.
    static func others(than boot: String) -> Statement {
        Statement("SELECT MAX(steady_at + ahead) AS seen_at FROM clock_marks WHERE boot <> $1", [.text(boot)])
    }

    static func keep(_ mark: ClockMark, of boot: String) -> Statement {
        Statement(
            """
            INSERT INTO clock_marks (boot, ahead, steady_at) VALUES ($1, $2, $3)
            ON CONFLICT (boot) DO UPDATE SET ahead = excluded.ahead, steady_at = excluded.steady_at
            """, [.text(boot), .int(mark.offset.microseconds), .int(mark.lookedAt.microseconds)])
    }

    /// The clock was set by that much, as all of them would find.
    static func follow(_ jump: Span) -> Statement {
        Statement("UPDATE clock_marks SET ahead = ahead + $1", [.int(jump.microseconds)])
    }

    /// Starts of machines that nobody has seen since `time`.
    static func forget(seenBefore time: Instant) -> Statement {
        Statement("DELETE FROM clock_marks WHERE steady_at + ahead < $1", [Value(time)])
    }
}
