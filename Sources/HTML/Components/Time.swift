import Kernel

/// Times in words. Deterministic: everything is said relative to the `now` that is passed.
public enum TimeText {
    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// A page has hundreds of times: they are put together from digits in place.
    private struct Writing {
        private let room: UnsafeMutableBufferPointer<UInt8>
        private var end = 0

        /// Room for a whole time with the longest year an integer holds.
        static func text(_ write: (inout Writing) -> Void) -> String {
            String(unsafeUninitializedCapacity: 64) { room in
                var writing = Writing(room: room)
                write(&writing)
                return writing.end
            }
        }

        private init(room: UnsafeMutableBufferPointer<UInt8>) { self.room = room }

        mutating func put(_ text: StaticString) {
            text.withUTF8Buffer { for byte in $0 { put(byte) } }
        }

        private mutating func put(_ byte: UInt8) {
            room[end] = byte
            end += 1
        }

        mutating func number(_ value: Int) {
            if value < 0 { put("-") }
            var rest = value.magnitude
            let start = end
            repeat {
                put(UInt8(ascii: "0") + UInt8(rest % 10))
                rest /= 10
            } while rest > 0
            room[start..<end].reverse()
        }

        private mutating func two(_ value: Int) {
            put(UInt8(ascii: "0") + UInt8(value / 10))
            put(UInt8(ascii: "0") + UInt8(value % 10))
        }

        mutating func day(_ day: Day) {
            monthDay(day)
            put(" ")
            number(day.year)
        }

        mutating func monthDay(_ day: Day) {
            number(day.day)
            put(" ")
            put(months[day.month - 1])
        }

        mutating func minute(_ hour: Int, _ minute: Int) {
            two(hour)
            put(":")
            two(minute)
        }

        mutating func second(_ hour: Int, _ minute: Int, _ second: Int) {
            self.minute(hour, minute)
            put(":")
            two(second)
        }
    }

    /// `17 Nov 2026`
    public static func day(_ day: Day) -> String { Writing.text { $0.day(day) } }

    /// `14:32:04`, UTC
    public static func clock(_ instant: Instant) -> String {
        let time = instant.civil.time
        return Writing.text { $0.second(time.hour, time.minute, time.second) }
    }

    /// `17 Nov 2026, 14:32:04 UTC`: `utcMinute` with the seconds, for records.
    public static func utc(_ instant: Instant) -> String {
        let (date, time) = instant.civil
        return Writing.text { text in
            text.day(date)
            text.put(", ")
            text.second(time.hour, time.minute, time.second)
            text.put(" UTC")
        }
    }

    /// `17 Nov 2026, 14:32 UTC`
    public static func utcMinute(_ instant: Instant) -> String { instant.minuteText }

    /// `17 Nov, 14:32`, with the year when it isn't this one.
    public static func short(_ instant: Instant, now: Instant) -> String {
        let (date, time) = instant.civil
        let isThisYear = date.year == now.day.year
        return Writing.text { text in
            if isThisYear { text.monthDay(date) } else { text.day(date) }
            text.put(", ")
            text.minute(time.hour, time.minute)
        }
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

    /// What is set and not measured, in the largest unit that says it exactly: `1 day`, `36 h`, `90 min`, `75 s`. Never below
    /// zero; parts of a second are left out.
    public static func exactly(_ span: Span) -> String {
        let seconds = max(0, span.seconds)
        if seconds > 0, seconds % 86_400 == 0 { return self.span(span) }
        if seconds > 0, seconds % 3600 == 0 { return "\(seconds / 3600) h" }
        return seconds > 0 && seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds) s"
    }

    /// `29:58`, `1:02:03`; never below zero.
    public static func countdown(_ span: Span) -> String {
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : String(value) }
        let seconds = max(0, span.seconds)
        let rest = "\(two(seconds % 60))"
        return seconds < 3600
            ? "\(seconds / 60):\(rest)" : "\(seconds / 3600):\(two(seconds % 3600 / 60)):\(rest)"
    }

    /// `11 min ago`, `in 3 h`, `15 Nov`, `3 Feb 2024`: what was is rounded down, what comes to the nearest, so
    /// that 7 h 59 min is not 7 h.
    public static func relative(_ instant: Instant, now: Instant) -> String {
        let distance = (now - instant).seconds
        let size = abs(distance)
        if size < 5 { return "now" }
        let isPast = distance > 0
        func whole(_ unit: Int64) -> Int64 { (isPast ? size : size + unit / 2) / unit }
        let text: String
        if size < 60 {
            text = "\(size) s"
        } else if whole(60) < 60 {
            text = "\(whole(60)) min"
        } else if whole(3600) < 24 {
            text = "\(whole(3600)) h"
        } else if size < 7 * 86_400 {
            let days = whole(86_400)
            text = days == 1 ? "1 day" : "\(days) days"
        } else {
            let date = instant.day
            return date.year == now.day.year ? Writing.text { $0.monthDay(date) } : day(date)
        }
        return isPast ? "\(text) ago" : "in \(text)"
    }
}

extension UI {
    /// Relative time on the page, the exact UTC time in its title; refreshed by script where there is one.
    public static func time(_ instant: Instant, now: Instant) -> Node {
        el(
            "time",
            [Attribute("datetime", instant.rfc3339), .title(TimeText.utc(instant)), Attribute("data-relative")]
        ) { TimeText.relative(instant, now: now) }
    }

    /// Relative first, then UTC: "11 min ago 17 Nov 2026, 14:21:09 UTC".
    public static func timeWithUTC(_ instant: Instant, now: Instant) -> Node {
        // After a week the relative form is the day itself; it is not said twice.
        if abs((now - instant).seconds) >= 7 * 86_400 {
            return el("time", Attribute("datetime", instant.rfc3339)) { TimeText.utc(instant) }
        }
        return time(instant, now: now) + Node(" ") + el("span", .class("muted")) { TimeText.utc(instant) }
    }

    /// The exact time in UTC, short: `14:32:04` of today, else `16 Nov, 14:32`.
    public static func clock(_ instant: Instant, now: Instant) -> Node {
        el("time", Attribute("datetime", instant.rfc3339), .title(TimeText.utc(instant))) {
            instant.day == now.day ? TimeText.clock(instant) : TimeText.short(instant, now: now)
        }
    }

    /// How long there is until a time, in seconds below an hour; a script counts on where there is one.
    public static func countdown(to instant: Instant, now: Instant) -> Node {
        el(
            "time",
            [
                Attribute("datetime", instant.rfc3339), .title(TimeText.utc(instant)),
                Attribute("data-left", String(max(0, (instant - now).seconds))),
            ]
        ) { TimeText.countdown(instant - now) }
    }

    /// A calendar day.
    public static func day(_ day: Day) -> Node {
        el("time", Attribute("datetime", day.text)) { TimeText.day(day) }
    }
}
