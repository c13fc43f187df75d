import ArgumentParser
import Foundation
import Kernel

struct StaffCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "staff", abstract: "The people who work here.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "staff", in: $0.catalog) } ?? "",
            subcommands: [Bootstrap.self, Recover.self, List.self])
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

    struct Recover: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "recover",
            abstract: "Let the last super_admin, who is locked out, set new factors after 24 hours.",
            discussion: """
                Run it on the server's machine, with its master key. Everybody who is super_admin or security is told in \
                the inbox and by mail, and a super_admin who signs in within the 24 hours can cancel it. Prints an enrolment \
                link that works once, from then on.
                """)
        @Argument(help: "Their e-mail address.") var email: String
        func run() async throws {
            let (link, start, told) = try await Invocation.current.installation.recover(email: email)
            Invocation.current.terminal.note(
                told.isEmpty
                    ? """
                    WARNING: only the inbox tells of it, because the servers of this deployment send no mail and have no \
                    channel in Slack. Where they sent mail before, it waits until they do again. Tell the others yourself: a super_admin who \
                    signs in can cancel it on the first page.
                    """
                    : "The servers tell of it: \(told.joined(separator: ", ")).")
            Invocation.current.terminal.note(
                "This link works once, for 24 hours from \(start) on, unless a super admin cancels it. Keep it safe:")
            Invocation.current.terminal.print(link)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List staff with their roles.")
        @Option(help: "Only people who hold this role.") var role: String?
        @Option(help: "Only people in this state: \(states.joined(separator: ", ")).") var status: String?
        @Option(help: "Only people with something to look at: expiring, no_factor, flagged, dormant.") var show: String?
        @Option(help: "With --show dormant: for how many days they have not signed in.") var days: Int?
        @OptionGroup var page: PageOption
        private static let states = ["invited", "active", "deactivated"]
        func run() async throws {
            let table = TextTable(columns: [
                .init("ID", member: "id"), .init("NAME", member: "name"), .init("E-MAIL", member: "email"),
                .init("STATUS", member: "status"), .init("ROLES", member: "roles"),
            ])
            try await page.show(
                "/api/v1/staff", [("role", role), ("status", status), ("show", show), ("days", days.map(String.init))],
                as: table,
                empty: "There are no staff.", with: page.server.client())
        }
    }
}
