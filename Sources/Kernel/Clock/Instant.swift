import Foundation

/// A point in time: whole microseconds since 1970-01-01T00:00:00Z. Stored as `BIGINT`, shown as RFC 3339 UTC.
public struct Instant: Sendable, Hashable, Comparable, Codable {
    public let microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static func < (a: Instant, b: Instant) -> Bool { a.microseconds < b.microseconds }
    public static func + (a: Instant, b: Span) -> Instant { Instant(microseconds: a.microseconds + b.microseconds) }
    public static func - (a: Instant, b: Span) -> Instant { Instant(microseconds: a.microseconds - b.microseconds) }
    public static func - (a: Instant, b: Instant) -> Span { Span(microseconds: a.microseconds - b.microseconds) }

    /// `2026-11-17T14:32:00.123456Z`
    public var rfc3339: String {
        let (date, time) = civil
        if (0...9999).contains(date.year) {
            return String(unsafeUninitializedCapacity: 27) { out in
                var end = 0
                func digits(_ value: Int, _ count: Int, then mark: Unicode.Scalar) {
                    var rest = value
                    for index in (end..<end + count).reversed() {
                        out[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                        rest /= 10
                    }
                    out[end + count] = UInt8(ascii: mark)
                    end += count + 1
                }
                digits(date.year, 4, then: "-")
                digits(date.month, 2, then: "-")
                digits(date.day, 2, then: "T")
                digits(time.hour, 2, then: ":")
                digits(time.minute, 2, then: ":")
                digits(time.second, 2, then: ".")
                digits(time.microsecond, 6, then: "Z")
                return end
            }
        }
        return String(
            format: "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", date.year, date.month, date.day, time.hour, time.minute,
            time.second, time.microsecond)
    }

    /// Reads RFC 3339 with `Z` or a numeric offset and up to six fraction digits; `nil` when it is anything else.
    public init?(rfc3339 text: String) {
        // [0-9] and not \d, which takes the digits of every script.
        let pattern =
            /([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6})[0-9]*)?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))/
        guard let match = text.wholeMatch(of: pattern), let year = Int(match.1), let month = Int(match.2),
            let day = Int(match.3), let hour = Int(match.4), let minute = Int(match.5), let second = Int(match.6),
            (1...12).contains(month), (1...Day.daysIn(month: month, year: year)).contains(day), hour < 24, minute < 60,
            second < 60
        else { return nil }
        var seconds = Int64(Day(year: year, month: month, day: day).daysSince1970) * 86_400
        seconds += Int64(hour * 3600 + minute * 60 + second)
        if let sign = match.9, let offsetHour = match.10.flatMap({ Int64($0) }),
            let offsetMinute = match.11.flatMap({ Int64($0) })
        {
            guard offsetHour < 24, offsetMinute < 60 else { return nil }
            let offset = offsetHour * 3600 + offsetMinute * 60
            seconds -= sign == "-" ? -offset : offset
        }
        let fraction = match.7.flatMap { Int64($0 + String(repeating: "0", count: 6 - $0.count)) } ?? 0
        self.init(microseconds: seconds * 1_000_000 + fraction)
    }

    /// UTC calendar fields.
    public var civil: (date: Day, time: (hour: Int, minute: Int, second: Int, microsecond: Int)) {
        var days = microseconds / 86_400_000_000
        var rest = microseconds % 86_400_000_000
        if rest < 0 {
            rest += 86_400_000_000
            days -= 1
        }
        let seconds = Int(rest / 1_000_000)
        return (
            Day(daysSince1970: Int(days)), (seconds / 3600, seconds / 60 % 60, seconds % 60, Int(rest % 1_000_000))
        )
    }

    public var day: Day { civil.date }

    /// Reads what a person types: RFC 3339, or UTC to the minute, `2026-11-17 14:32`, with or without a `UTC` behind it; and
    /// what they copy from a page, `17 Nov 2026, 14:32 UTC`.
    public init?(typed text: String) {
        if let minute = text.wholeMatch(
            of: /[ ]*([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(?: ?(?:UTC|Z))?[ ]*/)
        {
            self.init(rfc3339: "\(minute.1)T\(minute.2):00Z")
        } else if let words = text.wholeMatch(
            of: /[ ]*([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4}),? ([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?: ?(?:UTC|Z))?[ ]*/),
            let month = Day.months.firstIndex(of: String(words.2))
        {
            func two(_ text: some StringProtocol) -> String { text.count < 2 ? "0\(text)" : "\(text)" }
            let date = "\(words.3)-\(two(String(month + 1)))-\(two(words.1))"
            self.init(rfc3339: "\(date)T\(words.4)\(words.5 ?? ":00")Z")
        } else {
            self.init(rfc3339: text)
        }
    }

    /// `17 Nov 2026, 14:32 UTC`: for sentences, where seconds don't matter.
    public var minuteText: String {
        let (date, time) = civil
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(date.words), \(two(time.hour)):\(two(time.minute)) UTC"
    }
}

/// A length of time in whole microseconds.
public struct Span: Sendable, Hashable, Comparable, Codable {
    public let microseconds: Int64
    public init(microseconds: Int64) { self.microseconds = microseconds }
    public static func seconds(_ value: Int64) -> Span { Span(microseconds: value * 1_000_000) }
    public static func milliseconds(_ value: Int64) -> Span { Span(microseconds: value * 1_000) }
    public static func minutes(_ value: Int64) -> Span { .seconds(value * 60) }
    public static func hours(_ value: Int64) -> Span { .seconds(value * 3600) }
    public static func days(_ value: Int64) -> Span { .seconds(value * 86_400) }
    public static func + (a: Span, b: Span) -> Span { Span(microseconds: a.microseconds + b.microseconds) }
    public static func < (a: Span, b: Span) -> Bool { a.microseconds < b.microseconds }
    /// Whole seconds, rounded down.
    public var seconds: Int64 { microseconds / 1_000_000 }
}

/// A calendar day in UTC.
public struct Day: Sendable, Hashable, Comparable {
    public let year: Int
    public let month: Int
    public let day: Int

    public init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    // Howard Hinnant's civil calendar algorithms (public domain), proleptic Gregorian.
    public init(daysSince1970: Int) {
        let z = daysSince1970 + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let doe = z - era * 146_097
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100)
        let mp = (5 * doy + 2) / 153
        let month = mp < 10 ? mp + 3 : mp - 9
        self.init(year: yoe + era * 400 + (month <= 2 ? 1 : 0), month: month, day: doy - (153 * mp + 2) / 5 + 1)
    }

    public var daysSince1970: Int {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yoe = y - era * 400
        let doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy
        return era * 146_097 + doe - 719_468
    }

    static func daysIn(month: Int, year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// `2026-11-17`; `nil` when the text is not a real day in that form.
    public init?(_ text: String) {
        guard let match = text.wholeMatch(of: /([0-9]{4})-([0-9]{2})-([0-9]{2})/), let year = Int(match.1),
            let month = Int(match.2),
            let day = Int(match.3), (1...12).contains(month), (1...Self.daysIn(month: month, year: year)).contains(day)
        else { return nil }
        self.init(year: year, month: month, day: day)
    }

    fileprivate static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `17 Nov 2026`: for sentences.
    public var words: String { "\(day) \(Self.months[month - 1]) \(year)" }

    public var text: String {
        guard (0...9999).contains(year) else { return String(format: "%04d-%02d-%02d", year, month, day) }
        return String(unsafeUninitializedCapacity: 10) { out in
            var rest = (year * 100 + month) * 100 + day
            for index in [9, 8, 6, 5, 3, 2, 1, 0] {
                out[index] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            out[4] = UInt8(ascii: "-")
            out[7] = UInt8(ascii: "-")
            return 10
        }
    }
    public static func < (a: Day, b: Day) -> Bool { (a.year, a.month, a.day) < (b.year, b.month, b.day) }
}
