import Foundation
import Kernel
import Testing

@testable import CommandLine

/// Completion as a shell does it: the printed script is loaded and asked.
@Suite struct CompletionTests {
    private static let scripts: [CompletionScript.Shell: String] = {
        let tree = CommandTree(CliStage().invocation())
        return Dictionary(
            uniqueKeysWithValues: CompletionScript.Shell.allCases.map {
                ($0, CompletionScript(tree: tree).text(for: $0))
            })
    }()

    private static func run(_ program: String, _ arguments: [String]) throws -> (
        status: Int32, out: String, error: String
    ) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: HouseRulesTests.root.path)
        let (out, error) = (Pipe(), Pipe())
        process.standardOutput = out
        process.standardError = error
        try process.run()
        let text = out.fileHandleForReading.readDataToEndOfFile()
        let complaint = error.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (
            process.terminationStatus, String(decoding: text, as: UTF8.self), String(decoding: complaint, as: UTF8.self)
        )
    }

    /// What bash offers for a line, taken apart as bash itself does it.
    private func bash(_ words: String...) throws -> [String] {
        let script = NSTemporaryDirectory() + "postern-completion-\(SecureRandom.bytes(6).hex).bash"
        try (Self.scripts[.bash] ?? "").write(toFile: script, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: script) }
        let ask = """
            set -u; source "$1"; shift
            COMP_WORDS=(postern "$@"); COMP_CWORD=$#; COMP_LINE="postern $*"; COMP_POINT=${#COMP_LINE}
            _postern
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let result = try Self.run("/bin/bash", ["--norc", "-c", ask, "bash", script] + words)
        #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
        return result.out.split(separator: "\n").map(String.init)
    }

    @Test func `bash completes commands, verbs and their options`() throws {
        #expect(try bash("ten") == ["tenant"])
        #expect(try bash("").contains("setting"))
        #expect(try bash("tenant", "sus") == ["suspend"])
        #expect(try bash("tenant", "").contains("list"))
        #expect(try bash("setting", "") == ["list", "show", "change"])
        #expect(
            try Set(bash("delivery", "list", "--")).isSuperset(of: ["--state", "--webhook", "--limit", "--cursor"]))
        #expect(try bash("tenant", "suspend", "acme", "--just") == ["--justification"])
        #expect(try Set(bash("serve", "--")).isSuperset(of: ["--listen", "--help"]))
        #expect(try bash("help", "exit") == ["exit-codes"])
    }

    @Test func `bash completes the values that are known`() throws {
        #expect(try bash("tenant", "suspend", "acme", "--reason-code", "non") == ["non_payment"])
        #expect(try bash("serve", "--listen", "") == ["staff", "auditor", "runtime", "metrics"])
        #expect(try bash("completion", "") == ["bash", "zsh", "fish"])
        #expect(try bash("delivery", "list", "--state", "de") == ["dead", "delivered"])
        // What bash took apart at the sign.
        #expect(try bash("tenant", "suspend", "acme", "--reason-code", "=", "non") == ["non_payment"])
        #expect(try bash("tenant", "suspend", "acme", "--reason-code", "=").contains("abuse"))
        // A value is no verb: the words after it are still completed.
        #expect(try bash("tenant", "suspend", "--ticket", "list", "--reason-code", "ab") == ["abuse"])
        #expect(try bash("tenant", "suspend", "acme", "--ticket", "").isEmpty)
    }

    @Test func `bash completes files where one is asked for`() throws {
        #expect(try bash("import", "csv", "READ").contains("README.md"))
        #expect(try bash("audit", "export", "--out", "READ").contains("README.md"))
        #expect(try bash("tenant", "show", "READ").isEmpty)
    }

    @Test func `every verb of every operation is offered with all of its options`() throws {
        let script = try #require(Self.scripts[.bash])
        for verb in OperationVerb.all(in: CliStage.catalog) {
            let line = script.split(separator: "\n").first {
                $0.hasPrefix("    '\(verb.noun) \(verb.verb)') printf") && $0.contains("--dry-run")
            }
            for field in verb.operation.fields() {
                #expect(
                    line?.contains("--\(OperationVerb.optionName(field.name))") == true, "\(verb.operation.spec.name)")
            }
        }
    }

    /// The part that bash and zsh share says the same to any shell of the POSIX kind.
    @Test func `the shared part runs in a shell that knows nothing of bash`() throws {
        let zsh = try #require(Self.scripts[.zsh])
        let end = try #require(zsh.firstRange(of: "typeset -gA"))
        let ask = String(zsh[..<end.lowerBound]) + "\n_postern_candidates \"$@\"\n"
        let answer = try Self.run("/bin/sh", ["-c", ask, "sh", "tenant", "suspend", "acme", "--reason-code", ""])
        #expect(answer.error.isEmpty && answer.out.split(separator: "\n").contains("non_payment"), "\(answer)")
        let options = try Self.run("/bin/sh", ["-c", ask, "sh", "setting", "change", "--"])
        #expect(options.out.split(separator: "\n").contains("--value"))
    }

    @Test func `zsh and fish take the script, where they are installed`() throws {
        for (shell, program) in [(CompletionScript.Shell.zsh, "zsh"), (.fish, "fish")] {
            let script = try #require(Self.scripts[shell])
            #expect(script.contains("postern") && !script.contains("\\n'\n\\"))
            let found = ["/bin", "/usr/bin", "/usr/local/bin"].map { "\($0)/\(program)" }.first {
                FileManager.default.isExecutableFile(atPath: $0)
            }
            guard let found else { continue }
            let file = NSTemporaryDirectory() + "postern-completion-\(SecureRandom.bytes(6).hex).\(program)"
            try script.write(toFile: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(atPath: file) }
            let result = try Self.run(found, ["-n", file])
            #expect(result.status == 0 && result.error.isEmpty, "\(program): \(result.error)")
        }
    }

    @Test func `quotes of fish are balanced in every line`() throws {
        for line in try #require(Self.scripts[.fish]).split(separator: "\n") {
            var open: Character?
            var escaped = false
            for character in line {
                if escaped {
                    escaped = false
                    continue
                }
                if character == "\\" {
                    escaped = true
                    continue
                }
                if let quote = open {
                    if character == quote { open = nil }
                } else if character == "'" || character == "\"" {
                    open = character
                }
            }
            #expect(open == nil, "\(line)")
        }
    }
}
