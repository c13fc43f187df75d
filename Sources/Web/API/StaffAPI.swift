import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// `/api/v1` of the staff listener.
struct StaffAPI: Sendable {
    let context: WebContext
    let slots = ExportSlots()

    init(_ context: WebContext) { self.context = context }

    func routes() -> [Route] {
        let openAPI = OpenAPI.document(context.catalog).prettyBytes
        return sessionRoutes() + readRoutes() + operationRoutes() + eventRoutes() + approvalRoutes() + exportRoutes()
            + inboxRoutes() + evidenceRoutes() + [
                Route(.get, "/api/v1/openapi.json", .api) { exchange in
                    try await context.requests.limiting(exchange.client.source) {
                        Response(
                            status: .ok,
                            headers: [.contentType: "application/json", .cacheControl: "public, max-age=300"],
                            body: .init(byteBuffer: ByteBuffer(bytes: openAPI)))
                    }
                }
            ]
    }

    /// Who sends a request.
    struct Signed: Sendable {
        enum Means: Sendable {
            case session(SessionInfo)
            case account(AccountCaller)
        }
        let caller: Caller
        let means: Means
        let token: String
        fileprivate let since = ContinuousClock.now

        /// A person's session. What belongs to one is nothing for an account.
        var session: SessionInfo {
            get throws(Problem) {
                guard case .session(let session) = means else {
                    throw Problem(
                        .permissionMissing,
                        "This takes a person's session. Service accounts and assistants have none, and use no second factor."
                    )
                }
                return session
            }
        }
    }

    /// Who asks, once all of a request is there: a body may take its time, in which a session ends or a role is taken away.
    func asking(_ signed: Signed, _ exchange: Exchange) async throws -> Caller {
        ContinuousClock.now - signed.since < .milliseconds(250)
            ? signed.caller : try await authenticate(exchange, cookieDownload: false).caller
    }

    typealias SignedHandler = @Sendable (Exchange, Signed) async throws -> Response

    /// A route that needs a session by `Authorization: Bearer`.
    /// - Parameter cookieDownload: a browser of the console may also fetch it with its cookie.
    func signed(
        _ method: HTTPRequest.Method, _ path: String, cookieDownload: Bool = false, _ handler: @escaping SignedHandler
    ) -> Route {
        Route(method, "/api/v1" + path, .api) { exchange in
            try await serve(exchange, cookieDownload: cookieDownload, handler)
        }
    }

    /// Answers whoever shows a staff token, as often as their session or account may ask.
    func serve(
        _ exchange: Exchange, cookieDownload: Bool = false, _ handler: SignedHandler
    ) async throws -> Response {
        let signed: Signed
        do {
            signed = try await authenticate(exchange, cookieDownload: cookieDownload)
        } catch {
            // Who is nobody yet is counted by source.
            var problem = Problem(error)
            context.strangers.take(exchange.client.source, cost: 0)?.mark(&problem.headers)
            throw problem
        }
        switch signed.means {
        case .session(let session):
            return try await context.requests.limiting(session.id) {
                try await Self.answer(exchange, signed, handler)
            }
        case .account:
            return try await context.accounts.limiting(signed.caller.actor.id) {
                try await handler(exchange, signed)
            }
        }
    }

    /// Where a link of a page asks for an old factor, it leads to where that is used, and from there to the file.
    private static func answer(
        _ exchange: Exchange, _ signed: Signed, _ handler: SignedHandler
    ) async throws -> Response {
        do {
            return try await handler(exchange, signed)
        } catch OperationError.stepUpRequired where exchange.headers[.authorization] == nil {
            let query = exchange.query.isEmpty ? "" : "?" + URLText.query(exchange.query)
            return .seeOther("/step-up?next=\(URLText.encode(exchange.path + query))")
        }
    }

    func authenticate(_ exchange: Exchange, cookieDownload: Bool) async throws -> Signed {
        let token: String
        if let authorization = exchange.headers[.authorization] {
            let parts = authorization.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else {
                throw Problem.unauthenticated("Send the session's token as Authorization: Bearer.")
            }
            token = String(parts[1].trimmed)
        } else if cookieDownload, let cookie = exchange.cookie(context.configuration.sessionCookie) {
            let site = exchange.headers[.secFetchSite]
            guard site == nil || site == "same-origin" || site == "none" else {
                throw Problem(.formRefused, "Another site asked for this download; open it from the console.")
            }
            token = cookie
        } else if exchange.cookie(context.configuration.sessionCookie) != nil {
            throw Problem.unauthenticated("The API takes no cookie; send the session's token as Authorization: Bearer.")
        } else {
            throw Problem.unauthenticated("Sign in first: POST /api/v1/sessions, then send Authorization: Bearer.")
        }
        if exchange.headers[.authorization] != nil, let door = context.accountDoor, door.knows(token: token) {
            guard let account = try await context.authenticate(token, at: door, exchange) else {
                throw Problem.unauthenticated(
                    "This account's token is unknown, replaced, revoked or expired, or its owner is not active.",
                    error: "invalid_token")
            }
            return Signed(caller: account.caller, means: .account(account), token: token)
        }
        guard let (caller, session) = try await context.authenticate(token, exchange, exchange.apiSource) else {
            throw Problem.unauthenticated(
                "This session is unknown, over or ended; sign in again.", error: "invalid_token")
        }
        return Signed(caller: caller, means: .session(session), token: token)
    }

    // MARK: Reads

    private func readRoutes() -> [Route] {
        context.catalog.reads.map { read in
            signed(.get, read.path) { exchange, signed in
                if let export = read.export, Self.wantsCSV(exchange) {
                    try Self.check(exchange, knows: read.exportParameters.map(\.name))
                    return try await self.export(read, export, exchange, signed)
                }
                if read.name == "audit.list", Self.wantsCSV(exchange) {
                    try Self.check(exchange, knows: read.exportParameters.map(\.name))
                    return try await exportEvents(exchange, signed, .csv)
                }
                try Self.check(exchange, knows: read.parameters.map(\.name))
                let call = ReadCall(
                    path: exchange.parameters, query: exchange.query, caller: signed.caller, cursors: context.cursors)
                let answer = try await context.pipeline.read(read.permission, by: signed.caller) { reader in
                    let answer = try read.run(call, reader)
                    return (answer, answer.disclosure)
                }
                var response = Response.json(answer.body)
                if let version = answer.version { response.headers[.eTag] = ETag.text(version) }
                if let next = answer.nextCursor {
                    var query = exchange.query
                    query["cursor"] = [next]
                    response.headers[.link] = "<\(exchange.path)?\(URLText.query(query))>; rel=\"next\""
                }
                return response
            }
        }
    }
}

extension StaffAPI {
    /// Refuses query parameters that aren't there.
    static func check(_ exchange: Exchange, knows names: [String]) throws {
        let wanted = names.isEmpty ? "none" : names.joined(separator: ", ")
        let unknown = exchange.query.keys.filter { !names.contains($0) }.sorted()
        guard unknown.isEmpty else {
            throw Problem.invalid(
                unknown.map { name in
                    FieldError(
                        pointer: "?\(name)", detail: "\"\(name)\" is not a parameter here; known are \(wanted).")
                })
        }
    }
}

extension Problem {
    /// 401 with the challenge RFC 6750 asks for.
    static func unauthenticated(_ detail: String, error: String? = nil) -> Problem {
        var problem = Problem(.signInRequired, detail)
        problem.headers[.wwwAuthenticate] = error.map { "Bearer error=\"\($0)\"" } ?? "Bearer"
        return problem
    }
}
