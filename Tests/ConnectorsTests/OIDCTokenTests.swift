import Crypto
import CryptoExtras
import Foundation
import Kernel
import Testing

@testable import Connectors

/// Keys of a provider, and tokens signed with them.
struct TokenForge {
    let rsa: _RSA.Signing.PrivateKey
    let p256 = P256.Signing.PrivateKey()
    let ed25519 = Curve25519.Signing.PrivateKey()

    init() throws { rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    var keySet: JSON { ["keys": .array([rsaKey, p256Key, ed25519Key])] }

    var rsaKey: JSON {
        let numbers = try? rsa.publicKey.getKeyPrimitives()
        return [
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "r",
            "n": .string(Base64.encodeURL(numbers?.modulus ?? Data())),
            "e": .string(Base64.encodeURL(numbers?.publicExponent ?? Data())),
        ]
    }
    var p256Key: JSON {
        let point = Array(p256.publicKey.rawRepresentation)
        return [
            "kty": "EC", "crv": "P-256", "kid": "e", "x": .string(Base64.encodeURL(point[..<32])),
            "y": .string(Base64.encodeURL(point[32...])),
        ]
    }
    var ed25519Key: JSON {
        [
            "kty": "OKP", "crv": "Ed25519", "kid": "o",
            "x": .string(Base64.encodeURL(ed25519.publicKey.rawRepresentation)),
        ]
    }

    static func part(_ json: JSON) -> String { Base64.encodeURL(json.canonical) }

    func sign(_ text: String, _ algorithm: String) throws -> [UInt8] {
        let bytes = Array(text.utf8)
        return switch algorithm {
        case "RS256": Array(try rsa.signature(for: bytes, padding: .insecurePKCS1v1_5).rawRepresentation)
        case "ES256": Array(try p256.signature(for: bytes).rawRepresentation)
        case "EdDSA": Array(try ed25519.signature(for: bytes))
        // The classic mistake: the public key as the secret of a keyed digest.
        case "HS256":
            Array(
                HMAC<SHA256>.authenticationCode(
                    for: bytes, using: SymmetricKey(data: rsa.publicKey.derRepresentation)))
        default: []
        }
    }

    /// - Parameters:
    ///   - algorithm: what the head says.
    ///   - signer: what it is signed with, where that is something else.
    func token(
        _ claims: JSON, _ algorithm: String = "RS256", kid: String? = nil, head: [String: JSON] = [:],
        signer: String? = nil
    ) throws -> String {
        var members = head
        members["alg"] = members["alg"] ?? .string(algorithm)
        let own = ["RS256": "r", "ES256": "e", "EdDSA": "o"][algorithm]
        members["kid"] = (kid ?? own).map(JSON.string)
        let text = "\(Self.part(.object(members))).\(Self.part(claims))"
        return "\(text).\(Base64.encodeURL(try sign(text, signer ?? algorithm)))"
    }
}

/// What a token must say, thing by thing.
@Suite struct OIDCTokenTests {
    static let now = Instant(rfc3339: "2026-11-27T09:00:00Z")!
    static let check = TokenCheck(issuer: "https://idp.example", clientID: "postern", skew: .seconds(60))
    static let forge: TokenForge = {
        do { return try TokenForge() } catch { preconditionFailure("no keys could be made: \(error)") }
    }()
    static let keys = ProviderKeys(forge.keySet)!

    static func seconds(_ offset: Int64) -> JSON { .int(now.microseconds / 1_000_000 + offset) }

    static var claims: [String: JSON] {
        [
            "iss": "https://idp.example", "aud": "postern", "sub": "u-1", "nonce": "n-1", "iat": seconds(-5),
            "exp": seconds(300), "auth_time": seconds(-30), "email": "ann@example.test", "email_verified": true,
        ]
    }

    static func claims(_ changes: [String: JSON?]) -> JSON {
        var out = claims
        for (name, value) in changes { out[name] = value }
        return .object(out)
    }

