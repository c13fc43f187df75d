/// What is kept of how a mail server refused something: digits, and none of its words.
final class SMTPReply {
    /// Its reason as RFC 3463 counts them, without the first 5: `550 5.1.1 …` is subject 1, detail 1.
    private struct Reason {
        let subject: Int
        let detail: Int
    }

    private var reason: Reason?
    private var goesOn = false

    /// Takes a line as it came, `550-5.1.1 No such user`. Those of other replies than refusals leave what was taken.
    func take(_ line: some Collection<UInt8>) {
        let text = String(decoding: line.prefix(20), as: UTF8.self)
        guard text.hasPrefix("5") else { return }
        if !goesOn { reason = nil }
        goesOn = text.dropFirst(3).first == "-"
        guard reason == nil, let match = text.prefixMatch(of: /\d{3}[ -]5\.(\d{1,3})\.(\d{1,3})/),
            let subject = Int(match.1), let detail = Int(match.2)
        else { return }
        reason = Reason(subject: subject, detail: detail)
    }

    /// Whether a mail was refused because of its recipient's address, so that the same one is never taken. Anything else may be over
    /// soon: what the server has against the sender or the connection, a password it wants, a quota.
    /// - Parameters:
    ///   - status: the reply's code.
    ///   - step: libcurl's words for what was refused, `RCPT failed: 550`.
    func isOfRecipient(_ status: Int64, step: String) -> Bool {
        guard step.hasPrefix("RCPT failed"), [550, 551, 553].contains(status) else { return false }
        // Many servers keep what they have against the sender until they are told the recipient, and say so in the reason only.
        guard let reason else { return true }
        switch (reason.subject, reason.detail) {
        // The sender's address, and a mailbox that is full.
        case (1, 7), (1, 8), (2, 2): return false
        case (0, _), (1, _), (2, _): return true
        default: return false
        }
    }
}
