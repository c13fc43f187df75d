import ArgumentParser
import Foundation
import Kernel

/// The whole command line. Static verbs are declared with ArgumentParser; verbs of operations are derived from the
/// catalogue and share its help.
public struct PosternCommand: AsyncParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "postern",
            abstract: "The back office of a SaaS provider: every change reasoned, previewed, undoable and provable.",
            discussion: nounsDiscussion,
            version: version,
            groupedSubcommands: [
                CommandGroup(
                    name: "Server",
                    subcommands: [
                        ServeCommand.self, DemoCommand.self, MigrateCommand.self, DoctorCommand.self,
                        ImportCommand.self,
                        VerifyCommand.self, BackupCommand.self, RestoreCommand.self, DocsCommand.self,
                    ]),
                CommandGroup(
                    name: "Signing in", subcommands: [LoginCommand.self, LogoutCommand.self, WhoAmICommand.self]),
                CommandGroup(
                    name: "Work",
                    subcommands: [
                        TenantCommand.self, UserCommand.self, ApprovalsCommand.self, ApprovalCommand.self,
                        PolicyCommand.self, StaffCommand.self,
                        BreakGlassCommand.self, AccessReviewCommand.self, AuditCommand.self, InboxCommand.self,
                        UndoCommand.self,
                        APICommand.self,
                    ]),
                CommandGroup(name: "Shell", subcommands: [CompletionCommand.self]),
            ])
    }

    public static let version = "0.1.0"

    public init() {}

    /// Runs one command and answers how the process should end. Everything is written through the invocation's terminal.
    public static func run(_ arguments: [String], in invocation: Invocation) async -> CommandStatus {
        await Invocation.$held.withValue(invocation) {
            do {
                try await dispatch(arguments)
                return .done
            } catch let failure as CommandFailure {
                if !failure.message.isEmpty { invocation.terminal.note(failure.message) }
                return failure.status
            } catch is CancellationError {
                return .unexpected
            } catch {
                return settle(error, invocation.terminal)
            }
        }
    }

    private static func dispatch(_ arguments: [String]) async throws {
        let catalog = Invocation.current.catalog
        let terminal = Invocation.current.terminal
        var words = arguments
        // `postern help …` reads like `postern … --help`.
        if words.first == "help" {
            if words.dropFirst().first == "exit-codes" { return terminal.write(CommandStatus.table) }
            words = Array(words.dropFirst()) + ["--help"]
        }
        if words.count >= 2, let verb = OperationVerb.find(words[0], words[1], in: catalog) {
            return try await verb.run(Array(words.dropFirst(2)))
        }
        if words.count >= 2, let verb = ReadVerb.find(words[0], words[1], in: catalog) {
            return try await verb.run(Array(words.dropFirst(2)))
        }
        if let noun = words.first, isDerivedOnly(noun, in: catalog) {
            guard words.count == 1 || words.contains("--help") || words.contains("-h") else {
                let known = ReadVerb.all(of: noun, in: catalog).map(\.verb) + verbs(of: noun, in: catalog).map(\.verb)
                let near = Nearest.word(to: words[1], among: known)
                throw CommandFailure(
                    .usage,
                    "There is no verb \"\(words[1].printable)\" for \(noun)."
                        + (near.map { " Did you mean \($0)?" } ?? "") + "\nHelp: postern \(noun) --help")
            }
            return terminal.write("USAGE: postern \(noun) <verb>\n\n\(verbList(of: noun, in: catalog))")
        }
        try refuseUnknown(words, in: catalog)
        var command = try parseAsRoot(words)
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            try command.run()
        }
    }

    /// A word that is no command or verb, with the nearest one that is.
    private static func refuseUnknown(_ words: [String], in catalog: Catalog) throws(CommandFailure) {
        func names(_ commands: [any ParsableCommand.Type]) -> [String] {
            commands.map { $0.configuration.commandName ?? $0._commandName }
        }
        func refuse(_ what: String, _ word: String, _ known: [String], _ help: String) throws(CommandFailure) {
            guard !word.hasPrefix("-"), !known.contains(word) else { return }
            let near = Nearest.word(to: word, among: known).map { " Did you mean \($0)?" } ?? ""
            throw CommandFailure(.usage, "There is no \(what) \"\(word.printable)\".\(near)\nHelp: \(help)")
        }
        let groups = configuration.groupedSubcommands.flatMap(\.subcommands)
        let roots = configuration.ungroupedSubcommands + groups
        guard let noun = words.first else { return }
        try refuse("command", noun, names(roots) + derivedNouns(in: catalog), "postern help")
        guard words.count > 1, staticNouns.contains(noun),
            let root = roots.first(where: { names([$0]) == [noun] })
        else { return }
        let known = names(root.configuration.subcommands) + verbs(of: noun, in: catalog).map(\.verb)
        try refuse("verb", words[1], known, "postern \(noun) --help")
    }

    private static func settle(_ error: any Error, _ terminal: Terminal) -> CommandStatus {
        let text = fullMessage(for: error, columns: 100)
        switch exitCode(for: error) {
        case .success:
            terminal.print(text)
            return .done
        case .validationFailure:
            terminal.note(text)
            return .usage
        default:
            terminal.note("postern: \(text)")
            return .unexpected
        }
    }

    // MARK: Nouns that only have derived verbs

    static func verbs(of noun: String, in catalog: Catalog) -> [OperationVerb] {
        OperationVerb.all(in: catalog).filter { $0.noun == noun }
    }

    private static let staticNouns: Set<String> = [
        "tenant", "user", "staff", "audit", "policy", "breakglass", "access-review", "approval",
    ]

    static func isDerivedOnly(_ noun: String, in catalog: Catalog) -> Bool {
        !staticNouns.contains(noun) && !verbs(of: noun, in: catalog).isEmpty
    }

    static func derivedNouns(in catalog: Catalog) -> [String] {
        Set(OperationVerb.all(in: catalog).map(\.noun)).subtracting(staticNouns).sorted()
    }

    /// The operations of a noun as its help lists them, after what is derived to look at it.
    static func verbList(of noun: String, in catalog: Catalog) -> String {
        let verbs = verbs(of: noun, in: catalog)
        guard !verbs.isEmpty else { return "" }
        let width = (verbs.map(\.verb.count).max() ?? 0) + 2
        var looking = ""
        for read in ReadVerb.all(of: noun, in: catalog) {
            looking += "  \(read.verb.padded(to: max(width, 6)))\(read.read.summary)\n"
        }
        if !looking.isEmpty { looking = "SUBCOMMANDS:\n\(looking)\n" }
        return "\(looking)OPERATIONS:\n"
            + verbs.map { "  \($0.verb.padded(to: width))\($0.operation.spec.summary)\n" }.joined()
            + "\n  See 'postern \(noun) <operation> --help' for detailed help.\n"
    }

    private static var nounsDiscussion: String {
        var lines = ["Exit codes: postern help exit-codes"]
        if let catalog = Invocation.held?.catalog {
            let nouns = derivedNouns(in: catalog)
            if !nouns.isEmpty {
                lines.insert("More nouns, with verbs from the operations: \(nouns.joined(separator: ", ")).", at: 0)
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Help of every command and operation, in order: the committed `Golden/commands.txt`.
    public static func helpTree(in invocation: Invocation) -> String {
        Invocation.$held.withValue(invocation) {
            var out = ""
            func add(_ path: [String], _ command: any ParsableCommand.Type) {
                let help =
                    path.count == 1
                    ? PosternCommand.helpMessage(columns: 100) : PosternCommand.helpMessage(for: command, columns: 100)
                out += "## \(path.joined(separator: " "))\n\n\(trimmed(help))\n\n"
                let nested = command.configuration
                for sub in nested.subcommands {
                    add(path + [sub.configuration.commandName ?? sub._commandName], sub)
                }
                if path.count == 2, staticNouns.contains(path[1]) { addOperations(of: path[1]) }
            }
            func addReads(of noun: String) {
                for verb in ReadVerb.all(of: noun, in: invocation.catalog) {
                    out += "## postern \(noun) \(verb.verb)\n\n\(trimmed(verb.help))\n\n"
                }
            }
            func addOperations(of noun: String) {
                for verb in verbs(of: noun, in: invocation.catalog) {
                    out += "## postern \(noun) \(verb.verb)\n\n\(trimmed(verb.help))\n\n"
                }
            }
            add(["postern"], PosternCommand.self)
            for noun in derivedNouns(in: invocation.catalog) {
                out +=
                    "## postern \(noun)\n\nUSAGE: postern \(noun) <verb>\n\n\(trimmed(verbList(of: noun, in: invocation.catalog)))\n\n"
                addReads(of: noun)
                addOperations(of: noun)
            }
            return out + "## postern help exit-codes\n\n" + CommandStatus.table
        }
    }

    /// Without blanks at line ends, which some editors would remove from the committed file.
    private static func trimmed(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n").trimmingCharacters(in: .newlines)
    }
}

/// Options every client verb has.
struct ServerOption: ParsableArguments {
    @Option(name: .customLong("server"), help: "The server (default: POSTERN_URL, else http://localhost:8080).")
    var server: String?

    func client(needsToken: Bool = true) throws(CommandFailure) -> APIClient {
        try APIClient.make(server: server, needsToken: needsToken)
    }
}

/// Options of verbs that take data away, which asks for a factor as operations of high risk do.
struct FactorOption: ParsableArguments {
    @Option(help: "A fresh code, where the server asks for one.") var code: String?

    func client(of server: ServerOption) throws(CommandFailure) -> APIClient {
        var client = try server.client()
        client.code = code
        return client
    }
}

/// Options of verbs that answer with data.
struct OutputOption: ParsableArguments {
    @Flag(help: "Answer as JSON, for scripts.")
    var json = false
}
