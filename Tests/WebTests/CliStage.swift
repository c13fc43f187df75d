import CommandLine
import Consoles
import Foundation
import HTML
import Kernel
import Synchronization

/// A command line whose server is a script of answers, and whose terminal is kept.
final class CliStage: Sendable {
    struct Answer: Sendable {
        var status = 200
        var headers: [String: String] = [:]
        var body: JSON = .object([:])
    }

    private struct State {
        var answers: [Answer] = []
        var sent: [APIRequest] = []
        var out = ""
        var error = ""
        var typed: [String] = []
    }

    private let state = Mutex(State())
    private let isInteractive: Bool
    private let width: Int?

    init(_ answers: [Answer] = [], typed: [String] = [], isInteractive: Bool = false, width: Int? = nil) {
        self.isInteractive = isInteractive
        self.width = width
        state.withLock {
            $0.answers = answers
            $0.typed = typed
        }
    }

    var sent: [APIRequest] { state.withLock { $0.sent } }
    var out: String { state.withLock { $0.out } }
    var error: String { state.withLock { $0.error } }

    static let catalog = Catalog(Consoles.all)

    func invocation(token: String? = "pst_test") -> Invocation {
        var environment = ["XDG_CONFIG_HOME": NSTemporaryDirectory() + "postern-cli-none"]
        environment["POSTERN_TOKEN"] = token
        return Invocation(
            catalog: Self.catalog, installation: NoInstallation(), environment: environment,
            terminal: Terminal(
                isInteractive: isInteractive, isColoured: false, width: width,
                out: { text in self.state.withLock { $0.out += text } },
                error: { text in self.state.withLock { $0.error += text } },
                ask: { _ in self.state.withLock { $0.typed.isEmpty ? nil : $0.typed.removeFirst() } }),
            transport: { _ in ScriptedTransport(stage: self) })
    }

    func run(_ arguments: String..., token: String? = "pst_test") async -> CommandStatus {
        await PosternCommand.run(arguments, in: invocation(token: token))
    }

    fileprivate func answer(_ request: APIRequest) throws(CommandFailure) -> APIResponse {
        let answer: Answer? = state.withLock { state in
            state.sent.append(request)
            return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
        guard let answer else { throw CommandFailure(.unavailable, "the stage has no answer left") }
        return APIResponse(status: answer.status, headers: answer.headers, body: answer.body.canonical)
    }
}

private struct ScriptedTransport: Transport {
    let stage: CliStage
    func send(_ request: APIRequest) async throws(CommandFailure) -> APIResponse { try stage.answer(request) }
    func stream(
        _ request: APIRequest, to sink: @Sendable ([UInt8]) throws -> Void
    ) async throws(CommandFailure) -> APIResponse { try stage.answer(request) }
}

/// Client verbs never reach the server's machine.
private struct NoInstallation: Installation {
    private func refuse() -> CommandFailure { CommandFailure(.unexpected, "no installation here") }
    func serve(listeners: [String]) async throws { throw refuse() }
    func demo(size: DemoSize?, serves: Bool) async throws { throw refuse() }
    func demoCode(email: String) async throws -> String { throw refuse() }
    func migrate() async throws { throw refuse() }
    func doctor(isJSON: Bool) async throws -> Bool { throw refuse() }
    func recover(email: String) async throws -> (link: String, from: String, told: [String]) { throw refuse() }
    func bootstrap(email: String, name: String?, insteadOf: String?) async throws -> String { throw refuse() }
    func verify(_ question: VerifyQuestion) async throws -> VerifyResult { throw refuse() }
    func prune(into folder: String?) async throws -> PruneResult { throw refuse() }
    func backUp(to path: String) async throws -> String { throw refuse() }
    func restore(from path: String, replacing: Bool) async throws -> String { throw refuse() }
    func openSuccessor(origin: String) async throws -> String { throw refuse() }
    func importFile(_ question: ImportQuestion) async throws -> ImportResult { throw refuse() }
}
