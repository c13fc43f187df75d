import HTTPTypes
import Hummingbird

/// What a client expects when something goes wrong.
enum Surface: Sendable {
    /// `application/problem+json`
    case api
    /// An HTML page in the console's frame.
    case page
}

/// One method on one path.
struct Route: Sendable {
    typealias Handler = @Sendable (Exchange) async throws -> Response

    let method: HTTPRequest.Method
    /// `/tenants/{id}`; a last segment `{name...}` takes everything that follows. Also what logs and metrics say.
    let template: String
    let surface: Surface
    let tally: RouteTally
    let handler: Handler
    fileprivate let names: [String]

    init(_ method: HTTPRequest.Method, _ template: String, _ surface: Surface, _ handler: @escaping Handler) {
        self.method = method
        self.template = template
        self.surface = surface
        self.handler = handler
        tally = RouteTally()
        names = template.split(separator: "/").filter { $0.hasPrefix("{") }
            .map { String($0.dropFirst().dropLast().prefix { $0 != "." }) }
    }
}

/// The routes of one listener, as a tree of path segments: literal segments win over parameters.
struct RouteTable: Sendable {
    enum Match {
        case found(Route, [String: String])
        /// The path exists, for these methods only.
        case otherMethods([HTTPRequest.Method])
        case none
    }

    private struct Branch: Sendable {
        var literals: [String: Int] = [:]
        var parameter: Int?
        var rest: [Route] = []
        var routes: [Route] = []
    }

    private var branches = [Branch()]
    private(set) var routes: [Route] = []

    /// Two routes with one method and one path are a programming error, found at start.
    init(_ routes: [Route]) {
        for route in routes { add(route) }
    }

    private mutating func add(_ route: Route) {
        routes.append(route)
        var at = 0
        for segment in route.template.split(separator: "/") {
            if segment.hasSuffix("...}") {
                branches[at].rest.append(route)
                return
            }
            if segment.hasPrefix("{") {
                if branches[at].parameter == nil {
                    branches.append(Branch())
                    branches[at].parameter = branches.count - 1
                }
                at = branches[at].parameter!
            } else {
                if branches[at].literals[String(segment)] == nil {
                    branches.append(Branch())
                    branches[at].literals[String(segment)] = branches.count - 1
                }
                at = branches[at].literals[String(segment)]!
            }
        }
        precondition(
            !branches[at].routes.contains { $0.method == route.method },
            "two routes answer \(route.method.rawValue) \(route.template)")
        branches[at].routes.append(route)
    }

    /// HEAD is answered by GET's route.
    func match(_ method: HTTPRequest.Method, _ segments: [String]) -> Match {
        var values: [String] = []
        var allowed: [HTTPRequest.Method] = []
        let wanted = method == .head ? .get : method
        if let route = find(0, segments[...], wanted, &values, &allowed) {
            return .found(route, Dictionary(zip(route.names, values), uniquingKeysWith: { first, _ in first }))
        }
        if allowed.isEmpty { return .none }
        if allowed.contains(.get) { allowed.append(.head) }
        return .otherMethods(allowed)
    }

    private func find(
        _ at: Int, _ segments: ArraySlice<String>, _ method: HTTPRequest.Method, _ values: inout [String],
        _ allowed: inout [HTTPRequest.Method]
    ) -> Route? {
        let branch = branches[at]
        guard let segment = segments.first else {
            if let route = branch.routes.first(where: { $0.method == method }) { return route }
            for route in branch.routes where !allowed.contains(route.method) { allowed.append(route.method) }
            return nil
        }
        if let next = branch.literals[segment], let route = find(next, segments.dropFirst(), method, &values, &allowed)
        {
            return route
        }
        if let next = branch.parameter, !segment.isEmpty {
            values.append(segment)
            if let route = find(next, segments.dropFirst(), method, &values, &allowed) { return route }
            values.removeLast()
        }
        if !branch.rest.isEmpty {
            if let route = branch.rest.first(where: { $0.method == method }) {
                values.append(segments.joined(separator: "/"))
                return route
            }
            for route in branch.rest where !allowed.contains(route.method) { allowed.append(route.method) }
        }
        return nil
    }
}
