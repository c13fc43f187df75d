import Crypto
import Kernel

/// Growing delays after failed sign-ins, by account, by source, and by both together.
///
/// The pair (account, source) carries the long delay, so that nobody can lock a person out from elsewhere. The account
/// alone carries a short one, and only for sources this person has never signed in from. Attempts are counted before the
/// password is looked at, right or wrong, so that parallel guesses can't slip through together; a completed sign-in takes
/// its own attempt back.
struct Throttle {
    struct Ladder {
        /// Failures without any delay.
        let free: Int64
        let longest: Span
        /// Without a failure for this long, counting starts over.
        let forget: Span

        func delay(_ failures: Int64) -> Span {
            guard failures > free else { return .seconds(0) }
            // 1, 2, 4 … seconds
            return min(longest, .seconds(1 << min(failures - free - 1, 30)))
        }
    }

    static let pair = Ladder(free: 5, longest: .minutes(15), forget: .hours(24))
    static let source = Ladder(free: 30, longest: .minutes(15), forget: .hours(1))
    static let account = Ladder(free: 20, longest: .minutes(5), forget: .hours(1))
    static let stepUp = Ladder(free: 5, longest: .minutes(15), forget: .hours(24))

    /// Who is tried, and from where; both without personal data in clear.
    struct Origin: Sendable, Hashable {
        /// Keyed digest of the address that was typed, known or not.
        let account: String
        /// Network prefix of the source.
        let source: String

        init(account: String, source: String) {
            self.account = account
            self.source = source
        }

        init(email: String, ip: String, pepper: [UInt8]) {
            account = String(
                HMAC<SHA256>.authenticationCode(
                    for: Array("account:\(email)".utf8), using: SymmetricKey(data: pepper)
                ).hex.prefix(32))
            source = NetworkPrefix.of(ip)
        }

        /// Named locks that make counting exact.
        var locks: [String] { ["signin:account:\(account)", "signin:source:\(source)"] }

        var rungs: [(key: String, ladder: Ladder)] {
            [
                ("pair|\(account)|\(source)", Throttle.pair), ("source|\(source)", Throttle.source),
                ("account|\(account)", Throttle.account),
            ]
        }

        /// What a challenge remembers: the account's digest, and whom the address belongs to, if anybody.
        func text(_ staff: String?) -> String { "\(account)|\(staff ?? "-")" }
        static func read(_ text: String) -> (account: String, staff: String?) {
            let parts = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { return ("-", nil) }
            return (parts[0], parts[1] == "-" ? nil : parts[1])
        }
    }

    struct Entry: Sendable {
        var failures: Int64
        var blockedUntil: Instant
        var updatedAt: Instant
    }

    /// One more failure on a rung.
    static func count(_ entry: Entry?, on ladder: Ladder, at now: Instant) -> Entry {
        var failures: Int64 = 1
        if let entry, now - entry.updatedAt < ladder.forget { failures = entry.failures + 1 }
        return Entry(failures: failures, blockedUntil: now + ladder.delay(failures), updatedAt: now)
    }
}
