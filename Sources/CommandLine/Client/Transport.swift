import AsyncHTTPClient
import Kernel
import NIOCore

/// One answer of the server, whole.
public struct APIResponse: Sendable {
    public let status: Int
    /// Lower-case names.
    public let headers: [String: String]
    public let body: [UInt8]

    public init(status: Int, headers: [String: String], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public var json: JSON? { try? JSON(parsing: body) }
}

/// One question to the server.
public struct APIRequest: Sendable {
    public var method: String
    /// `/api/v1/tenants`, with its query.
    public var path: String
    public var headers: [String: String]
    public var body: JSON?

    public init(_ method: String, _ path: String, headers: [String: String] = [:], body: JSON? = nil) {
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
    }
}

/// Carries requests to a server. Throws `.unavailable` when it can't be reached.
public protocol Transport: Sendable {
    func send(_ request: APIRequest) async throws(CommandFailure) -> APIResponse
    /// Hands a large successful answer on piece by piece; any other answer is returned whole and nothing is handed on.
    func stream(
        _ request: APIRequest, to sink: @Sendable ([UInt8]) throws -> Void
    ) async throws(CommandFailure) -> APIResponse
}

/// HTTP by AsyncHTTPClient.
struct HTTPTransport: Transport {
    let server: String

    /// Says at once that nobody listens, instead of trying until the deadline.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration.singletonConfiguration
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    func send(_ request: APIRequest) async throws(CommandFailure) -> APIResponse {
        let (response, body) = try await begin(request)
        do {
            return Self.answer(response, Array(buffer: try await body.collect(upTo: 64 << 20)))
        } catch {
            throw unreachable(error)
        }
    }

    func stream(
        _ request: APIRequest, to sink: @Sendable ([UInt8]) throws -> Void
    ) async throws(CommandFailure) -> APIResponse {
        let (response, body) = try await begin(request)
        do {
            guard response.status == .ok else {
                return Self.answer(response, Array(buffer: try await body.collect(upTo: 1 << 20)))
            }
            for try await piece in body { try sink(Array(buffer: piece)) }
            return Self.answer(response, [])
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw unreachable(error)
        }
    }

    private func begin(_ request: APIRequest) async throws(CommandFailure) -> (
        HTTPClientResponse, HTTPClientResponse.Body
    ) {
        var outgoing = HTTPClientRequest(url: server + request.path)
        outgoing.method = .RAW(value: request.method)
        // Constant: a session is bound to it.
        outgoing.headers.add(name: "User-Agent", value: "postern-cli")
        outgoing.headers.add(name: "Accept", value: "application/json, application/problem+json")
        for (name, value) in request.headers.sorted(by: { $0.key < $1.key }) {
            outgoing.headers.add(name: name, value: value)
        }
        if let body = request.body {
            outgoing.headers.add(name: "Content-Type", value: "application/json")
            outgoing.body = .bytes(body.canonical)
        }
        do {
            let response = try await Self.client.execute(outgoing, timeout: .seconds(60))
            return (response, response.body)
        } catch {
            throw unreachable(error)
        }
    }

    private static func answer(_ response: HTTPClientResponse, _ body: [UInt8]) -> APIResponse {
        APIResponse(
            status: Int(response.status.code),
            headers: Dictionary(
                response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { "\($0), \($1)" }),
            body: body)
    }

    private func unreachable(_ error: any Error) -> CommandFailure {
        let text = "\(error)"
        // The library's own words name each address it tried; what matters is why.
        let known = ["Connection refused", "connectTimeout", "deadlineExceeded", "remoteConnectionClosed"]
        let words = ["connection refused", "no connection in time", "no answer in time", "the connection was closed"]
        let reason = zip(known, words).first { text.contains($0.0) }?.1 ?? text
        return CommandFailure(
            .unavailable,
            "\(server) can't be reached (\(reason)). Is the server running? Set POSTERN_URL or --server to change it.")
    }
}