    private func flaw(_ token: String, nonce: String = "n-1", keys: ProviderKeys = OIDCTokenTests.keys) -> TokenFlaw? {
        do throws(TokenFlaw) {
            _ = try Self.check.claims(ofIDToken: token, nonce: nonce, keys: keys, at: Self.now)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: ["RS256", "ES256", "EdDSA"])
    func `a token that is as it must be is believed, whatever it is signed with`(algorithm: String) throws {
        let token = try Self.forge.token(.object(Self.claims), algorithm)
        let claims = try Self.check.claims(ofIDToken: token, nonce: "n-1", keys: Self.keys, at: Self.now)
        #expect(claims["sub"] == "u-1" && claims["email"] == "ann@example.test")
        // Without a name of the key every fitting one is tried.
        var parts = token.split(separator: ".").map(String.init)
        parts[0] = TokenForge.part(["alg": .string(algorithm), "typ": "JWT"])
        let text = "\(parts[0]).\(parts[1])"
        #expect(flaw("\(text).\(Base64.encodeURL(try Self.forge.sign(text, algorithm)))") == nil)
    }

    @Test func `the examples of the standards are verified`() throws {
        // RFC 7515 A.2 and A.3
        let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        let rsa = ProviderKeys([
            "keys": [
                [
                    "kty": "RSA", "e": "AQAB",
                    "n":
                        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
                ]
            ]
        ])
        let signed = try SignedToken(
            parsing:
                "eyJhbGciOiJSUzI1NiJ9.\(payload).cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        )
        try #require(rsa).check(signed)
        #expect(signed.claims["iss"] == "joe")
        let ec = ProviderKeys([
            "keys": [
                [
                    "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                ]
            ]
        ])
        try #require(ec).check(
            try SignedToken(
                parsing:
                    "eyJhbGciOiJFUzI1NiJ9.\(payload).DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
            ))
    }

    @Test func `a token nobody signed is none`() throws {
        let claims = JSON.object(Self.claims)
        let bare = "\(TokenForge.part(["alg": "none"])).\(TokenForge.part(claims))."
        #expect(flaw(bare) == .algorithm("none"))
        #expect(flaw(bare + "AA") == .algorithm("none"))
        for name in ["None", "NONE", "nOnE", "HS256", "HS512", "RS1", "PS256", "RS512", "ES384", ""] {
            #expect(flaw(try Self.forge.token(claims, "RS256", head: ["alg": .string(name)])) == .algorithm(name))
        }
        #expect(flaw(try Self.forge.token(claims, "HS256", kid: "r")) == .algorithm("HS256"))
        #expect(flaw("\(TokenForge.part(["typ": "JWT"])).\(TokenForge.part(claims)).AA") == .algorithm(""))
    }

    @Test func `the key decides what it is signed with`() throws {
        let claims = JSON.object(Self.claims)
        #expect(flaw(try Self.forge.token(claims, "RS256", kid: "e", signer: "ES256")) == .algorithm("RS256"))
        #expect(flaw(try Self.forge.token(claims, "ES256", kid: "r", signer: "RS256")) == .algorithm("ES256"))
        #expect(flaw(try Self.forge.token(claims, "EdDSA", kid: "r", signer: "RS256")) == .algorithm("EdDSA"))
        #expect(flaw(try Self.forge.token(claims, "RS256", kid: "unknown")) == .key)
        // A key of the same kind that is not the one.
        let other = try TokenForge()
        #expect(flaw(try other.token(claims, "RS256")) == .signature)
        #expect(flaw(try other.token(claims, "ES256")) == .signature)
        #expect(flaw(try other.token(claims, "EdDSA")) == .signature)
    }

    @Test(arguments: ["RS256", "ES256", "EdDSA"])
    func `a changed byte is found anywhere`(algorithm: String) throws {
        let token = Array(try Self.forge.token(.object(Self.claims), algorithm).utf8)
        for place in stride(from: 0, to: token.count, by: 7) where token[place] != UInt8(ascii: ".") {
            var changed = token
            changed[place] = changed[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            if changed == token { continue }
            #expect(flaw(String(decoding: changed, as: UTF8.self)) != nil, "byte \(place)")
        }
    }

    @Test func `what is no token is refused`() throws {
        for text in ["", ".", "..", "a.b", "a.b.c", "e30.e30.AA", "....", String(repeating: "a", count: 70_000)] {
            #expect(flaw(text) != nil, "\(text.prefix(20))")
        }
        let claims = TokenForge.part(.object(Self.claims))
        let head = TokenForge.part(["alg": "RS256", "kid": "r"])
        #expect(flaw("\(head).\(claims).") == .malformed("because of its signature"))
        #expect(flaw("\(head).W10.AA") == .malformed("because of what it says"))
        #expect(flaw("W10.\(claims).AA") == .malformed("because of its head"))
        // Twice the same member: which one counts would be a matter of taste.
        let twice = Base64.encodeURL(Array(#"{"alg":"RS256","alg":"none"}"#.utf8))
        #expect(flaw("\(twice).\(claims).AA") == .malformed("because of its head"))
        #expect(
            flaw(try Self.forge.token(.object(Self.claims), head: ["crit": ["b64"], "b64": false])) == .extensions)
    }

    @Test(
        arguments: [
            (["iss": "https://other.example"], TokenFlaw.issuer), (["iss": "https://idp.example/"], .issuer),
            (["iss": nil], .issuer), (["aud": "another"], .audience), (["aud": nil], .audience),
            (["aud": []], .audience),
            (["aud": ["another", "third"]], .audience), (["aud": ["postern", "another"]], .authorizedParty),
            (["aud": ["postern", "another"], "azp": "another"], .authorizedParty),
            (["azp": "another"], .authorizedParty),
            (["azp": 7], .authorizedParty), (["nonce": "n-2"], .nonce), (["nonce": nil], .nonce),
            (["nonce": ""], .nonce),
            (["sub": nil], .subject), (["sub": ""], .subject),
            (["sub": .string(String(repeating: "s", count: 256))], .subject),
            (["exp": OIDCTokenTests.seconds(-61)], .expired), (["exp": OIDCTokenTests.seconds(-60)], .expired),
            (["nbf": OIDCTokenTests.seconds(61)], .notYet), (["iat": OIDCTokenTests.seconds(61)], .issuedLater),
            (["exp": nil], .malformed("because it has no end")),
            (["iat": nil], .malformed("because it does not say when it was made")),
            (["exp": "tomorrow"], .malformed("because of a time")), (["iat": -1], .malformed("because of a time")),
            (["exp": .decimal("1e99")], .malformed("because of a time")),
            (["auth_time": OIDCTokenTests.seconds(-8 * 3600 - 61)], .tooOld),
            (["auth_time": "noon"], .malformed("because of a time")),
            (["events": ["http://schemas.openid.net/event/backchannel-logout": [:]]], .kind),
        ] as [([String: JSON?], TokenFlaw)])
    func `a claim that is not as it must be is refused by name`(changes: [String: JSON?], expected: TokenFlaw) throws {
        #expect(flaw(try Self.forge.token(Self.claims(changes))) == expected)
    }

    @Test(
        arguments: [
            ["exp": OIDCTokenTests.seconds(-59)], ["nbf": OIDCTokenTests.seconds(59)],
            ["iat": OIDCTokenTests.seconds(60)],
            ["aud": ["postern"]], ["aud": ["postern", "another"], "azp": "postern"], ["azp": "postern"],
            ["auth_time": nil],
        ] as [[String: JSON?]])
    func `what the clocks' difference and the standard allow is taken`(changes: [String: JSON?]) throws {
        #expect(flaw(try Self.forge.token(Self.claims(changes))) == nil)
    }

    @Test func `parts of a second are left out, and nothing else is a time`() {
        #expect(TokenCheck.time(.decimal("1795770000.75")) == Instant(microseconds: 1_795_770_000_000_000))
        for value in [
            .decimal("1e9"), .decimal("-1.5"), .decimal("1795770000000000.5"), .int(-1), .int(253_402_300_800),
            "1795770000",
            .null, nil,
        ] as [JSON?] {
            #expect(TokenCheck.time(value) == nil)
        }
    }

    @Test func `a logout token is no proof of who somebody is`() throws {
        let token = try Self.forge.token(.object(Self.claims), head: ["typ": "logout+jwt"])
        #expect(flaw(token) == .kind)
    }

    // MARK: - Logout

    private func logoutFlaw(_ changes: [String: JSON?], typ: String? = "logout+jwt") throws -> TokenFlaw? {
        var claims: [String: JSON] = [
            "iss": "https://idp.example", "aud": "postern", "sub": "u-1", "sid": "s-1", "iat": Self.seconds(-1),
            "exp": Self.seconds(120), "jti": "j-1",
            "events": ["http://schemas.openid.net/event/backchannel-logout": [:]],
        ]
        for (name, value) in changes { claims[name] = value }
        let token = try Self.forge.token(.object(claims), head: typ.map { ["typ": .string($0)] } ?? [:])
        do throws(TokenFlaw) {
            _ = try Self.check.claims(ofLogoutToken: token, keys: Self.keys, at: Self.now)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a logout token says that it is one, whom it ends, and when it was made`() throws {
        #expect(try logoutFlaw([:]) == nil)
        #expect(try logoutFlaw([:], typ: nil) == nil)
        #expect(try logoutFlaw(["sub": nil]) == nil)
        #expect(try logoutFlaw(["sid": nil]) == nil)
        #expect(try logoutFlaw(["exp": nil]) == nil)
        #expect(try logoutFlaw(["sub": nil, "sid": nil]) == .subject)
        #expect(try logoutFlaw(["events": nil]) == .kind)
        #expect(try logoutFlaw(["events": ["other": [:]]]) == .kind)
        #expect(try logoutFlaw(["nonce": "n"]) == .kind)
        #expect(try logoutFlaw([:], typ: "at+jwt") == .kind)
        #expect(try logoutFlaw(["jti": nil]) == .malformed("because it has no id"))
        #expect(try logoutFlaw(["iat": Self.seconds(-361)]) == .expired)
        #expect(try logoutFlaw(["exp": Self.seconds(-61)]) == .expired)
        #expect(try logoutFlaw(["iss": "https://other.example"]) == .issuer)
        #expect(try logoutFlaw(["aud": "another"]) == .audience)
    }

    // MARK: - Keys and discovery

    @Test func `keys that can't be used are passed over`() throws {
        let weak: JSON = [
            "kty": "RSA", "n": .string(Base64.encodeURL([UInt8](repeating: 0xF1, count: 128))), "e": "AQAB",
        ]
        let encryption: JSON = .object((Self.forge.rsaKey.object ?? [:]).merging(["use": "enc"]) { $1 })
        let otherAlgorithm: JSON = .object((Self.forge.rsaKey.object ?? [:]).merging(["alg": "RS512"]) { $1 })
        let off: JSON = [
            "kty": "EC", "crv": "P-256", "x": .string(Base64.encodeURL([UInt8](repeating: 1, count: 32))),
            "y": .string(Base64.encodeURL([UInt8](repeating: 1, count: 32))),
        ]
        let keys = try #require(
            ProviderKeys([
                "keys": .array([
                    weak, encryption, otherAlgorithm, off, ["kty": "oct", "k": "AAAA"], ["kty": "EC", "crv": "P-521"],
                    [:],
                    Self.forge.ed25519Key,
                ])
            ]))
        #expect(keys.count == 1)
        #expect(ProviderKeys(["keys": "none"]) == nil)
    }

    private func discovery(_ changes: [String: JSON?]) -> JSON {
        var members: [String: JSON] = [
            "issuer": "https://idp.example", "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token", "jwks_uri": "https://keys.example/jwks",
            "end_session_endpoint": "https://idp.example/logout",
        ]
        for (name, value) in changes { members[name] = value }
        return .object(members)
    }

    @Test func `what a provider publishes is for its issuer, and over TLS`() throws {
        let found = try ProviderDiscovery(discovery([:]), issuer: "https://idp.example")
        #expect(found.endSession == "https://idp.example/logout" && !found.takesSecretInForm && !found.namesItself)
        #expect(
            ProviderDiscovery.address(of: "https://a.example/b/")
                == "https://a.example/b/.well-known/openid-configuration")
        for changes in [
            ["issuer": "https://idp.example/"], ["issuer": nil], ["token_endpoint": nil],
            ["token_endpoint": "http://idp.example/token"], ["jwks_uri": "http://127.0.0.1/jwks"],
            ["authorization_endpoint": "javascript:alert(1)"], ["end_session_endpoint": "file:///etc"],
            ["id_token_signing_alg_values_supported": ["HS256"]],
            ["token_endpoint_auth_methods_supported": ["private_key_jwt"]],
        ] as [[String: JSON?]] {
            #expect(throws: ProviderDiscovery.Unfit.self, "\(changes)") {
                _ = try ProviderDiscovery(discovery(changes), issuer: "https://idp.example")
            }
        }
        let form = try ProviderDiscovery(
            discovery(["token_endpoint_auth_methods_supported": ["client_secret_post"]]), issuer: "https://idp.example")
        #expect(form.takesSecretInForm)
        // On one machine, for trying things out.
        let local = try ProviderDiscovery(
            [
                "issuer": "http://localhost:9000", "authorization_endpoint": "http://localhost:9000/authorize",
                "token_endpoint": "http://localhost:9000/token", "jwks_uri": "http://localhost:9000/jwks",
            ], issuer: "http://localhost:9000")
        #expect(local.endSession == nil)
    }
}
