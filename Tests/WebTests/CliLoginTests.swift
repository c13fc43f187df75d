import Foundation
import Kernel
import Testing

@testable import CommandLine

/// `postern login` by a browser, against a server that is a script.
@Suite struct CliLoginTests {
    private static let begun = CliStage.Answer(
        status: 201,
        body: [
            "device_code": "dvs_secret", "user_code": "BCDF-GHJK", "verification_uri": "https://c.example/device",
            "verification_uri_complete": "https://c.example/device?code=BCDF-GHJK", "expires_in": 600, "interval": 1,
        ])
    private static func problem(_ slug: String, retryAfter: Int64? = nil, status: Int = 400) -> CliStage.Answer {
        CliStage.Answer(
            status: status,
            body: .members([
                ("type", .string("/problems/\(slug)")), ("detail", "said"), ("retry_after", retryAfter.map(JSON.int)),
            ]))
    }
    private static let signedIn = CliStage.Answer(
        status: 201,
        body: [
            "token": "pst_new", "expires_at": "2026-11-27T17:00:00Z",
            "staff": ["name": "Ann", "email": "ann@c.example"],
        ])

    private func login(_ answers: [CliStage.Answer], waits: @escaping @Sendable (Int64) -> Void = { _ in }) async
        -> (stage: CliStage, failure: CommandFailure?, kept: CredentialFile.Entry?)
    {
        let stage = CliStage([Self.begun] + answers)
        let home = NSTemporaryDirectory() + "postern-login-\(SecureRandom.bytes(6).hex)"
        var invocation = stage.invocation(token: nil)
        invocation = Invocation(
            catalog: invocation.catalog, installation: invocation.installation, environment: ["XDG_CONFIG_HOME": home],
            terminal: invocation.terminal, transport: invocation.transport)
        let failure: CommandFailure? = await Invocation.$held.withValue(invocation) {
            do {
                let client = try APIClient.make(server: "https://c.example", needsToken: false)
                try await DeviceLogin(client: client, pause: { waits($0) }).run()
                return nil
            } catch {
                return error as? CommandFailure ?? CommandFailure(.unexpected, "\(error)")
            }
        }
        let kept = try? invocation.credentials.entry(for: "https://c.example")
        try? FileManager.default.removeItem(atPath: home)
        return (stage, failure, kept ?? nil)
    }

    @Test func `it shows address and code, waits, and keeps the token`() async {
        let (stage, failure, kept) = await login([
            Self.problem("authorization-pending", retryAfter: 1), Self.problem("unavailable", status: 503),
            Self.problem("slow-down", retryAfter: 6), Self.signedIn,
        ])
        #expect(failure == nil)
        #expect(kept?.token == "pst_new" && kept?.email == "ann@c.example")
        #expect(stage.error.contains("https://c.example/device?code=BCDF-GHJK") && stage.error.contains("BCDF-GHJK"))
        #expect(!stage.error.contains("dvs_secret") && !stage.out.contains("pst_new"))
        #expect(stage.out.contains("as Ann until"))
        #expect(
            stage.sent.map(\.path) == ["/api/v1/sessions/device"]
                + Array(repeating: "/api/v1/sessions/device/token", count: 4))
        #expect(stage.sent.allSatisfy { $0.headers["Authorization"] == nil })
        #expect(stage.sent[1].body == ["device_code": "dvs_secret"])
    }

    @Test(arguments: [
        ("access-denied", CommandStatus.refused, "turned away"), ("expired-token", .notSignedIn, "ran out"),
    ])
    func `a refusal ends it in words`(slug: String, status: CommandStatus, words: String) async {
        let (_, failure, kept) = await login([Self.problem("authorization-pending"), Self.problem(slug)])
        #expect(failure?.status == status && failure?.message.contains(words) == true)
        #expect(kept == nil)
    }

    @Test func `without a terminal it says what to give, and a password is asked for on demand`() async {
        let silent = CliStage()
        #expect(await silent.run("login", token: nil) == .usage)
        #expect(silent.error.contains("--browser") && silent.sent.isEmpty)
        let both = CliStage()
        #expect(await both.run("login", "--browser", "--email", "a@b.example", token: nil) == .usage)
        let old = CliStage(
            [.init(status: 409, body: ["detail": "Here people sign in through Northwind SSO alone."])],
            typed: ["ann@c.example", "secret"], isInteractive: true)
        #expect(await old.run("login", "--password", token: nil) == .refused)
        #expect(old.error.contains("Northwind SSO alone") && old.sent.map(\.path) == ["/api/v1/sessions"])
    }
}
