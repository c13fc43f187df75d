import HTTPTypes
import Hummingbird
import Kernel

extension StaffAPI {
    /// Signing in and out, and who one is.
    func sessionRoutes() -> [Route] {
        [
            signingIn("/sessions") { exchange in
                var body = try await BodyReader(exchange)
                let email = body.text("email", required: true, atMost: 254)
                let password = body.text("password", required: true, atMost: 1024)
                try body.finish()
                let (challenge, factors) = try await context.signIn.begin(
                    email: email ?? "", password: password ?? "", from: exchange.apiSource)
                return .json([
                    "challenge": .string(challenge), "factors": .array(factors.map { .string($0.rawValue) }),
                ])
            },
            signingIn("/sessions/totp") { exchange in
                let (challenge, code) = try await Self.secondStep(exchange)
                let session = try await context.signIn.finish(
                    challenge: challenge, totp: code, from: exchange.apiSource)
                return try await created(session, exchange)
            },
            signingIn("/sessions/recovery") { exchange in
                let (challenge, code) = try await Self.secondStep(exchange)
                let session = try await context.signIn.finish(
                    challenge: challenge, recovery: code, from: exchange.apiSource)
                return try await created(session, exchange)
            },
            signed(.post, "/sessions/step-up") { exchange, signed in
                var body = try await BodyReader(exchange)
                let code = body.text("code", required: true, atMost: 64)
                try body.finish()
                return try await context.signIns.limiting(exchange.client.source) {
                    try await context.signIn.stepUp(signed.session, code: code ?? "", from: exchange.apiSource)
                    return .noContent()
                }
            },
            signed(.delete, "/sessions/current") { exchange, signed in
                try await context.signIn.end(signed.session, from: exchange.apiSource)
                return .noContent()
            },
            signed(.get, "/me") { _, signed in
                .json([
                    "staff": Self.staff(signed.caller, signed.session),
                    "permissions": .array(signed.caller.permissions.granted.keys.sorted().map(JSON.string)),
                    "session": [
                        "id": .string(signed.session.id), "created_at": .string(signed.session.createdAt.rfc3339),
                        "expires_at": .string(signed.session.expiresAt.rfc3339),
                        "mfa_at": .string(signed.session.mfaAt.rfc3339),
                    ],
                ])
            },
        ]
    }

    /// A route of the sign-in itself: counted by source, since nobody is known yet.
    private func signingIn(_ path: String, _ handler: @escaping Route.Handler) -> Route {
        Route(.post, "/api/v1" + path, .api) { exchange in
            try await context.signIns.limiting(exchange.client.source) { try await handler(exchange) }
        }
    }

    private static func secondStep(_ exchange: Exchange) async throws -> (challenge: String, code: String) {
        var body = try await BodyReader(exchange)
        let challenge = body.text("challenge", required: true, atMost: 256)
        let code = body.text("code", required: true, atMost: 64)
        try body.finish()
        return (challenge ?? "", code ?? "")
    }

    private func created(_ session: NewSession, _ exchange: Exchange) async throws -> Response {
        let (caller, info) = try await context.signIn.authenticate(token: session.token, from: exchange.apiSource)
        return .json(
            [
                "token": .string(session.token), "expires_at": .string(info.expiresAt.rfc3339),
                "staff": Self.staff(caller, info),
            ], status: .created)
    }

    private static func staff(_ caller: Caller, _ session: SessionInfo) -> JSON {
        [
            "id": .string(session.staffID), "email": .string(session.email), "name": .string(session.name),
            "roles": .array(caller.roles.sorted().map(JSON.string)),
        ]
    }
}
