import Kernel

/// Times in words. Deterministic: everything is said relative to the `now` that is passed.
public enum TimeText {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    static func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

    /// `17 Nov 2026`
    public static func day(_ day: Day) -> String { "\(day.day) \(months[day.month - 1]) \(day.year)" }

    /// `14:32:04`, UTC
    public static func clock(_ instant: Instant) -> String {
        let time = instant.civil.time
        return "\(two(time.hour)):\(two(time.minute)):\(two(time.second))"
    }

    /// `17 Nov 2026 14:32:04 UTC`
    public static func utc(_ instant: Instant) -> String { "\(day(instant.day)) \(clock(instant)) UTC" }

    /// `17 Nov 2026, 14:32 UTC`
    public static func utcMinute(_ instant: Instant) -> String {
        let time = instant.civil.time
        return "\(day(instant.day)), \(two(time.hour)):\(two(time.minute)) UTC"
    }

    /// `17 Nov 14:32`, with the year when it isn't this one.
    public static func short(_ instant: Instant, now: Instant) -> String {
        let (date, time) = instant.civil
        let year = date.year == now.day.year ? "" : " \(date.year)"
        return "\(date.day) \(months[date.month - 1])\(year) \(two(time.hour)):\(two(time.minute))"
    }

    /// `47 min`, `5 h 41 min`, `3 days`: rounded down, at least seconds.
    public static func span(_ span: Span) -> String {
        let seconds = max(0, span.seconds)
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) min"
        case ..<86_400:
            let minutes = seconds % 3600 / 60
            return minutes == 0 ? "\(seconds / 3600) h" : "\(seconds / 3600) h \(minutes) min"
        default:
            let days = seconds / 86_400
            return days == 1 ? "1 day" : "\(days) days"
        }
    }

    /// `11 min ago`, `in 3 h`, `15 Nov`, `3 Feb 2024`
    public static func relative(_ instant: Instant, now: Instant) -> String {
        let distance = (now - instant).seconds
        let size = abs(distance)
        if size < 5 { return "now" }
        let text: String
        switch size {
        case ..<60: text = "\(size) s"
        case ..<3600: text = "\(size / 60) min"
        case ..<86_400: text = "\(size / 3600) h"
        case ..<(7 * 86_400): text = size < 2 * 86_400 ? "1 day" : "\(size / 86_400) days"
        default:
            let date = instant.day
            return date.year == now.day.year ? "\(date.day) \(months[date.month - 1])" : day(date)
        }
        return distance > 0 ? "\(text) ago" : "in \(text)"
    }
}

extension UI {
    /// Relative time on the page, the exact UTC time in its title; refreshed by script where there is one.
    public static func time(_ instant: Instant, now: Instant) -> Node {
        el(
            "time", Attribute("datetime", instant.rfc3339), .title(TimeText.utc(instant)), Attribute("data-relative")
        ) { TimeText.relative(instant, now: now) }
    }

    /// Relative first, then UTC: "11 min ago 17 Nov 2026 14:21:09 UTC".
    public static func timeWithUTC(_ instant: Instant, now: Instant) -> Node {
        // After a week the relative form is the day itself; it is not said twice.
        if abs((now - instant).seconds) >= 7 * 86_400 {
            return el("time", Attribute("datetime", instant.rfc3339)) { TimeText.utc(instant) }
        }
        return time(instant, now: now) + Node(" ") + el("span", .class("muted")) { TimeText.utc(instant) }
    }

    /// The exact time in UTC, short: `14:32:04` of today, else `16 Nov 14:32`.
    public static func clock(_ instant: Instant, now: Instant) -> Node {
        el("time", Attribute("datetime", instant.rfc3339), .title(TimeText.utc(instant))) {
            instant.day == now.day ? TimeText.clock(instant) : TimeText.short(instant, now: now)
        }
    }

    /// A calendar day.
    public static func day(_ day: Day) -> Node {
        el("time", Attribute("datetime", day.text)) { TimeText.day(day) }
    }
}
