import Kernel

/// A one-time link with which a person sets a password and factors.
enum Enrolment {
    enum Purpose: String, Sendable {
        case join
        case reset
    }

    static func hash(_ token: String) -> [UInt8] { sha256(Array(token.utf8)) }

    /// A new link for somebody who has no factors; whatever links they had before stop working.
    struct Link {
        let reveal: [String: Revealed]
        let statements: [Statement]

        init(_ fresh: Fresh, staff: String, _ purpose: Purpose = .join, at now: Instant, lasting span: Span) {
            self.init(fresh, staff: staff, purpose, isWaiting: false, at: now, expires: now + span)
        }

        /// One that works from a time on, once it is opened.
        init(waiting fresh: Fresh, staff: String, at now: Instant, from start: Instant, lasting span: Span) {
            self.init(fresh, staff: staff, .reset, isWaiting: true, at: now, expires: start + span)
        }

        private init(
            _ fresh: Fresh, staff: String, _ purpose: Purpose, isWaiting: Bool, at now: Instant, expires: Instant
        ) {
            let token = "enr_" + Base64.encodeURL(fresh.secret("enrolment"))
            reveal = ["enrolment_link": .page("/enrol?token=\(token)")]
            statements = [
                EnrolmentQueries.cancel(of: staff, at: now),
                EnrolmentQueries.insert(
                    tokenHash: Enrolment.hash(token), staff: staff, purpose: purpose, isWaiting: isWaiting, at: now,
                    expires: expires),
            ]
        }
    }
}
