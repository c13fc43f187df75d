import HTML
import Kernel

/// How far a campaign is.
struct AccessReviewProgress: Sendable, Hashable {
    var open = 0
    var kept = 0
    var revoked = 0
    var ended = 0
    var total: Int { open + kept + revoked + ended }
    var decided: Int { total - open }

    mutating func count(_ state: AccessReviewItem.State, isLive: Bool, _ count: Int) {
        switch state {
        case .open where isLive: open += count
        case .open, .ended: ended += count
        case .kept: kept += count
        case .revoked: revoked += count
        }
    }

    subscript(state: AccessReviewItem.State) -> Int {
        switch state {
        case .open: open
        case .kept: kept
        case .revoked: revoked
        case .ended: ended
        }
    }

    var json: JSON {
        [
            "total": .int(Int64(total)), "open": .int(Int64(open)), "kept": .int(Int64(kept)),
            "revoked": .int(Int64(revoked)), "ended": .int(Int64(ended)),
        ]
    }

    /// Of several, by campaign.
    static func load(_ reviews: [String], from reader: any Reader) throws -> [String: AccessReviewProgress] {
        guard !reviews.isEmpty else { return [:] }
        var out: [String: AccessReviewProgress] = [:]
        for row in try reader.query(AccessReviewQueries.progress(of: reviews, at: reader.now)) {
            guard let state = AccessReviewItem.State(rawValue: try row.string("state")) else {
                throw StoreError.shape(column: "state")
            }
            out[try row.string("review_id"), default: .init()].count(
                state, isLive: try row.bool("is_live"), Int(try row.int("count")))
        }
        return out
    }
}

/// A page of campaigns.
struct AccessReviewListing {
    struct Entry {
        let review: AccessReview
        let progress: AccessReviewProgress
        var json: JSON {
            var members = review.document.object ?? [:]
            members["progress"] = progress.json
            return .object(members)
        }
    }

    let state: AccessReview.State?
    let entries: [Entry]
    /// Names of who started them, by id.
    let names: [String: String]
    let next: String?

    static let stateParameter = Read.Parameter(
        "state", "Only those in this state.",
        schema: ["type": "string", "enum": .array(AccessReview.State.allCases.map { .string($0.rawValue) })])

    static func load(_ call: ReadCall, from reader: any Reader) throws -> AccessReviewListing {
        let limit = try call.limit()
        let state: AccessReview.State? = try word("state", call)
        let scope = "access_review.list/\(state?.rawValue ?? "")"
        let found = try reader.query(
            AccessReviewQueries.page(state: state, after: position(call, scope), limit: limit + 1)
        ).map { try AccessReview($0) }
        let reviews = Array(found.prefix(limit))
        let progress = try AccessReviewProgress.load(reviews.map(\.id), from: reader)
        return AccessReviewListing(
            state: state, entries: reviews.map { Entry(review: $0, progress: progress[$0.id] ?? .init()) },
            names: try StaffDetail.names(reviews.map(\.startedBy), from: reader),
            next: found.count > limit
                ? reviews.last.map {
                    call.cursors.encode(scope: scope, [.int($0.startedAt.microseconds), .string($0.id)])
                } : nil)
    }

    /// Where a list in order of time goes on.
    static func position(_ call: ReadCall, _ scope: String) throws -> AccessReviewQueries.Position? {
        guard let cursor = call.first("cursor") else { return nil }
        let parts = try call.cursors.decode(cursor, scope: scope)
        guard parts.count == 2, let at = parts[0].int, let id = parts[1].string else {
            throw OperationError.internalError("a signed cursor of an unknown shape")
        }
        return .init(at: Instant(microseconds: at), id: id)
    }

    static func word<Word: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ call: ReadCall
    ) throws -> Word? {
        guard let text = call.first(name) else { return nil }
        guard let word = Word(rawValue: text) else {
            let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw OperationError.invalid([FieldError(pointer: "?\(name)", detail: "\(name) must be one of \(words).")])
        }
        return word
    }

    static func find(_ id: String, from reader: any Reader) throws -> AccessReview {
        guard let review = try AccessReview.load(id, from: reader) else {
            throw OperationError.notFound("There is no access review \(id.prefix(60)). The list is at /access-reviews.")
        }
        return review
    }

    var disclosure: Disclosure {
        Disclosure("access_review.list", count: entries.count, ids: entries.map(\.review.id))
    }
}

/// A page of what a campaign looks at, with the grants as they are now.
struct AccessReviewItems {
    struct Entry {
        let item: AccessReviewItem
        /// When the grant ended, where it has.
        let endedAt: Instant?
        /// In words; `nil` before the decision, and after whoever it is about was erased.
        let reason: String?

        var isLive: Bool { endedAt == nil }
        /// What became of it, or would if the review were closed now.
        var standing: AccessReviewItem.State { item.state == .open && !isLive ? .ended : item.state }

        var json: JSON {
            var members = item.document.object ?? [:]
            members["is_live"] = .bool(isLive)
            members["grant_ended_at"] = JSON(endedAt)
            members["reason"] = JSON(reason)
            return .object(members)
        }
    }

    let review: AccessReview
    let state: AccessReviewItem.State?
    let reviewer: String?
    let entries: [Entry]
    let progress: AccessReviewProgress
    /// Names of the reviewers, of who decided, granted and started, by id.
    let names: [String: String]
    let next: String?

    static let parameters: [Read.Parameter] = [
        .init(
            "state", "Only what is undecided, kept, revoked, or ended otherwise meanwhile.",
            schema: ["type": "string", "enum": .array(AccessReviewItem.State.allCases.map { .string($0.rawValue) })]),
        .init("reviewer", "Only what this person is to decide or has decided: an id, or me."),
    ]

