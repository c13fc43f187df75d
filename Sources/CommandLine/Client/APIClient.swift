import Foundation
import Kernel

/// The API as the verbs use it: signs requests, asks for a fresh code when the server wants one, repeats what may be
/// repeated, and turns every refusal into a `CommandFailure`.
struct APIClient: Sendable {
    let server: String
    let transport: any Transport
    let token: String?
    let terminal: Terminal
    /// A code given on the command line, for a step-up.
    var code: String?

    /// - Parameter server: as given by `--server`, else `POSTERN_URL`, else the demo's.
    static func make(server given: String?, needsToken: Bool = true) throws(CommandFailure) -> APIClient {
        let invocation = Invocation.current
        let server = try address(given ?? invocation.environment["POSTERN_URL"] ?? "")
        var token = invocation.environment["POSTERN_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
        if token == nil { token = try invocation.credentials.entry(for: server)?.token }
        if needsToken, token == nil {
            throw CommandFailure(.notSignedIn, "You are not signed in to \(server). Sign in with: postern login")
        }
        return APIClient(
            server: server, transport: invocation.transport(server), token: token, terminal: invocation.terminal)
    }

    /// The server's base URL. Plain HTTP is for this machine only, since a token travels in each request.
    static func address(_ text: String) throws(CommandFailure) -> String {
        let text = text.isEmpty ? "http://localhost:8080" : text
        guard let url = URL(string: text), let scheme = url.scheme, let host = url.host(),
            ["http", "https"].contains(scheme),
            url.query() == nil
        else {
            throw CommandFailure(
                .usage, "\"\(text.printable)\" is not a server's URL, such as https://console.example.com.")
        }
        if scheme == "http", !["127.0.0.1", "localhost", "::1"].contains(host) {
            throw CommandFailure(.usage, "\(text) would send your token in the clear. Use https.")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    /// The answer as it is, after a step-up where the server asked for one.
    func send(_ request: APIRequest) async throws(CommandFailure) -> APIResponse {
        let response = try await attempt(request)
        guard try await stepUp(after: response) else { return response }
        return try await attempt(request)
    }

    /// Uses the factor where the server asked for it; false where it did not, or nobody is there to give a code.
    private func stepUp(after response: APIResponse) async throws(CommandFailure) -> Bool {
        guard Problem.isStepUp(response), let code = try stepUpCode(for: response) else { return false }
        let answer = try await attempt(APIRequest("POST", "/api/v1/sessions/step-up", body: ["code": .string(code)]))
        guard (200..<300).contains(answer.status) else { throw Problem.failure(answer) }
        return true
    }

    /// The JSON of a successful answer.
    func json(_ request: APIRequest) async throws(CommandFailure) -> JSON {
        let response = try await send(request)
        guard (200..<300).contains(response.status) else { throw Problem.failure(response) }
        return response.json ?? .null
    }

    func get(_ path: String, _ query: [(String, String?)] = []) async throws(CommandFailure) -> JSON {
        try await json(APIRequest("GET", path + Self.query(query)))
    }

    func stream(_ path: String, to sink: @Sendable ([UInt8]) throws -> Void) async throws(CommandFailure) {
        let request = signed(APIRequest("GET", path))
        var response = try await transport.stream(request, to: sink)
        if try await stepUp(after: response) { response = try await transport.stream(request, to: sink) }
        guard response.status == 200 else { throw Problem.failure(response) }
    }

    /// A mutation carries a key, so that it may be sent again when the connection broke or its twin still runs.
    private func attempt(_ request: APIRequest) async throws(CommandFailure) -> APIResponse {
        let signed = signed(request)
        let mayRepeat = request.method == "GET" || request.headers["Idempotency-Key"] != nil
        for _ in 0..<3 where mayRepeat {
            do throws(CommandFailure) {
                let response = try await transport.send(signed)
                guard response.status == 409, let wait = response.headers["retry-after"].flatMap(Int.init), wait <= 10
                else {
                    return response
                }
                try await pause(wait)
            } catch {
                guard error.status == .unavailable, request.method != "GET" else { throw error }
            }
        }
        return try await transport.send(signed)
    }

    private func pause(_ seconds: Int) async throws(CommandFailure) {
        do { try await Task.sleep(for: .seconds(seconds)) } catch { throw CommandFailure(.unexpected, "Interrupted.") }
    }

    private func signed(_ request: APIRequest) -> APIRequest {
        var request = request
        if let token { request.headers["Authorization"] = "Bearer \(token)" }
        return request
    }

    private func stepUpCode(for response: APIResponse) throws(CommandFailure) -> String? {
        if let code { return code }
        guard terminal.isInteractive else { return nil }
        terminal.note("This needs a fresh code from your authenticator.")
        return try terminal.prompt("Code: ").trimmingCharacters(in: .whitespaces)
    }

    static func query(_ pairs: [(String, String?)]) -> String {
        let given = pairs.compactMap { name, value in value.map { "\(name)=\(encode($0))" } }
        return given.isEmpty ? "" : "?" + given.joined(separator: "&")
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters.
    static func encode(_ text: String) -> String {
        text.addingPercentEncoding(
            withAllowedCharacters: CharacterSet(
                charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"))!
    }
}
