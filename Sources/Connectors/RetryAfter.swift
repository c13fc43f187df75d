import Kernel

/// The header in which a receiver says when it may be asked again (RFC 9110 §10.2.3).
enum RetryAfter {
    /// Whatever a receiver says, it is asked again after this long.
    static let longest = Span.hours(8)

    /// How long to wait; `nil` when the text is neither a number of seconds nor a date.
    static func span(_ text: String?, at now: Instant) -> Span? {
        guard let text = text.map({ $0.filter { $0 != "\t" } }), !text.isEmpty else { return nil }
        if text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            return bounded(Int64(text.prefix(12)).map(Span.seconds) ?? longest)
        }
        return date(text).map { bounded($0 - now) }
    }

    private static func bounded(_ span: Span) -> Span { min(max(span, .seconds(0)), longest) }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Thu, 26 Nov 2026 09:00:00 GMT`
    static func date(_ text: String) -> Instant? {
        let pattern = /[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) GMT/
        guard let match = text.wholeMatch(of: pattern), let month = months.firstIndex(of: String(match.2)) else {
            return nil
        }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        return Instant(rfc3339: "\(match.3)-\(number)-\(match.1)T\(match.4)Z")
    }
}
