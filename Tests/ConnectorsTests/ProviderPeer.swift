import Foundation
import Kernel
import NIOCore
import NIOPosix
import Synchronization

@testable import Connectors

/// An identity provider on a port of its own. It demands what the standards demand of a client.
final class ProviderPeer: Sendable {
    struct State {
        var forge: TokenForge
        var claims: [String: JSON] = [:]
        var discovery: [String: JSON] = [:]
        /// By code: the challenge and nonce it was made for.
        var codes: [String: (challenge: String, nonce: String)] = [:]
        var userInfo: JSON?
        var statuses: [String: Int] = [:]
        var asked: [String: Int] = [:]
        var secret = "s3cret&more"
        var algorithm = "RS256"
    }

    let port: Int
    private let channel: any Channel
    let state: Mutex<State>
    private let answering: Answering

    final class Answering: Sendable {
        let answer = Mutex<(@Sendable (String, String, [String: String], String) -> (Int, JSON))?>(nil)
    }

    init(_ forge: TokenForge) async throws {
        let answering = Answering()
        self.answering = answering
        state = Mutex(State(forge: forge))
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(answering))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
        answering.answer.withLock { $0 = { [weak self] in self?.answer($0, $1, $2, $3) ?? (500, [:]) } }
    }

    func close() async throws { try await channel.close() }

    var issuer: String { "http://127.0.0.1:\(port)" }
    func count(_ path: String) -> Int { state.withLock { $0.asked[path] ?? 0 } }

    func settings() -> OIDCProvider.Settings {
        var settings = OIDCProvider.Settings(
            issuer: issuer, clientID: "postern:1", secret: state.withLock { $0.secret }, name: "Peer SSO")
        settings.timeout = .seconds(20)
        return settings
    }

    /// What a browser would do at the provider: somebody agrees.
    func agree(to address: String) throws -> ProviderAnswer {
        let parts = URLComponents(string: address)
        var fields: [String: String] = [:]
        for item in parts?.queryItems ?? [] { fields[item.name] = item.value }
        let code = "code-\(SecureRandom.bytes(6).hex)"
        guard address.hasPrefix("\(issuer)/authorize?"), fields["response_type"] == "code",
            fields["client_id"] == "postern:1", fields["code_challenge_method"] == "S256",
            fields["scope"] == "openid email", fields["max_age"] == "28800",
            let challenge = fields["code_challenge"], let nonce = fields["nonce"], let state = fields["state"]
        else { throw ProviderRefusal("peer", "not what a client asks: \(address)") }
        self.state.withLock { $0.codes[code] = (challenge, nonce) }
        return ProviderAnswer(state: state, code: code)
    }

    private func answer(
        _ method: String, _ path: String, _ headers: [String: String], _ body: String
    ) -> (Int, JSON) {
        state.withLock { state in
            state.asked[path, default: 0] += 1
            if let status = state.statuses[path] { return (status, ["error": "server_error"]) }
            switch path {
            case "/.well-known/openid-configuration":
                let own: [String: JSON] = [
                    "issuer": .string(issuer), "authorization_endpoint": .string("\(issuer)/authorize"),
                    "token_endpoint": .string("\(issuer)/token"), "jwks_uri": .string("\(issuer)/jwks"),
                    "userinfo_endpoint": .string("\(issuer)/userinfo"),
                    "end_session_endpoint": .string("\(issuer)/end"),
                ]
                return (200, .object(own.merging(state.discovery) { $1 }))
            case "/jwks": return (200, state.forge.keySet)
            case "/userinfo":
                guard headers["authorization"] == "Bearer access" else { return (401, [:]) }
                return (200, state.userInfo ?? ["sub": "u-1"])
            case "/token": return token(&state, headers, body)
            default: return (404, [:])
            }
        }
    }

    private func token(_ state: inout State, _ headers: [String: String], _ body: String) -> (Int, JSON) {
        var fields: [String: String] = [:]
        for item in URLComponents(string: "?\(body)")?.queryItems ?? [] { fields[item.name] = item.value }
        let secret = state.secret.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        let basic = "Basic \(Base64.encode(Array("postern%3A1:\(secret)".utf8)))"
        let isForm = fields["client_id"] == "postern:1" && fields["client_secret"] == state.secret
        guard headers["authorization"] == basic || isForm else { return (401, ["error": "invalid_client"]) }
        guard fields["grant_type"] == "authorization_code", let code = fields["code"],
            let known = state.codes.removeValue(forKey: code), let verifier = fields["code_verifier"],
            Base64.encodeURL(sha256(Array(verifier.utf8))) == known.challenge,
            fields["redirect_uri"] == "http://localhost:8080/signin/oidc"
        else { return (400, ["error": "invalid_grant"]) }
        let now = Clock.system.now.microseconds / 1_000_000
        let claims: [String: JSON] = [
            "iss": .string(issuer), "aud": "postern:1", "sub": "u-1", "nonce": .string(known.nonce), "iat": .int(now),
            "exp": .int(now + 300),
        ]
        guard let token = try? state.forge.token(.object(claims.merging(state.claims) { $1 }), state.algorithm) else {
            return (500, [:])
        }
        return (200, ["id_token": .string(token), "access_token": "access", "token_type": "Bearer"])
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let answering: Answering
        private var text = ""
        init(_ answering: Answering) { self.answering = answering }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard let end = text.range(of: "\r\n\r\n") else { return }
            let lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2 else { continue }
                headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            let body = String(text[end.upperBound...])
            guard body.utf8.count >= headers["content-length"].flatMap(Int.init) ?? 0 else { return }
            text = ""
            let request = lines[0].split(separator: " ").map(String.init)
            let path = String((request.count > 1 ? request[1] : "").prefix { $0 != "?" })
            let (status, json) =
                answering.answer.withLock { $0 }?(request.first ?? "", path, headers, body) ?? (500, [:])
            let content = json.canonicalText
            context.writeAndFlush(
                wrapOutboundOut(
                    ByteBuffer(
                        string:
                            "HTTP/1.1 \(status) X\r\ncontent-type: application/json\r\ncontent-length: \(content.utf8.count)\r\n\r\n\(content)"
                    )), promise: nil)
        }
    }
}
