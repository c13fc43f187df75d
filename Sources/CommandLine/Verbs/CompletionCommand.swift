import ArgumentParser

extension CompletionScript.Shell: ExpressibleByArgument {}

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print what your shell reads to complete commands and options.",
        discussion: """
            bash: source <(postern completion bash), in ~/.bashrc. zsh: postern completion zsh > a folder of $fpath/_postern. \
            fish: postern completion fish > ~/.config/fish/completions/postern.fish. Made from this program's own commands; print \
            it anew after an upgrade.
            """)
    @Argument(help: "Your shell.") var shell: CompletionScript.Shell

    func run() {
        let invocation = Invocation.current
        invocation.terminal.write(CompletionScript(tree: CommandTree(invocation)).text(for: shell))
    }
}
