import Kernel

/// Something one person is told in the console. It is made of ids; its words are made when it is looked at.
struct Notice: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        /// Somebody asks for something they could sign.
        case asked = "request_asked"
        /// The same, because it changed or a signature lapsed.
        case askedAgain = "request_asked_again"
        case remindedAtHalf = "request_reminder_half"
        case remindedAtLast = "request_reminder_last"
        // Turns of their own request.
        case signed = "request_signed"
        case scheduled = "request_scheduled"
        case executed = "request_executed"
        case rejected = "request_rejected"
        case cancelled = "request_cancelled"
        case expired = "request_expired"
        case failed = "request_failed"
        case stale = "request_stale"
        case reopened = "request_reopened"
        /// Nobody signed it yet, and it expires soon.
        case unanswered = "request_unanswered"
        // Their account.
        case rolesChanged = "roles_changed"
        case factorsReset = "factors_reset"
        case sessionsEnded = "sessions_ended"
        /// What they look after.
        case reviewOwed = "review_owed"
        case providerChanged = "provider_changed"
        case denialBurst = "denial_burst"
        /// Somebody on the server's machine asked for new factors for a super_admin.
        case recoveryAsked = "recovery_asked"
        /// What goes by dates is held until they, or somebody like them, have looked.
        case clockJumped = "clock_jumped"
        case rowDiffers = "row_differs"
        // Emergencies: for those with a say, and for who opened one.
        case emergencyOpened = "breakglass_opened"
        case emergencyEnded = "breakglass_ended"
        /// They could review it.
        case emergencyOwed = "breakglass_review_owed"
        case emergencyOverdue = "breakglass_review_overdue"
        case emergencyReviewed = "breakglass_reviewed"
        // Access reviews: for who decides, and for whose grant it was.
        case accessReviewAsked = "access_review_asked"
        case accessReviewReminder = "access_review_reminder"
        case accessReviewOverdue = "access_review_overdue"
        case grantKept = "grant_kept"
        case grantRevoked = "grant_revoked"

        /// Asks for a signature, and asks nobody any more once the request has ended.
        var asksToSign: Bool {
            switch self {
            case .asked, .askedAgain, .remindedAtHalf, .remindedAtLast: true
            default: false
            }
        }

        /// Tells that time passed since the event it stands by.
        var isReminder: Bool {
            switch self {
            case .remindedAtHalf, .remindedAtLast, .unanswered: true
            default: false
            }
        }

        /// What asks for something, by what it asks for: nobody any more once somebody has done it.
        static let asking = allCases.filter(\.asksToSign)
        static let askingToReview: [Kind] = [.emergencyOwed, .emergencyOverdue]
        static let askingToSettle: [Kind] = [.rowDiffers]
        static let askingToDecide: [Kind] = [.accessReviewAsked, .accessReviewReminder]
    }

    static let idPrefix = "ntc"

    let id: String
    let staff: String
    let kind: Kind
    /// The event it tells of.
    let event: String
    let about: (type: String, id: String)?
    let createdAt: Instant
    var readAt: Instant?
    /// What it asks for was done by others.
    var isMoot = false

    init(to staff: String, _ kind: Kind, of event: String, about: (type: String, id: String)?, at now: Instant) {
        id = Identifier.mint(Self.idPrefix, at: now)
        self.staff = staff
        self.kind = kind
        self.event = event
        self.about = about
        createdAt = now
    }

    /// `nil` for a kind that this version does not know.
    init?(_ row: Row) throws {
        guard let kind = Kind(rawValue: try row.string("kind")) else { return nil }
        id = try row.string("id")
        staff = try row.string("staff_id")
        self.kind = kind
        event = try row.string("event_id")
        let type = try row.optionalString("about_type")
        about = try row.optionalString("about_id").flatMap { id in type.map { (type: $0, id: id) } }
        createdAt = try row.instant("created_at")
        readAt = try row.optionalInstant("read_at")
        isMoot = try row.bool("is_moot")
    }
}
