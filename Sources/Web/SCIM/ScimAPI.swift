import HTTPTypes
import Hummingbird
import Kernel
import Logging

/// `/scim/v2` of the staff listener: what identity providers tell of people and roles (RFC 7644), with their own token and in
/// their own words.
struct ScimAPI: Sendable {
    let context: WebContext
    let door: any ProvisioningDoor
    let logger: Logger

    init(_ context: WebContext, door: any ProvisioningDoor, logger: Logger) {
        self.context = context
        self.door = door
        self.logger = logger
    }

    static let mediaType = "application/scim+json"
    private static let errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"

    func routes() -> [Route] {
        let verbs: [(HTTPRequest.Method, ProvisioningCall.Verb)] = [
            (.get, .read), (.post, .create), (.put, .replace), (.patch, .change), (.delete, .remove),
        ]
        // One template each, so that logs and metrics tell them apart; the last is for what is not there.
        let templates = [
            "/scim/v2/Users", "/scim/v2/Users/{id}", "/scim/v2/Groups", "/scim/v2/Groups/{id}",
            "/scim/v2/Schemas", "/scim/v2/Schemas/{id}", "/scim/v2/ResourceTypes", "/scim/v2/ResourceTypes/{id}",
            "/scim/v2/ServiceProviderConfig", "/scim/v2/{rest...}",
        ]
        return templates.flatMap { template in
            verbs.map { method, verb in
                Route(method, template, .api) { exchange in await respond(verb, exchange) }
            }
        }
    }

    private func respond(_ verb: ProvisioningCall.Verb, _ exchange: Exchange) async -> Response {
        do {
            let caller = try await authenticate(exchange)
            return try await context.tokens.limiting("scim:\(caller.displayName)") {
                do throws(ProvisioningError) {
                    return Self.response(try await door.answer(try await call(verb, exchange, caller)))
                } catch {
                    return refusal(error, exchange)
                }
            }
        } catch {
            return refusal(Problem(error), exchange)
        }
    }

    private func authenticate(_ exchange: Exchange) async throws -> Caller {
        let parts = (exchange.headers[.authorization] ?? "").split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw Problem.tokenRequired("Send the SCIM token as Authorization: Bearer.")
        }
        let token = String(parts[1].trimmed)
        let found = try await context.recognise(token, exchange) { source throws(OperationError) in
            try await door.authenticate(token: token, from: source)
        }
        guard let found else {
            throw Problem.tokenRequired("This token is unknown, replaced, revoked or expired.", error: "invalid_token")
        }
        return found
    }

    private func call(
        _ verb: ProvisioningCall.Verb, _ exchange: Exchange, _ caller: Caller
    ) async throws(ProvisioningError) -> ProvisioningCall {
        var body: JSON?
        if [.create, .replace, .change].contains(verb) {
            let bytes: [UInt8]
            do { bytes = try await exchange.body() } catch {
                throw ProvisioningError(.tooMany, "The body is too large, or did not arrive.")
            }
            let type = exchange.mediaType
            guard type.isEmpty || type == "application/json" || type == Self.mediaType else {
                throw ProvisioningError(.invalidSyntax, "\(type.prefix(60)) is not taken here; send \(Self.mediaType).")
            }
            // What takes no body says so by itself.
            do throws(JSONSyntaxError) {
                if !bytes.isEmpty { body = try JSON(parsing: bytes) }
            } catch {
                throw ProvisioningError(
                    .invalidSyntax, "The body is not JSON: \(error.reason), at byte \(error.offset).")
            }
        }
        let path = exchange.path.split(separator: "/").dropFirst(2).map { segment in
            URLText.decode(String(segment)) ?? String(segment)
        }
        return ProvisioningCall(
            verb: verb, path: path, query: exchange.query, body: body, expected: exchange.headers[.ifMatch],
            known: exchange.headers[.ifNoneMatch], address: context.configuration.staffURL + "/scim/v2", caller: caller)
    }

    // MARK: Answers

    private static func response(_ answer: ProvisioningAnswer) -> Response {
        switch answer {
        case .resource(let resource, let version, let isCreated):
            var response = Response.json(resource, status: isCreated ? .created : .ok, type: mediaType)
            if let version { response.headers[.eTag] = version }
            if let location = resource["meta"]?["location"]?.string {
                response.headers[isCreated ? .location : .contentLocation] = location
            }
            return response
        case .list(let list): return .json(list, type: mediaType)
        case .unchanged(let version):
            return Response(status: .notModified, headers: [.eTag: version, .cacheControl: "no-store"])
        case .nothing: return .noContent()
        }
    }

    private static func status(_ reason: ProvisioningError.Reason) -> (status: Int, scimType: String?) {
        switch reason {
        case .invalidFilter, .mutability, .invalidSyntax, .invalidPath, .noTarget, .invalidValue, .tooMany:
            (400, reason.rawValue)
        case .uniqueness: (409, reason.rawValue)
        case .notFound: (404, nil)
        case .notAllowed: (405, nil)
        case .conflict: (409, nil)
        case .versionMismatch: (412, nil)
        case .forbidden: (403, nil)
        case .notOffered: (501, nil)
        case .tooManyRequests: (429, nil)
        case .unavailable: (503, nil)
        case .internalError: (500, nil)
        }
    }

    private func refusal(_ error: ProvisioningError, _ exchange: Exchange) -> Response {
        if let defect = error.defect {
            logger.error("defect", metadata: ["request_id": "\(exchange.requestID)", "error": "\(defect)"])
        }
        let (status, type) = Self.status(error.reason)
        var response = Self.body(status, type, error.detail)
        if let wait = error.retryAfter { response.headers[.retryAfter] = String(max(1, wait.seconds)) }
        return response
    }

    private func refusal(_ problem: Problem, _ exchange: Exchange) -> Response {
        if let defect = problem.defect {
            logger.error("defect", metadata: ["request_id": "\(exchange.requestID)", "error": "\(defect)"])
        }
        var response = Self.body(problem.kind.status, nil, problem.detail)
        for field in problem.headers { response.headers[field.name] = field.value }
        if let wait = problem.retryAfter { response.headers[.retryAfter] = String(wait) }
        return response
    }

    private static func body(_ status: Int, _ type: String?, _ detail: String) -> Response {
        .json(
            .members([
                ("schemas", [.string(errorSchema)]), ("status", .string(String(status))),
                ("scimType", type.map(JSON.string)), ("detail", .string(detail)),
            ]), status: .init(code: status), type: mediaType)
    }
}
