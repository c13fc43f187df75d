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
        ] + deviceSessionRoutes() + [
            signed(.post, "/sessions/step-up") { exchange, signed in
                var body = try await BodyReader(exchange)
                let code = body.text("code", required: true, atMost: 64)
                try body.finish()
                let session = try signed.session
                return try await context.signIns.limiting(exchange.client.source) {
                    try await context.signIn.stepUp(session, code: code ?? "", from: exchange.apiSource)
                    return .noContent()
                }
            },
            signed(.delete, "/sessions/current") { exchange, signed in
                try await context.signIn.end(try signed.session, from: exchange.apiSource)
                return .noContent()
            },
            signed(.get, "/me") { _, signed in
                let permissions = JSON.array(signed.caller.permissions.granted.keys.sorted().map(JSON.string))
                switch signed.means {
                case .session(let session):
                    return .json([
                        "staff": Self.staff(signed.caller, session), "permissions": permissions,
                        "session": [
                            "id": .string(session.id), "created_at": .string(session.createdAt.rfc3339),
                            "expires_at": .string(session.expiresAt.rfc3339), "mfa_at": .string(session.mfaAt.rfc3339),
                        ],
                    ])
                case .account(let account):
                    return .json([
                        "account": [
                            "id": .string(signed.caller.actor.id), "kind": .string(signed.caller.actor.kind.rawValue),
                            "name": .string(account.name), "owner": .string(signed.caller.person),
                            "expires_at": .string(account.expiresAt.rfc3339),
                        ], "permissions": permissions,
                    ])
                }
            },
        ]
    }

    /// Letting a command line in by a browser (RFC 8628).
    private func deviceSessionRoutes() -> [Route] {
        guard let devices = context.devices else { return [] }
        return [
            signingIn("/sessions/device") { exchange in
                var body = try await BodyReader(exchange)
                let machine = body.text("machine", required: true, atMost: 60)
                try body.finish()
                let invitation = try await devices.beginDevice(machine: machine ?? "", from: exchange.apiSource)
                let page = context.configuration.staffURL + "/device"
                return .json(
                    [
                        "device_code": .string(invitation.device), "user_code": .string(invitation.code),
                        "verification_uri": .string(page),
                        "verification_uri_complete": .string("\(page)?code=\(invitation.code)"),
                        "expires_in": .int(invitation.lasts.seconds),
                        "expires_at": .string(invitation.expiresAt.rfc3339),
                        "interval": .int(invitation.interval.seconds),
                    ], status: .created)
            },
            // Those who wait ask often: counted apart, so that they take no sign-in from whoever shares their address.
            Route(.post, "/api/v1/sessions/device/token", .api) { exchange in
                try await context.links.limiting("device|" + exchange.client.source) {
                    try await redeem(exchange, devices)
                }
            },
        ]
    }

    private func redeem(_ exchange: Exchange, _ devices: any DeviceSignIn) async throws -> Response {
        var body = try await BodyReader(exchange)
        let device = body.text("device_code", required: true, atMost: 256)
        try body.finish()
        switch try await devices.redeem(device: device ?? "", from: exchange.apiSource) {
        case .session(let session): return try await created(session, exchange)
        case .pending(let interval):
            throw Self.waiting(.authorizationPending, "Nobody has answered yet.", interval)
        case .slowDown(let interval):
            throw Self.waiting(
                .slowDown, "Asked too soon: wait \(interval.seconds) seconds between two questions.", interval)
        case .denied: throw Problem(.deviceDenied, "The sign-in was turned away in the browser.")
        case .expired:
            throw Problem(.deviceExpired, "The code has run out, or was used already. Begin again.")
        }
    }

    private static func waiting(_ kind: Problem.Kind, _ detail: String, _ interval: Span) -> Problem {
        var problem = Problem(kind, detail)
        problem.retryAfter = interval.seconds
        return problem
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
