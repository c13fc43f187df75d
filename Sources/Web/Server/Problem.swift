import HTTPTypes
import Hummingbird
import Kernel

/// What a client is told when a request is not carried out (RFC 9457). The one place where refusals become HTTP.
struct Problem: Error, Sendable {
    /// A kind of problem; `/problems/<slug>` explains it.
    struct Kind: Sendable, Hashable {
        let slug: String
        let title: String
        let status: Int
        /// What the page at `/problems/<slug>` says.
        let explanation: String

        fileprivate init(_ slug: String, _ status: Int, _ title: String, _ explanation: String) {
            self.slug = slug
            self.status = status
            self.title = title
            self.explanation = explanation
        }
    }

    let kind: Kind
    let detail: String
    var errors: [FieldError] = []
    var requiredPermission: String?
    var legalTransitions: [String]?
    /// Seconds.
    var retryAfter: Int64?
    var limit: String?
    /// Members of this kind alone.
    var more: [(String, JSON)] = []
    var headers: HTTPFields = [:]
    /// For the log only.
    var defect: String?

    init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    var status: HTTPResponse.Status { .init(code: kind.status) }

    /// `application/problem+json` for a request.
    func json(instance: String) -> JSON {
        let members: [(String, JSON?)] = [
            ("type", .string("/problems/\(kind.slug)")), ("title", .string(kind.title)),
            ("status", .int(Int64(kind.status))), ("detail", .string(detail)), ("instance", .string(instance)),
            (
                "errors",
                errors.isEmpty
                    ? nil : .array(errors.map { ["pointer": .string($0.pointer), "detail": .string($0.detail)] })
            ),
            ("required_permission", requiredPermission.map(JSON.string)),
            ("legal_transitions", legalTransitions.map { .array($0.map(JSON.string)) }),
            ("limit", limit.map(JSON.string)), ("retry_after", retryAfter.map(JSON.int)),
        ]
        return .members(members + more.map { (name, value) -> (String, JSON?) in (name, value) })
    }

    func response(instance: String) -> Response {
        var headers = headers
        if let retryAfter { headers[.retryAfter] = String(retryAfter) }
        return .json(json(instance: instance), status: status, type: "application/problem+json", headers: headers)
    }
}

