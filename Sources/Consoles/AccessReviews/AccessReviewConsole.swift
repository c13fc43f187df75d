import HTML
import Kernel

/// Who holds which role, looked at again: campaigns, their schedule, and what comes of those that are not finished in time.
public enum AccessReviewConsole {
    public static let console = Console(
        "Access reviews",
        menu: [
            .init(
                .assurance, "Access reviews", icon: "check", path: "/access-reviews", permission: "access_review.view",
                foresees: { [AccessReviewQueries.countOwed(by: $0.person)] }
            ) { caller, reader in
                try reader.first(AccessReviewQueries.countOwed(by: caller.person))?.int("count") ?? 0
            },
            .init(
                .assurance, "Compliance exceptions", icon: "alert", path: "/compliance-exceptions",
                permission: "compliance.view",
                foresees: { _ in [AccessReviewQueries.countExceptions] }
            ) { _, reader in try reader.first(AccessReviewQueries.countExceptions)?.int("count") ?? 0 },
        ],
        operations: [
            AnyOperation(StartAccessReview.self), AnyOperation(StartPlannedAccessReview.self),
            AnyOperation(KeepReviewedGrant.self), AnyOperation(RevokeReviewedGrant.self),
            AnyOperation(CloseAccessReview.self), AnyOperation(CancelAccessReview.self),
            AnyOperation(ReassignAccessReview.self), AnyOperation(RemindAccessReview.self),
            AnyOperation(EscalateAccessReview.self), AnyOperation(ChangeAccessReviewPlan.self),
        ],
        reads: [list, view, items, item, plans, exceptions, exception],
        entities: [
            AnyEntityType(AccessReview.self), AnyEntityType(AccessReviewItem.self),
            AnyEntityType(AccessReviewPlan.self),
            AnyEntityType(ComplianceException.self),
        ],
        pages: [
            AccessReviewPages.list, AccessReviewPages.view, AccessReviewPages.report, ComplianceExceptionPages.list,
            ComplianceExceptionPages.view,
        ],
        uniqueRules: [
            "access_reviews_planned": FieldError(
                pointer: "/input", detail: "The review that was due has just been started.")
        ],
        choices: [
            "access_review.start/roles": roles, "access_review.start/reviewers": reviewers,
            "access_review_plan.change/roles": roles,
        ], evidence: [AccessReviewEvidence.source],
        specimens: [
            .init("Access review", AccessReviewItem.State.allCases.map(AccessReviewPages.state)),
            .init("Exception", ComplianceException.Severity.allCases.map(ComplianceExceptionPages.severity)),
        ])

    private static let roles: @Sendable (any Reader) throws -> [Field.Choice] = { _ in
        Seeds.roles.map { Field.Choice($0.id, $0.title, note: $0.summary) }
    }

    private static let reviewers: @Sendable (any Reader) throws -> [Field.Choice] = { reader in
        try reader.query(AccessReviewQueries.able(at: reader.now)).map {
            Field.Choice(try $0.string("id"), try $0.string("name"))
        }
    }

    private static let list = Read(
        "access_review.list", summary: "Access reviews with how far each is, the newest first.",
        path: "/access-reviews", permission: "access_review.view",
        parameters: [AccessReviewListing.stateParameter, .limit, .cursor], schema: AccessReview.schema, isList: true
    ) { call, reader in
        let listing = try AccessReviewListing.load(call, from: reader)
        return .list(listing.entries.map(\.json), next: listing.next, disclosure: listing.disclosure)
    }

    private static let view = Read(
        "access_review.view", summary: "One access review, and how far it is.", path: "/access-reviews/{id}",
        permission: "access_review.view", schema: AccessReview.schema, hasVersion: true
    ) { call, reader in
        let review = try AccessReviewListing.find(call.path["id"] ?? "", from: reader)
        let progress = try AccessReviewProgress.load([review.id], from: reader)[review.id] ?? .init()
        return ReadAnswer(
            AccessReviewListing.Entry(review: review, progress: progress).json, version: review.version)
    }

    private static let items = Read(
        "access_review_item.list",
        summary:
            "What a review looks at, in the order of the frozen list, with the decisions and the grants as they are now.",
        path: "/access-reviews/{id}/items", permission: "access_review.view",
        parameters: AccessReviewItems.parameters + [.limit, .cursor], schema: AccessReviewItem.schema, isList: true
    ) { call, reader in
        let items = try AccessReviewItems.load(call, from: reader)
        return .list(items.entries.map(\.json), next: items.next, disclosure: items.disclosure)
    }

    private static let item = Read(
        "access_review_item.view", summary: "One grant in a review.", path: "/access-review-items/{id}",
        permission: "access_review.view", schema: AccessReviewItem.schema, hasVersion: true
    ) { call, reader in
        let id = call.path["id"] ?? ""
        guard let item = try AccessReviewItem.load(id, from: reader) else {
            throw OperationError.notFound("There is no grant \(id.prefix(60)) in any review.")
        }
        return ReadAnswer(
            item.document, version: item.version,
            disclosure: Disclosure(
                "access_review_item.view", target: (AccessReviewItem.type, item.id), count: 1, ids: [item.id],
                subjects: [item.staffID]))
    }

    private static let plans = Read(
        "access_review_plan.list", summary: "When reviews start by themselves: one schedule.",
        path: "/access-review-plans", permission: "access_review.view", parameters: [.limit, .cursor],
        schema: AccessReviewPlan.schema, isList: true
    ) { call, reader in
        _ = try call.limit()
        return .list([try AccessReviewList.schedule(from: reader).document], next: nil)
    }

    private static let exceptions = Read(
        "compliance_exception.list",
        summary: "Controls that do not hold at the moment, the newest first; or those that were closed.",
        path: "/compliance-exceptions", permission: "compliance.view",
        parameters: [ComplianceExceptionListing.viewParameter, .limit, .cursor], schema: ComplianceException.schema,
        isList: true
    ) { call, reader in
        let listing = try ComplianceExceptionListing.load(call, from: reader)
        return .list(listing.items.map(\.document), next: listing.next, disclosure: listing.disclosure)
    }

    private static let exception = Read(
        "compliance_exception.view", summary: "One exception.", path: "/compliance-exceptions/{id}",
        permission: "compliance.view", schema: ComplianceException.schema, hasVersion: true
    ) { call, reader in
        let exception = try ComplianceExceptionListing.find(call.path["id"] ?? "", from: reader)
        return ReadAnswer(
            exception.document, version: exception.version,
            disclosure: Disclosure(
                "compliance_exception.view", target: (ComplianceException.type, exception.id), count: 1,
                ids: [exception.id]))
    }
}
