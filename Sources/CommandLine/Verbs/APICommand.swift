import ArgumentParser
import Kernel

struct APICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Fetch any read of the API, signed in as you, as JSON.")

    @Argument(help: "The path after /api/v1, such as /operations or '/tenants?status=suspended'.") var path: String
    @OptionGroup var server: ServerOption

    func run() async throws {
        guard path.hasPrefix("/"), !path.contains(where: \.isWhitespace) else {
            throw CommandFailure(.usage, "The path starts with / and holds no spaces, such as /operations.")
        }
        let client = try server.client()
        // With or without the part that all paths share, as it is pasted from elsewhere.
        let whole = path.hasPrefix("/api/v1/") ? path : "/api/v1" + path
        client.terminal.print(try await client.get(whole).pretty())
    }
}
