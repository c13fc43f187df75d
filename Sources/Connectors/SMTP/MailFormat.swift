import Foundation
import Kernel

/// A mail as it goes over the wire: RFC 5322 with MIME, lines of at most 76 characters, ASCII only.
enum MailFormat {
    /// - Parameters:
    ///   - id: stands in Message-ID: the same at every attempt, so that a mail that came twice is shown once.
    static func bytes(_ message: MailMessage, from: Mailbox, id: String, at time: Instant) -> [UInt8] {
        // "=_" stands in no quoted-printable text.
        let boundary = "=_\(sha256(Array(id.utf8)).hex.prefix(32))"
        var lines = [
            "Date: \(date(time))",
            "From: \(from.name.map { "\(phrase($0)) <\(from.address)>" } ?? from.address)",
            "To: \(message.to)",
            "Subject: \(encoded(message.subject, after: "Subject: ".count))",
            "Message-ID: <\(id)@\(from.domain)>",
            // Nobody’s absence notice answers it (RFC 3834).
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: multipart/alternative; boundary=\"\(boundary)\"",
            "",
        ]
        for (type, text) in [("plain", message.text), ("html", message.html)] {
            lines += [
                "--\(boundary)", "Content-Type: text/\(type); charset=utf-8",
                "Content-Transfer-Encoding: quoted-printable", "",
            ]
            lines += quotedPrintable(text)
        }
        lines += ["--\(boundary)--", ""]
        return Array(lines.joined(separator: "\r\n").utf8)
    }

    // MARK: Heads

    /// Words of RFC 2047 where there is anything but printable ASCII. What would end the line can't come through.
    static func encoded(_ text: String, after used: Int = 0) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !text.contains("=?")
        if isPlain, text.utf8.count + used <= 76 { return text }
        // 75 characters a word, of which "=?UTF-8?B?" and "?=" take twelve; characters are never cut.
        var words: [String] = []
        var piece: [UInt8] = []
        for character in text {
            let bytes = Array(String(character).utf8)
            if !piece.isEmpty, piece.count + bytes.count > 42 {
                words.append(word(piece))
                piece = []
            }
            // One character may be longer than a word: a letter under many marks.
            for scalar in bytes.count > 42 ? String(character).unicodeScalars.map({ Array(String($0).utf8) }) : [bytes]
            {
                if piece.count + scalar.count > 42 {
                    words.append(word(piece))
                    piece = []
                }
                piece += scalar
            }
        }
        words.append(word(piece))
        return words.joined(separator: "\r\n ")
    }

    private static func word(_ bytes: [UInt8]) -> String { "=?UTF-8?B?\(Base64.encode(bytes))?=" }

    /// A name before an address.
    private static func phrase(_ name: String) -> String {
        if name.wholeMatch(of: /[A-Za-z0-9 ]+/) != nil { return name }
        guard name.utf8.allSatisfy({ (0x20...0x7E).contains($0) }), name.utf8.count < 60 else { return encoded(name) }
        return "\"" + name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Thu, 26 Nov 2026 09:00:00 +0000`
    static func date(_ time: Instant) -> String {
        let (day, clock) = time.civil
        let weekday = ((day.daysSince1970 % 7) + 7) % 7
        return "\(days[weekday]), \(day.day) \(months[day.month - 1]) \(day.year) "
            + String(format: "%02d:%02d:%02d +0000", clock.hour, clock.minute, clock.second)
    }

    // MARK: Bodies

    /// RFC 2045 §6.7.
    static func quotedPrintable(_ text: String) -> [String] {
        var lines: [String] = []
        for source in text.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false) {
            var line = ""
            let bytes = Array(source.utf8)
            for (index, byte) in bytes.enumerated() {
                let isLast = index == bytes.count - 1
                let isPlain =
                    (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "=")
                    || byte == 0x20 && !isLast
                let piece = isPlain ? String(UnicodeScalar(byte)) : "=" + [byte].hex.uppercased()
                // The last column is for the mark of a line that goes on.
                if line.utf8.count + piece.utf8.count > 75 {
                    lines.append(line + "=")
                    line = ""
                }
                line += piece
            }
            lines.append(line)
        }
        return lines
    }
}