    static func load(_ call: ReadCall, from reader: any Reader) throws -> AccessReviewItems {
        let review = try AccessReviewListing.find(call.path["id"] ?? "", from: reader)
        let state: AccessReviewItem.State? = try AccessReviewListing.word("state", call)
        let reviewer = call.first("reviewer").map { $0 == "me" ? call.caller.person : String($0.prefix(60)) }
        let scope = "access_review_item.list/\(review.id)/\(state?.rawValue ?? "")/\(reviewer ?? "")"
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.int ?? 0 } ?? 0
        let limit = try call.limit()
        let (entries, isMore) = try page(
            of: review, state: state, reviewer: reviewer, after: after, limit: limit, from: reader)
        return try load(
            review, entries, state: state, reviewer: reviewer,
            next: isMore
                ? entries.last.map { call.cursors.encode(scope: scope, [.int($0.item.place)]) } : nil, from: reader)
    }

    /// All of a campaign, of which there is an end: what is printed, and what leaves as evidence.
    static func whole(_ review: AccessReview, from reader: any Reader) throws -> AccessReviewItems {
        let (entries, _) = try page(
            of: review, state: nil, reviewer: nil, after: 0, limit: AccessReview.most, from: reader)
        return try load(review, entries, state: nil, reviewer: nil, next: nil, from: reader)
    }

    private static func load(
        _ review: AccessReview, _ entries: [Entry], state: AccessReviewItem.State?, reviewer: String?, next: String?,
        from reader: any Reader
    ) throws -> AccessReviewItems {
        let people =
            review.reviewers + [review.startedBy, review.endedBy].compactMap { $0 }
            + entries.flatMap { entry -> [String] in
                [entry.item.grantedBy] + [entry.item.reviewer, entry.item.decidedBy].compactMap { $0 }
            }
        return AccessReviewItems(
            review: review, state: state, reviewer: reviewer, entries: entries,
            progress: try AccessReviewProgress.load([review.id], from: reader)[review.id] ?? .init(),
            names: try StaffDetail.names(people, from: reader), next: next)
    }

    private static func page(
        of review: AccessReview, state: AccessReviewItem.State?, reviewer: String?, after place: Int64, limit: Int,
        from reader: any Reader
    ) throws -> (entries: [Entry], isMore: Bool) {
        let now = reader.now
        let rows = try reader.query(
            AccessReviewQueries.page(
                of: review.id, state: state, reviewer: reviewer, after: place, at: now, limit: limit + 1))
        let shown = try rows.prefix(limit).map { row in
            (
                item: try AccessReviewItem(row), revoked: try row.optionalInstant("grant_revoked_at"),
                expires: try row.optionalInstant("grant_expires_at")
            )
        }
        let reasons = try reasons(shown.compactMap(\.item.eventID), from: reader)
        return (
            shown.map { row -> Entry in
                let expired = row.expires.flatMap { $0 <= now ? $0 : nil }
                let ended = [row.revoked, expired].compactMap { $0 }.min()
                return Entry(
                    item: row.item, endedAt: ended, reason: row.item.eventID.flatMap { reasons[$0] })
            }, rows.count > limit
        )
    }

    /// The justifications of some events, by event.
    static func reasons(_ events: [String], from reader: any Reader) throws -> [String: String] {
        let ids = Set(events).sorted()
        guard !ids.isEmpty else { return [:] }
        var out: [String: String] = [:]
        for row in try reader.query(EventQueries.sealed(ids)) {
            out[try row.string("event_id")] = try row.json("members")["justification"]?["value"]?.string
        }
        return out
    }

    /// What whoever decided, granted or started something is called.
    func name(_ id: String) -> String { StaffDetail.called(id, names) }

    var disclosure: Disclosure {
        Disclosure(
            "access_review.view", target: (AccessReview.type, review.id), count: entries.count,
            ids: entries.map(\.item.id), subjects: Set(entries.map(\.item.staffID)).sorted())
    }
}

/// A page of exceptions.
struct ComplianceExceptionListing {
    enum View: String, CaseIterable, Sendable { case open, closed }

    let view: View
    let items: [ComplianceException]
    let names: [String: String]
    let next: String?

    static let viewParameter = Read.Parameter(
        "view", "Those that are open, or those that were closed or accepted.",
        schema: ["type": "string", "enum": .array(View.allCases.map { .string($0.rawValue) }), "default": "open"])

    static func load(_ call: ReadCall, from reader: any Reader) throws -> ComplianceExceptionListing {
        let limit = try call.limit()
        let view: View = try AccessReviewListing.word("view", call) ?? .open
        let scope = "compliance_exception.list/\(view.rawValue)"
        let found = try reader.query(
            AccessReviewQueries.exceptions(
                isOver: view == .closed, after: AccessReviewListing.position(call, scope), limit: limit + 1)
        ).map { try ComplianceException($0) }
        let items = Array(found.prefix(limit))
        return ComplianceExceptionListing(
            view: view, items: items,
            names: try StaffDetail.names(items.flatMap { [$0.owner, $0.closedBy].compactMap { $0 } }, from: reader),
            next: found.count > limit
                ? items.last.map {
                    call.cursors.encode(scope: scope, [.int($0.openedAt.microseconds), .string($0.id)])
                } : nil)
    }

    static func find(_ id: String, from reader: any Reader) throws -> ComplianceException {
        guard let exception = try ComplianceException.load(id, from: reader) else {
            throw OperationError.notFound(
                "There is no exception \(id.prefix(60)). The list is at /compliance-exceptions.")
        }
        return exception
    }

    var disclosure: Disclosure {
        Disclosure("compliance_exception.list", count: items.count, ids: items.map(\.id))
    }
}