extension Problem.Kind {
    static let malformedJSON = Self(
        "malformed-json", 400, "The body is not JSON",
        "The body could not be read as JSON (RFC 8259). The detail names the byte where reading stopped, counted "
            + "from 0. Duplicate member names and text after the value are refused too."
    )
    static let badRequest = Self(
        "bad-request", 400, "The request can't be read",
        "Something about the request is not well formed; the detail says what.")
    static let keyMissing = Self(
        "idempotency-key-missing", 400, "Idempotency-Key is missing",
        "Every request that changes something carries an Idempotency-Key header: a value you choose, new for "
            + "every new intention and the same for every retry. With ?dry_run=true no key is needed."
    )
    static let keyMalformed = Self(
        "idempotency-key-malformed", 400, "Idempotency-Key is malformed",
        "The Idempotency-Key is 1 to 255 visible ASCII characters, bare or as a quoted structured-field string.")
    static let signInRequired = Self(
        "sign-in-required", 401, "Sign in first",
        "The request carries no session, or one that is unknown, expired or ended. Sign in with POST "
            + "/api/v1/sessions and then /api/v1/sessions/totp, and send the token as Authorization: Bearer."
    )
    static let tokenRequired = Self(
        "token-required", 401, "A runtime token is needed",
        "The runtime listener takes a runtime token as Authorization: Bearer. The request carries none, or one that is "
            + "unknown, revoked or expired. Staff who may manage runtime tokens create one in the console or by postern "
            + "runtime-token create."
    )
    static let slackRefused = Self(
        "slack-refused", 401, "Not from Slack",
        "Requests from Slack carry X-Slack-Request-Timestamp and X-Slack-Signature, made with the app's signing secret over "
            + "the bytes of the body. This one's is missing, wrong, more than five minutes old, or was used before."
    )
    static let scopeMissing = Self(
        "scope-missing", 403, "The token lacks a scope",
        "A runtime token may be used only for the scopes it was made with; required_permission names the one that is "
            + "missing."
    )
    static let authorizationPending = Self(
        "authorization-pending", 400, "Nobody has answered yet",
        "The command line waits for somebody to compare its code in a browser (RFC 8628). Ask again after Retry-After "
            + "seconds."
    )
    static let slowDown = Self(
        "slow-down", 400, "Asked too soon",
        "The command line asked before its interval was over. The interval is longer from now on; wait for Retry-After "
            + "seconds.")
    static let deviceDenied = Self(
        "access-denied", 400, "Turned away",
        "Somebody compared the code and said no, or the session in which they said yes has ended since.")
    static let deviceExpired = Self(
        "expired-token", 400, "The code ran out",
        "A code is good for ten minutes and for one sign-in. Begin again with POST /api/v1/sessions/device.")
    static let stepUpRequired = Self(
        "step-up-required", 401, "Use your second factor again",
        "This operation needs a second factor used a short time ago (RFC 9470). Send a current code with POST "
            + "/api/v1/sessions/step-up and repeat the request with the same Idempotency-Key."
    )
    static let permissionMissing = Self(
        "permission-missing", 403, "You may not do this",
        "None of your current grants carries the permission named in required_permission. Somebody who may grant "
            + "roles can change that."
    )
    static let limitExceeded = Self(
        "limit-exceeded", 403, "Over your limit",
        "The amount is over what your grants allow and no approval rule covers it.")
    static let networkRefused = Self(
        "network-refused", 403, "Not from this network",
        "Staff are let in only from the networks that the operator listed in POSTERN_STAFF_NETWORKS.")
    static let formRefused = Self(
        "form-refused", 403, "The form did not come from this console",
        "The form's token is missing or belongs to another session, or the browser says that another site sent "
            + "it. Open the page again and send the form from there."
    )
    static let notFound = Self(
        "not-found", 404, "There is nothing here", "The address or the id in it names nothing that exists.")
    static let methodNotAllowed = Self(
        "method-not-allowed", 405, "Not with this method",
        "The address exists, but not for this method; the Allow header lists those it has.")
    static let conflict = Self(
        "conflict", 409, "Not in this state",
        "The target's present state does not allow this. Where it helps, legal_transitions lists what is possible.")
    static let keyRunning = Self(
        "idempotency-key-running", 409, "Still running",
        "A request with the same Idempotency-Key has not finished yet. Repeat it after Retry-After seconds to "
            + "get its answer."
    )
    static let archived = Self(
        "archived", 410, "In the archive",
        "What this address held has outlived its retention and is in the archive, whose files the events named in pruned_by "
            + "name. archived lists the entries that left; their hashes stay in the tiles, so every proof still holds. The bundles "
            + "from minimum_index on are whole (C2SP tlog-tiles, Pruning). What is left below it comes one by one as receipts, or with "
            + "an export of the log."
    )
    static let versionChanged = Self(
        "version-changed", 412, "Changed since you read it",
        "The version in If-Match is not the current one. Read the resource again, look at what changed, and "
            + "repeat with the new ETag."
    )
    static let tooLarge = Self("body-too-large", 413, "The body is too large", "A request body may have at most 1 MiB.")
    static let unsupportedMediaType = Self(
        "unsupported-media-type", 415, "Not this media type",
        "Send application/json here (forms of the console: application/x-www-form-urlencoded).")
    static let invalidFields = Self(
        "invalid-fields", 422, "Some fields can't be accepted",
        "Every field that can't be accepted is listed in errors, by JSON pointer into the body (or ?name for a "
            + "query parameter)."
    )
    static let keyReused = Self(
        "idempotency-key-reused", 422, "Idempotency-Key was used for something else",
        "The same key came with another operation, target, body or If-Match before. Use a new key for a new intention.")
    static let locked = Self(
        "locked", 423, "Locked", "A legal hold or another lock stands; the detail says which and who can lift it.")
    static let versionRequired = Self(
        "version-required", 428, "If-Match is required",
        "This operation is only accepted with If-Match and the ETag of the version you looked at, so that "
            + "nobody's change is overwritten unseen. If-Match: * matches any version, which says nothing about what was "
            + "looked at: where a version is required it is not taken, elsewhere it means what RFC 9110 says."
    )
    static let tooManyRequests = Self("too-many-requests", 429, "Too many requests", "Wait for Retry-After seconds.")
    static let internalError = Self(
        "internal-error", 500, "Something broke in Postern",
        "The request was not carried out, or its outcome is not known. Repeat it with the same Idempotency-Key; "
            + "if it fails again, give your operator the X-Request-Id."
    )
    static let unavailable = Self(
        "unavailable", 503, "Not available right now",
        "The database can't be reached or the log is behind. Nothing was changed unless the detail says "
            + "otherwise. Repeat after Retry-After seconds with the same Idempotency-Key."
    )

    static let all: [Self] = [
        malformedJSON, badRequest, keyMissing, keyMalformed, signInRequired, tokenRequired, slackRefused, scopeMissing,
        authorizationPending, slowDown, deviceDenied, deviceExpired, stepUpRequired, permissionMissing,
        limitExceeded,
        networkRefused, formRefused, notFound, methodNotAllowed, conflict, keyRunning, archived, versionChanged,
        tooLarge,
        unsupportedMediaType, invalidFields, keyReused, locked, versionRequired, tooManyRequests, internalError,
        unavailable,
    ]
}

