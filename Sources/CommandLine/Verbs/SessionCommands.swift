import ArgumentParser
import Foundation
import Kernel

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Sign in with password and code; the token is kept for this server.",
        discussion:
            "The token is kept in ~/.config/postern/credentials (mode 0600). Scripts may set POSTERN_TOKEN instead.")

    @Option(help: "Your e-mail address; asked for when left out.") var email: String?
    @Flag(help: "Read the password from standard input, for scripts.") var passwordStdin = false
    @Option(help: "The code; asked for when left out.") var code: String?
    @Flag(help: "The code is one of your recovery codes.") var recovery = false
    @OptionGroup var server: ServerOption

    func run() async throws {
        let invocation = Invocation.current
        let terminal = invocation.terminal
        let client = try server.client(needsToken: false)
        guard terminal.isInteractive || (email != nil && passwordStdin && code != nil) else {
            throw CommandFailure(
                .usage, "This is not a terminal, so nothing can be asked. Give --email, --password-stdin and --code.")
        }
        let anonymous = APIClient(server: client.server, transport: client.transport, token: nil, terminal: terminal)
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
        let begun = try await anonymous.json(
            APIRequest("POST", "/api/v1/sessions", body: ["email": .string(email), "password": .string(password)]))
        guard let challenge = begun["challenge"]?.string else {
            throw CommandFailure(.unexpected, "The server did not answer with a challenge.")
        }
        let code =
            try self.code
            ?? terminal.prompt(recovery ? "Recovery code: " : "Code: ").trimmingCharacters(in: .whitespaces)
        let response = try await anonymous.send(
            APIRequest(
                "POST", "/api/v1/sessions/\(recovery ? "recovery" : "totp")",
                body: ["challenge": .string(challenge), "code": .string(code)]))
        guard response.status != 401 else {
            throw CommandFailure(
                .notSignedIn, "Sign-in failed: e-mail, password or code is wrong, or the code was used already.")
        }
        guard response.status == 201, let session = response.json, let token = session["token"]?.string else {
            throw Problem.failure(response)
        }
        try invocation.credentials.set(
            CredentialFile.Entry(token: token, email: email, expiresAt: session["expires_at"]?.string ?? ""),
            for: client.server)
        let name = session["staff"]?["name"]?.string ?? email
        terminal.print(
            "Signed in to \(client.server) as \(name.printable) until \(session["expires_at"]?.string ?? "later").")
    }
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
        let staff = answer["staff"] ?? .null
        client.terminal.write(
            JSON.members([
                ("id", staff["id"]), ("name", staff["name"]), ("email", staff["email"]), ("roles", staff["roles"]),
                ("server", .string(client.server)), ("until", answer["session"]?["expires_at"]),
                ("factor_used", answer["session"]?["mfa_at"]),
            ]).lines())
    }
}
