import ArgumentParser
import Foundation
import Kernel

struct StaffCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "staff", abstract: "The people who work here.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "staff", in: $0.catalog) } ?? "",
            subcommands: [Bootstrap.self, List.self])
    }

    struct Bootstrap: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "bootstrap",
            abstract: "Make the first super_admin, or renew their link; works until they enrolled.",
            discussion: """
                Prints an enrolment link that works once, for one hour; an earlier one stops working. Run it on the server's \
                machine.
                """)
        @Argument(help: "Their e-mail address.") var email: String
        @Option(help: "Their name; the part before the @ when left out.") var name: String?
        @Option(help: "The address given before, if it was wrong; it is corrected.") var insteadOf: String?
        func run() async throws {
            let link = try await Invocation.current.installation.bootstrap(
                email: email, name: name, insteadOf: insteadOf)
            Invocation.current.terminal.note("Open this link within one hour; it works once:")
            Invocation.current.terminal.print(link)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List staff with their roles.")
        @OptionGroup var page: PageOption
        func run() async throws {
            let table = TextTable(columns: [
                .init("ID", member: "id"), .init("NAME", member: "name"), .init("E-MAIL", member: "email"),
                .init("STATUS", member: "status"), .init("ROLES", member: "roles"),
            ])
            try await page.show("/api/v1/staff", as: table, empty: "There are no staff.", with: page.server.client())
        }
    }
}
