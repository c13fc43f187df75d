import Foundation
import Kernel

/// What a provider publishes about itself (OpenID Connect Discovery 1.0, RFC 8414).
struct ProviderDiscovery: Sendable, Hashable {
    let authorization: String
    let token: String
    let keys: String
    let userInfo: String?
    let endSession: String?
    /// It puts its name beside every answer (RFC 9207).
    let namesItself: Bool
    /// The secret travels in the form instead of the head of the request.
    let takesSecretInForm: Bool
    let endsSessions: Bool
    /// The claims it says it has; `nil` when it does not say.
    let claims: Set<String>?

    struct Unfit: Error, Sendable, Hashable {
        /// After "Northwind SSO can’t be used: ".
        let reason: String
    }

    static func address(of issuer: String) -> String {
        (issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer) + "/.well-known/openid-configuration"
    }

    init(_ json: JSON, issuer: String) throws(Unfit) {
        // What is published elsewhere says nothing about this issuer.
        guard let said = json["issuer"]?.string else { throw Unfit(reason: "it does not say its issuer") }
        guard said == issuer else {
            throw Unfit(reason: "it calls itself another issuer than oidc_issuer says; both must be the same text")
        }
        let isLocal = Self.isLoopback(issuer)
        func place(_ name: String) throws(Unfit) -> String? {
            guard let text = json[name]?.string else { return nil }
            guard let url = URL(string: text), url.host()?.isEmpty == false, url.fragment() == nil,
                url.scheme == "https" || (isLocal && url.scheme == "http" && Self.isLoopback(text))
            else { throw Unfit(reason: "its \(name) is not an https:// address") }
            return text
        }
        func needed(_ name: String) throws(Unfit) -> String {
            guard let text = try place(name) else { throw Unfit(reason: "it has no \(name)") }
            return text
        }
        authorization = try needed("authorization_endpoint")
        token = try needed("token_endpoint")
        keys = try needed("jwks_uri")
        userInfo = try place("userinfo_endpoint")
        endSession = try place("end_session_endpoint")
        func words(_ name: String) -> Set<String>? { json[name]?.array.map { Set($0.compactMap(\.string)) } }
        if let signs = words("id_token_signing_alg_values_supported"),
            signs.isDisjoint(with: SignedToken.Algorithm.allCases.map(\.rawValue))
        {
            throw Unfit(reason: "it signs with none of RS256, ES256 and EdDSA")
        }
        namesItself = json["authorization_response_iss_parameter_supported"]?.bool ?? false
        let methods = words("token_endpoint_auth_methods_supported") ?? ["client_secret_basic"]
        guard !methods.isDisjoint(with: ["client_secret_basic", "client_secret_post"]) else {
            throw Unfit(reason: "it takes no client secret (client_secret_basic or client_secret_post)")
        }
        takesSecretInForm = !methods.contains("client_secret_basic")
        endsSessions = json["backchannel_logout_supported"]?.bool ?? false
        claims = words("claims_supported")
    }

    static func isLoopback(_ text: String) -> Bool {
        guard let host = URL(string: text)?.host() else { return false }
        return ["127.0.0.1", "localhost", "::1", "[::1]"].contains(host)
    }
}