extension Problem {
    static func tooLarge(_ limit: Int) -> Problem {
        Problem(.tooLarge, "The body has more than \(limit) bytes; send less at once.")
    }

    static func invalid(_ errors: [FieldError]) -> Problem {
        var problem = Problem(
            .invalidFields, errors.count == 1 ? errors[0].detail : "\(errors.count) fields can't be accepted.")
        problem.errors = errors
        return problem
    }

    static func malformed(_ error: JSONSyntaxError) -> Problem {
        Problem(.malformedJSON, "The body is not JSON: \(error.reason), at byte \(error.offset).")
    }

    /// What any error becomes; a defect keeps its description for the log and tells the client nothing of it.
    init(_ error: any Error) {
        switch error {
        case let problem as Problem: self = problem
        case let error as OperationError: self.init(error)
        default:
            self.init(.internalError, "The request could not be finished. Give your operator the X-Request-Id.")
            defect = String(reflecting: error)
        }
    }

    init(_ error: OperationError) {
        switch error {
        case .unknownOperation(let name): self.init(.notFound, "There is no operation \(name).")
        case .unauthenticated:
            self.init(.signInRequired, "Sign in first: this needs a session that is known and not over.")
            headers[.wwwAuthenticate] = "Bearer"
        case .stepUpRequired(let maxAge):
            self.init(
                .stepUpRequired,
                "Use your second factor again: it must have been used within \(maxAge.seconds) seconds.")
            headers[.wwwAuthenticate] =
                "Bearer error=\"insufficient_user_authentication\", "
                + "error_description=\"A fresh second factor is required\", max_age=\(maxAge.seconds)"
        case .forbidden(let permission, let detail):
            self.init(.permissionMissing, detail)
            requiredPermission = permission
        case .notAsked(let detail): self.init(.permissionMissing, detail)
        case .overLimit(let detail):
            self.init(.limitExceeded, detail)
            limit = detail
        case .invalid(let errors): self = .invalid(errors)
        case .conflict(let detail, let legal):
            self.init(.conflict, detail)
            legalTransitions = legal
        case .locked(let detail): self.init(.locked, detail)
        case .notFound(let detail): self.init(.notFound, detail)
        case .preconditionFailed(let current):
            self.init(
                .versionChanged,
                "Somebody changed it since you read it: its version is \(current) now. Read it again and repeat.")
            headers[.eTag] = ETag.text(current)
        case .preconditionRequired:
            self.init(.versionRequired, "Send If-Match with the ETag of the version you looked at.")
        case .keyMissing:
            self.init(
                .keyMissing,
                "Send an Idempotency-Key header: a new value for a new intention, the same one for a retry.")
        case .keyMalformed(let detail): self.init(.keyMalformed, detail)
        case .keyRunning:
            self.init(
                .keyRunning,
                "The first request with this Idempotency-Key is still running. Repeat in a second for its answer.")
            retryAfter = 1
        case .keyReused:
            self.init(
                .keyReused, "This Idempotency-Key came with another request before. Use a new key for a new intention.")
        case .tooManyRequests(let span):
            let seconds = max(1, (span.microseconds + 999_999) / 1_000_000)
            self.init(.tooManyRequests, "Too many requests. Try again in \(seconds) seconds.")
            retryAfter = seconds
        case .unavailable(let detail):
            self.init(.unavailable, detail)
            retryAfter = 5
        case .internalError(let detail):
            self.init(.internalError, "The request could not be finished. Give your operator the X-Request-Id.")
            defect = detail
        }
    }
}

/// Strong entity tags: the version in quotes.
enum ETag {
    static func text(_ version: Int64) -> String { "\"\(version)\"" }

    /// The version in an `If-Match` field: `nil` without the field or for `*`; −1, which no row has, for a tag that
    /// can't be one of ours, so that the comparison fails as it must.
    static func version(ifMatch text: String?) throws(Problem) -> Int64? {
        guard let text = text?.trimmed, text != "*" else { return nil }
        if text.hasPrefix("W/\"") { return -1 }
        guard text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") else {
            throw Problem(
                .badRequest,
                "If-Match must be one strong entity tag, such as \"7\", exactly as the ETag header gave it.")
        }
        let inner = text.dropFirst().dropLast()
        guard !inner.contains("\"") else {
            throw Problem(.badRequest, "If-Match takes one entity tag here, not a list.")
        }
        guard let version = Int64(inner), version > 0, String(version) == inner else { return -1 }
        return version
    }
}
