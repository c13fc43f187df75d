import ArgumentParser
import Foundation
import Kernel

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Sign in; the token is kept for this server.",
        discussion: """
            On a terminal it prints an address and a code. Open the address in a browser where you can sign in, compare the code, \
            and approve: the terminal goes on by itself. With --password it asks for e-mail, password and code instead.
            The token is kept in ~/.config/postern/credentials (mode 0600). Scripts may set POSTERN_TOKEN instead.
            """)

    @Flag(help: "Ask for e-mail, password and code here, without a browser.") var password = false
    @Flag(help: "Sign in by a browser; the default on a terminal.") var browser = false
    @Option(help: "Your e-mail address; asked for when left out.") var email: String?
    @Flag(help: "Read the password from standard input, for scripts.") var passwordStdin = false
    @Option(help: "The code; asked for when left out.") var code: String?
    @Flag(help: "The code is one of your recovery codes.") var recovery = false
    @OptionGroup var server: ServerOption

    /// Something was said that only means anything with a password.
    private var usesPassword: Bool { password || passwordStdin || email != nil || code != nil || recovery }

    func run() async throws {
        let client = try server.client(needsToken: false)
        let anonymous = APIClient(
            server: client.server, transport: client.transport, token: nil, terminal: client.terminal)
        guard !(browser && usesPassword) else {
            throw CommandFailure(.usage, "--browser takes no password: leave the other options out, or leave it out.")
        }
        if usesPassword { return try await signInHere(anonymous) }
        guard client.terminal.isInteractive || browser else {
            throw CommandFailure(
                .usage,
                "This is not a terminal, so nothing can be asked. Give --email, --password-stdin and --code, or --browser."
            )
        }
        try await DeviceLogin(client: anonymous).run()
    }

    private func signInHere(_ client: APIClient) async throws {
        let terminal = client.terminal
        guard terminal.isInteractive || (email != nil && passwordStdin && code != nil) else {
            throw CommandFailure(
                .usage, "This is not a terminal, so nothing can be asked. Give --email, --password-stdin and --code.")
        }
        let email = try self.email ?? terminal.prompt("E-mail: ").trimmingCharacters(in: .whitespaces)
        let password: String
        if passwordStdin {
            guard let line = readLine(strippingNewline: true) else {
                throw CommandFailure(.usage, "No password came on standard input.")
            }
            password = line
        } else {
            password = try terminal.prompt("Password: ", secret: true)
        }
        let begun = try await client.json(
            APIRequest("POST", "/api/v1/sessions", body: ["email": .string(email), "password": .string(password)]))
        guard let challenge = begun["challenge"]?.string else {
            throw CommandFailure(.unexpected, "The server did not answer with a challenge.")
        }
        let code =
            try self.code
            ?? terminal.prompt(recovery ? "Recovery code: " : "Code: ").trimmingCharacters(in: .whitespaces)
        let response = try await client.send(
            APIRequest(
                "POST", "/api/v1/sessions/\(recovery ? "recovery" : "totp")",
                body: ["challenge": .string(challenge), "code": .string(code)]))
        guard response.status != 401 else {
            throw CommandFailure(
                .notSignedIn, "Sign-in failed: e-mail, password or code is wrong, or the code was used already.")
        }
        guard response.status == 201, let session = response.json else { throw Problem.failure(response) }
        try keepSession(session, client)
    }
}

/// Keeps the token of a new session and says who is signed in.
func keepSession(_ session: JSON, _ client: APIClient) throws(CommandFailure) {
    guard let token = session["token"]?.string else {
        throw CommandFailure(.unexpected, "The server did not answer with a token.")
    }
    let email = session["staff"]?["email"]?.string ?? ""
    let until = session["expires_at"]?.string ?? ""
    try Invocation.current.credentials.set(
        CredentialFile.Entry(token: token, email: email, expiresAt: until), for: client.server)
    let name = session["staff"]?["name"]?.string ?? email
    client.terminal.print(
        "Signed in to \(client.server) as \(name.printable) until \(until.isEmpty ? "later" : until.printable).")
}

struct LogoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout", abstract: "End the session and forget its token.")
    @OptionGroup var server: ServerOption

    func run() async throws {
        let invocation = Invocation.current
        let client = try server.client(needsToken: false)
        guard client.token != nil else {
            invocation.terminal.print("You were not signed in to \(client.server).")
            return
        }
        let response = try await client.send(APIRequest("DELETE", "/api/v1/sessions/current"))
        // An ended session answers 401: the token is worth nothing any more, so it is forgotten all the same.
        guard (200..<300).contains(response.status) || response.status == 401 else { throw Problem.failure(response) }
        try invocation.credentials.set(nil, for: client.server)
        invocation.terminal.print("Signed out of \(client.server).")
    }
}

struct WhoAmICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whoami", abstract: "Who you are to the server, with your roles.")
    @OptionGroup var output: OutputOption
    @OptionGroup var server: ServerOption

    func run() async throws {
        let client = try server.client()
        let answer = try await client.get("/api/v1/me")
        guard !output.json else { return client.terminal.print(answer.pretty()) }
        if let account = answer["account"] {
            return client.terminal.write(
                JSON.members([
                    ("id", account["id"]), ("name", account["name"]), ("kind", account["kind"]),
                    ("owner", account["owner"]), ("permissions", answer["permissions"]),
                    ("server", .string(client.server)), ("until", account["expires_at"]),
                ]).lines())
        }
        let staff = answer["staff"] ?? .null
        client.terminal.write(
            JSON.members([
                ("id", staff["id"]), ("name", staff["name"]), ("email", staff["email"]), ("roles", staff["roles"]),
                ("server", .string(client.server)), ("until", answer["session"]?["expires_at"]),
                ("factor_used", answer["session"]?["mfa_at"]),
            ]).lines())
    }
}
