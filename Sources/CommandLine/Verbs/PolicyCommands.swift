import ArgumentParser
import Kernel

struct PolicyCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "policy", abstract: "Rules, roles, limits and rates, and the holes in them.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "policy", in: $0.catalog) } ?? "",
            subcommands: [Lint.self, Matrix.self, Try.self])
    }

    struct Lint: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "lint", abstract: "Search for whoever could complete a two-person action alone.",
            discussion: "Ends with status 10 when there is a problem.")
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.get("/api/v1/policy-findings")
            let found = answer["items"]?.array ?? []
            if output.json {
                client.terminal.write(answer.pretty() + "\n")
            } else {
                for finding in found {
                    let mark = finding["is_problem"] == true ? "problem" : "note   "
                    client.terminal.write("\(mark)  \(finding["detail"]?.string ?? "")\n")
                    for step in finding["steps"]?.array ?? [] { client.terminal.write("           \(step.shown)\n") }
                }
            }
            let problems = found.count { $0["is_problem"] == true }
            guard problems == 0 else {
                throw CommandFailure(.drift, problems == 1 ? "There is a problem." : "There are \(problems) problems.")
            }
            if !output.json { client.terminal.write("Nobody could complete a two-person action alone.\n") }
        }
    }

    struct Matrix: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "matrix", abstract: "Show who may do what: each permission, and the roles that hold it.")
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let terminal = client.terminal
            let answer = try await client.get("/api/v1/access")
            guard !output.json else { return terminal.print(answer.pretty()) }
            let permissions = answer["permissions"]?.array ?? []
            let width = permissions.compactMap { $0["code"]?.string?.count }.max() ?? 0
            var area = ""
            for entry in permissions {
                let (code, risk) = ((entry["code"] ?? .null).shown, (entry["risk"] ?? .null).shown)
                if let next = entry["area"]?.string, next != area {
                    terminal.print((area.isEmpty ? "" : "\n") + terminal.bold(next.printable))
                    area = next
                }
                let holders = (entry["held_by"]?.array ?? []).map(Self.holder).joined(separator: ", ")
                terminal.print("  \(code.padded(to: width))  \(risk.padded(to: 8))  \(holders)".printable)
            }
            let separations = answer["separations"]?.array ?? []
            guard !separations.isEmpty else { return }
            terminal.print("\n" + terminal.bold("Not held together"))
            for pair in separations {
                func roles(_ name: String) -> String { (pair[name] ?? .null).shown }
                terminal.print("  \(roles("first_roles")) with \(roles("second_roles"))".printable)
            }
        }

        /// `finance up to 500.00 USD (2,000.00 a day)`
        private static func holder(_ cell: JSON) -> String {
            let limits = (cell["limits"]?.array ?? []).compactMap { Limit($0)?.words }
            let role = (cell["role"] ?? .null).shown
            return limits.isEmpty ? role : "\(role) up to \(limits.joined(separator: " or "))"
        }
    }

    struct Try: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "try", abstract: "Try a rule, as it is or with other terms, on the last 90 days.")
        @Argument(help: "The rule's code, like tenant_hard_delete.") var rule: String
        @Option(help: "When it would apply, like \"amount > 100000 and currency = USD\", or always.")
        var condition: String?
        @Option(help: "Who would have to agree, like \"super_admin or security\".") var demand: String?
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let query = [("condition", condition), ("demand", demand)].compactMap { name, value in
                value.map { "\(name)=\(APIClient.encode($0))" }
            }
            let answer = try await client.get(
                "/api/v1/approval-rules/\(APIClient.encode(rule))/simulation"
                    + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
            client.terminal.write(output.json ? answer.pretty() + "\n" : answer.lines())
        }
    }
}
