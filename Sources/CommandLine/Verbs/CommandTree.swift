import ArgumentParser
import Foundation
import Kernel

/// Every command with its options, as a shell completes them: what is declared, and the verbs of the catalogue.
struct CommandTree: Sendable {
    /// What can stand for a value.
    enum Values: Sendable, Equatable {
        /// Nothing a shell could know.
        case anything
        case words([String])
        case file
    }

    struct Option: Sendable {
        /// `--json`, `-o`
        let names: [String]
        let help: String
        /// `nil` for a switch.
        let value: Values?
    }

    /// A word after the ones before it, with what may follow.
    struct Command: Sendable {
        /// `tenant suspend`; empty for the program itself.
        let path: String
        let help: String
        var options: [Option] = []
        /// What an argument may be.
        var argument: Values = .anything
        var children: [(word: String, help: String)] = []
    }

    /// In the order of the help, the program itself first.
    private(set) var commands: [Command] = []

    init(_ invocation: Invocation) {
        let information = Invocation.$held.withValue(invocation) { PosternCommand._dumpHelp() }
        guard let tool = try? JSON(parsing: Array(information.utf8)), let root = tool["command"] else {
            preconditionFailure("the command line can't describe itself")
        }
        let catalog = invocation.catalog
        add(root, at: [], in: catalog)
        for noun in PosternCommand.derivedNouns(in: catalog) {
            commands[0].children.append((noun, "Operations on this noun."))
            commands.append(Command(path: noun, help: "Operations on this noun."))
            addVerbs(of: noun, to: commands.count - 1, in: catalog)
        }
        commands[0].children.append(("help", "Show help."))
        commands.append(Command(path: "help", help: "Show help.", argument: .words(["exit-codes"] + commands[0].words)))
    }

    private mutating func add(_ info: JSON, at path: [String], in catalog: Catalog) {
        let arguments = (info["arguments"]?.array ?? []).filter { $0["shouldDisplay"]?.bool != false }
        var command = Command(path: path.joined(separator: " "), help: info["abstract"]?.string ?? "")
        command.options = arguments.compactMap(Self.option)
        if let positional = arguments.first(where: { $0["kind"]?.string == "positional" }) {
            command.argument = Self.values(positional)
        }
        // `help` is the library's own name for what `--help` answers.
        let subcommands = (info["subcommands"]?.array ?? []).filter { $0["commandName"]?.string != "help" }
        let index = commands.count
        commands.append(command)
        for sub in subcommands {
            guard let name = sub["commandName"]?.string else { continue }
            commands[index].children.append((name, sub["abstract"]?.string ?? ""))
            add(sub, at: path + [name], in: catalog)
        }
        // What the default of several does may be said without its name.
        if let name = info["defaultSubcommand"]?.string,
            let own = subcommands.first(where: { $0["commandName"]?.string == name })
        {
            let known = Set(command.options.flatMap(\.names))
            commands[index].options += (own["arguments"]?.array ?? []).compactMap(Self.option).filter {
                known.isDisjoint(with: $0.names)
            }
        }
        if path.count == 1 { addVerbs(of: path[0], to: index, in: catalog) }
    }

    private mutating func addVerbs(of noun: String, to index: Int, in catalog: Catalog) {
        for verb in ReadVerb.all(of: noun, in: catalog) {
            let summary = verb.read.summary
            commands[index].children.append((verb.verb, summary))
            commands.append(Command(path: "\(noun) \(verb.verb)", help: summary, options: verb.completions))
        }
        for verb in PosternCommand.verbs(of: noun, in: catalog) {
            let summary = verb.operation.spec.summary
            commands[index].children.append((verb.verb, summary))
            commands.append(Command(path: "\(noun) \(verb.verb)", help: summary, options: verb.completions))
        }
    }

    // MARK: What the library says

    private static func option(_ argument: JSON) -> Option? {
        guard let kind = argument["kind"]?.string, kind != "positional" else { return nil }
        let names = (argument["names"]?.array ?? []).compactMap { name -> String? in
            guard let text = name["name"]?.string else { return nil }
            return name["kind"]?.string == "long" ? "--\(text)" : "-\(text)"
        }
        guard !names.isEmpty else { return nil }
        return Option(
            names: names, help: argument["abstract"]?.string ?? "", value: kind == "option" ? values(argument) : nil)
    }

    private static func values(_ argument: JSON) -> Values {
        if let words = argument["allValues"]?.array?.compactMap(\.string), !words.isEmpty { return .words(words) }
        guard let completion = argument["completionKind"] else { return .anything }
        if completion["file"] != nil || completion["directory"] != nil { return .file }
        return completion["list"]?["values"]?.array.map { .words($0.compactMap(\.string)) } ?? .anything
    }
}

extension CommandTree.Command {
    var words: [String] { children.map(\.word) }
    var optionNames: [String] { options.flatMap(\.names) }
}

extension ReadVerb {
    fileprivate var completions: [CommandTree.Option] {
        options.map { option in
            let words = words(of: option)
            return .init(
                names: ["--\(option.name)"], help: option.help,
                value: option.placeholder == nil ? nil : words.isEmpty ? .anything : .words(words))
        }
    }
}

extension OperationVerb {
    /// Its options: fields, reasons, and what every operation takes.
    fileprivate var completions: [CommandTree.Option] {
        let fields = operation.fields().flatMap { field -> [CommandTree.Option] in
            let name = "--\(Self.optionName(field.name))"
            let help = field.param.label
            switch field.param.control {
            case .checkbox:
                return [
                    .init(names: [name], help: help, value: nil),
                    .init(names: ["--no-" + Self.optionName(field.name)], help: "Not: \(help)", value: nil),
                ]
            case .choice(let words), .choices(let words):
                return [.init(names: [name], help: help, value: .words(words))]
            default: return [.init(names: [name], help: help, value: .anything)]
            }
        }
        let codes = operation.spec.reasonCodes.map(\.code)
        return fields
            + (reasoningOptions + Self.common).map { option in
                .init(
                    names: ["--\(option.name)"], help: option.help,
                    value: option.name == "reason-code"
                        ? .words(codes) : option.placeholder == nil ? nil : .anything)
            }
    }
}
