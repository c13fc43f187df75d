import HTTPTypes
import Hummingbird
import Kernel
import Logging
import NIOCore
import NIOHTTP1

/// What Hummingbird gives us of a connection.
struct Connection: InitializableFromSource {
    let peer: String?
    let channel: any Channel
    let logger: Logger
    init(source: ApplicationRequestContextSource) {
        peer = source.channel.remoteAddress?.ipAddress
        channel = source.channel
        logger = source.logger
    }
}

/// Answers the requests of one listener: finds the route, turns errors into answers, logs and counts.
struct ListenerResponder: HTTPResponder {
    let listener: ListenerName
    let routes: RouteTable
    let configuration: WebConfiguration
    let clock: Clock
    let logger: Logger
    /// Renders a problem for a person; `nil` on listeners without pages.
    let errorPage: (@Sendable (Problem, Exchange) async -> Response)?
    let unmatched: RouteTally
    let stopping: Stopping

    @Sendable func respond(to request: Request, context: Connection) async throws -> Response {
        let started = ContinuousClock.now
        let requestID = Identifier.mint("req", at: clock.now)
        let target = request.head.path ?? "/"
        let mark = target.utf8.firstIndex(of: UInt8(ascii: "?"))
        let path = String(target[..<(mark ?? target.endIndex)])
        let queryText = mark.map { target[target.utf8.index(after: $0)...] } ?? ""
        let client = ClientAddress(
            peer: context.peer, headers: request.headers, trusting: configuration.trustedProxies,
            in: configuration.trustedProxyHeader)

        var route: Route?
        func exchange(_ parameters: [String: String], _ query: [String: [String]]) -> Exchange {
            Exchange(
                request: request, path: path, parameters: parameters, query: query, client: client,
                requestID: requestID, cut: { [channel = context.channel] in channel.close(promise: nil) })
        }

        var response: Response
        var failed: Exchange
        do {
            failed = exchange([:], [:])
            if listener == .staff, !configuration.openPaths.contains(path) {
                try configuration.checkStaffNetwork(client)
            }
            guard let query = URLText.fields(queryText), let segments = Self.segments(path) else {
                throw Problem(.badRequest, "The address holds a percent escape that is not valid UTF-8 text.")
            }
            switch routes.match(request.method, segments) {
            case .found(let found, let parameters):
                route = found
                failed = exchange(parameters, query)
                response = try await found.handler(failed)
            case .otherMethods(let methods):
                var problem = Problem(.methodNotAllowed, "\(path) does not take \(request.method.rawValue).")
                problem.headers[.allow] = methods.map(\.rawValue).sorted().joined(separator: ", ")
                throw problem
            case .none:
                throw Problem(.notFound, "There is nothing at \(path).")
            }
        } catch let error as HTTPParserError {
            throw error
        } catch {
            let problem = Problem(error)
            if let defect = problem.defect {
                logger.error("defect", metadata: ["request_id": "\(requestID)", "error": "\(defect)"])
            }
            failed = exchange([:], [:])
            let isPage = route.map { $0.surface == .page } ?? (!path.hasPrefix("/api/") && listener == .staff)
            if isPage, let errorPage {
                response = await errorPage(problem, failed)
            } else {
                response = problem.response(instance: path)
            }
        }

        response.headers[.xRequestID] = requestID
        response.headers[.xContentTypeOptions] = "nosniff"
        // The next request goes to another server, on another connection.
        if stopping.hasBegun { response.headers[.connection] = "close" }
        if configuration.isReachedByTLS { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        if request.method == .head { response = response.createHeadResponse() }

        let elapsed = started.duration(to: .now)
        let microseconds =
            Int(elapsed.components.seconds) * 1_000_000 + Int(elapsed.components.attoseconds / 1_000_000_000_000)
        (route?.tally ?? unmatched).record(status: response.status.code, microseconds: microseconds)
        let template = route?.template ?? "(no route)"
        let milliseconds = "\(microseconds / 1000).\(microseconds / 100 % 10)"
        logger.info(
            "\(request.method.rawValue) \(template) \(response.status.code) \(milliseconds) ms",
            metadata: ["request_id": "\(requestID)", "listener": "\(listener.rawValue)"])
        return response
    }

    private static func segments(_ path: String) -> [String]? {
        var out: [String] = []
        for part in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            guard let segment = URLText.decode(part) else { return nil }
            out.append(segment)
        }
        // "/" and a trailing slash: one empty segment at the end
        if out.last == "" { out.removeLast() }
        return out
    }
}
