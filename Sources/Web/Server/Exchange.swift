import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// One request on its way to an answer.
struct Exchange: Sendable {
    let request: Request
    /// The path as sent, without the query.
    let path: String
    /// The values of the template's parameters, decoded.
    let parameters: [String: String]
    let query: [String: [String]]
    let client: ClientAddress
    /// `req_…`
    let requestID: String
    /// Closes the connection, whatever is being written to it.
    let cut: @Sendable () -> Void

    var headers: HTTPFields { request.headers }
    var userAgent: String { headers[.userAgent] ?? "" }

    /// The first value of a query parameter; `nil` when it is absent or empty.
    func first(_ name: String) -> String? { query[name]?.first.flatMap { $0.isEmpty ? nil : $0 } }

    /// The source of a request to the API: Postern's own command line says so in its User-Agent.
    var apiSource: Source {
        source(userAgent == "postern-cli" || userAgent.hasPrefix("postern-cli/") ? .cli : .api)
    }

    /// Where this request comes from, as sign-in wants to know it.
    func source(_ through: Kernel.Client) -> Source {
        Source(ip: client.ip, userAgent: String(userAgent.prefix(400)), client: through, requestID: requestID)
    }

    /// The value of a cookie; only the named one is ever looked at.
    func cookie(_ name: String) -> String? {
        for field in headers[values: .cookie] {
            for pair in field.split(separator: ";") {
                let pair = pair.trimmed
                guard pair.utf8.count > name.utf8.count, pair.hasPrefix(name) else { continue }
                let rest = pair.dropFirst(name.count)
                if rest.first == "=" { return String(rest.dropFirst()) }
            }
        }
        return nil
    }

    /// The whole body.
    func body(limit: Int = Exchange.bodyLimit) async throws -> [UInt8] {
        if let announced = headers[.contentLength].flatMap(Int.init), announced > limit {
            throw Problem.tooLarge(limit)
        }
        do {
            let buffer = try await request.body.collect(upTo: limit)
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw Problem.tooLarge(limit)
        }
    }

    /// 1 MiB
    static let bodyLimit = 1 << 20

    /// The media type of the body in lower case, without parameters.
    var mediaType: String {
        String((headers[.contentType] ?? "").prefix { $0 != ";" }.trimmed).lowercased()
    }
}

extension Response {
    /// An answer of canonical JSON.
    static func json(
        _ json: JSON, status: HTTPResponse.Status = .ok, type: String = "application/json", headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = type
        headers[.cacheControl] = "no-store"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: json.canonical)))
    }

    static func noContent() -> Response { Response(status: .noContent, headers: [.cacheControl: "no-store"]) }

    static func text(_ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain; charset=utf-8")
        -> Response
    {
        Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    /// 303: the client goes on with GET.
    static func seeOther(_ location: String) -> Response {
        Response(status: .seeOther, headers: [.location: location, .cacheControl: "no-store"])
    }
}
