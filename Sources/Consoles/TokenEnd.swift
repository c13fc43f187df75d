import Kernel

/// The end of a day, UTC, as a token's last moment.
enum TokenEnd {
    /// - Parameter days: the farthest it may be.
    static func of(_ day: Day, within days: Int64, at now: Instant) throws(Refusal) -> Instant {
        let end = Instant(microseconds: Int64(day.daysSince1970 + 1) * 86_400_000_000)
        guard end > now else { throw .field("expires_on", "That day is over; choose a later one.") }
        guard end <= now + .days(days + 1) else {
            throw .field("expires_on", "Choose a day within \(days) days; it can be moved on later.")
        }
        return end
    }

    /// The last day it works.
    static func day(of end: Instant) -> Day {
        Day(daysSince1970: Int((end.microseconds - 1) / 86_400_000_000))
    }
}
