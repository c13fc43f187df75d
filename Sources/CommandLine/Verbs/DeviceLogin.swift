import Foundation
import Kernel

/// Signs in by a browser: shows an address and a code, and waits for somebody to agree (RFC 8628).
struct DeviceLogin {
    let client: APIClient
    /// Waits between two questions.
    var pause: @Sendable (Int64) async throws -> Void = { try await Task.sleep(for: .seconds($0)) }

    func run() async throws {
        let begun: JSON
        do throws(CommandFailure) {
            begun = try await client.json(
                APIRequest("POST", "/api/v1/sessions/device", body: ["machine": .string(Self.machine)]))
        } catch {
            guard error.status == .notFound else { throw error }
            throw CommandFailure(
                .usage, "This server knows no sign-in by a browser. Use: postern login --password")
        }
        guard let device = begun["device_code"]?.string, let code = begun["user_code"]?.string,
            let page = begun["verification_uri_complete"]?.string, let plain = begun["verification_uri"]?.string
        else { throw CommandFailure(.unexpected, "The server did not answer with a code.") }
        let terminal = client.terminal
        terminal.note(
            """
            Open this address in a browser where you can sign in:

              \(terminal.bold(page.printable))

            and compare the code there with this one:  \(terminal.bold(code.printable))
            On another device, open \(plain.printable) and type the code.
            It works once, for \((begun["expires_in"]?.int ?? 600) / 60) minutes. Ctrl-C gives up.
            """)
        try await wait(device, interval: max(1, begun["interval"]?.int ?? 5), lasts: begun["expires_in"]?.int ?? 600)
    }

    private func wait(_ device: String, interval: Int64, lasts: Int64) async throws {
        let end = Clock.steady.now + .seconds(lasts + 30)
        var interval = interval
        defer { client.terminal.endProgress() }
        while Clock.steady.now < end {
            client.terminal.progress("Waiting for the browser…")
            try await pause(interval)
            let response: APIResponse
            do throws(CommandFailure) {
                response = try await client.send(
                    APIRequest("POST", "/api/v1/sessions/device/token", body: ["device_code": .string(device)]))
            } catch {
                // A server that restarts or a network that changes is no answer.
                guard error.status == .unavailable else { throw error }
                continue
            }
            if response.status == 201, let session = response.json {
                client.terminal.endProgress()
                return try keepSession(session, client)
            }
            switch response.json?["type"]?.string {
            case "/problems/authorization-pending", "/problems/slow-down":
                interval = min(60, max(interval, response.json?["retry_after"]?.int ?? interval))
            case "/problems/access-denied":
                throw CommandFailure(.refused, "The sign-in was turned away in the browser. Nobody is signed in.")
            case "/problems/expired-token": throw Self.over
            default:
                // A busy server says when to come again.
                guard [429, 502, 503, 504].contains(response.status) else { throw Problem.failure(response) }
                interval = min(60, max(interval, response.json?["retry_after"]?.int ?? interval))
            }
        }
        throw Self.over
    }

    private static let over = CommandFailure(
        .notSignedIn, "The code ran out before anybody approved it. Begin again with: postern login")

    /// What this machine calls itself, so that the person knows it again.
    private static var machine: String {
        let name = ProcessInfo.processInfo.hostName.unicodeScalars.filter {
            $0.isASCII && $0.value > 0x20 && $0.value < 0x7F
        }
        let text = String(String.UnicodeScalarView(name)).prefix(60)
        return text.isEmpty ? "unnamed" : String(text)
    }
}
