import ArgumentParser
import Foundation
import Kernel

struct AccessReviewCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "access-review", abstract: "Who holds which role, looked at again.",
            discussion: Invocation.held.map { PosternCommand.verbList(of: "access-review", in: $0.catalog) } ?? "",
            subcommands: [List.self, Show.self, Items.self, Evidence.self])
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List reviews, the newest first.")
        @Option(help: "Only those in this state: open, closed, cancelled.") var state: String?
        @OptionGroup var page: PageOption
        func run() async throws {
            let table = TextTable(columns: [
                .init("ID", member: "id"), .init("STATE", member: "state"), .init("ROLES", member: "roles"),
                .init("DECIDED") { review in
                    let progress = review["progress"]
                    let total = progress?["total"]?.int ?? 0
                    return "\(total - (progress?["open"]?.int ?? 0)) of \(total)"
                }, .init("DUE") { String(($0["due_at"]?.string ?? "").prefix(16)).replacing("T", with: " ") },
            ])
            try await page.show(
                "/api/v1/access-reviews", [("state", state)], as: table, empty: "There are no such reviews.",
                with: page.server.client())
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show one review and how far it is.")
        @Argument(help: "Its id (rev_…).") var review: String
        @OptionGroup var output: OutputOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            let client = try server.client()
            let answer = try await client.get("/api/v1/access-reviews/\(APIClient.encode(review))")
            client.terminal.write(output.json ? answer.pretty() + "\n" : answer.lines())
        }
    }

    struct Items: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "items", abstract: "List the grants of a review, with what was decided.",
            discussion: "Decide with: postern access-review-item keep|revoke ID")
        @Argument(help: "The review's id (rev_…).") var review: String
        @Option(help: "Only what is open, kept, revoked or ended.") var state: String?
        @Option(help: "Only what this person is to decide or has decided: an id, or me.") var reviewer: String?
        @OptionGroup var page: PageOption
        func run() async throws {
            let table = TextTable(columns: [
                .init("ID", member: "id"), .init("NAME", member: "name"), .init("ROLE", member: "role"),
                .init("STATE") { item in
                    item["state"] == "open" && item["is_live"] == false ? "ended" : item["state"]?.string ?? ""
                }, .init("REVIEWER", member: "reviewer"), .init("REASON", member: "reason"),
            ])
            try await page.show(
                "/api/v1/access-reviews/\(APIClient.encode(review))/items",
                [("state", state), ("reviewer", reviewer)], as: table, empty: "No grant fits.",
                with: page.server.client())
        }
    }

    struct Evidence: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "evidence", abstract: "Fetch the evidence of a review, to be checked without the server.",
            discussion: "Anybody can check it: postern verify evidence FILE --key KEY")
        @Argument(help: "The review's id (rev_…).") var review: String
        @Option(
            name: [.customShort("o"), .customLong("out")], help: "Write it to this file, readable by you only.",
            completion: .file())
        var out: String
        @OptionGroup var factor: FactorOption
        @OptionGroup var server: ServerOption
        func run() async throws {
            try await Download(factor.client(of: server)).save(
                "/api/v1/access-reviews/\(APIClient.encode(review))/evidence", to: out)
        }
    }
}
