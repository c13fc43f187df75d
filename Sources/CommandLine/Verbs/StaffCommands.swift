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
            commandName: "bootstrap", abstract: "Make the first super_admin; works only while there are no staff.",
            discussion: "Prints an enrolment link that works once, for one hour. Run it on the server's machine.")
        @Argument(help: "Their e-mail address.") var email: String
        @Option(help: "Their name; the part before the @ when left out.") var name: String?
        func run() async throws {
            let link = try await Invocation.current.installation.bootstrap(email: email, name: name)
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
