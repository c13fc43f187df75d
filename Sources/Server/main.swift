import CommandLine
import Consoles
import Foundation
import Kernel

// A reader that goes away (`postern tenant list | head`) is an error of the write, not a signal.
signal(SIGPIPE, SIG_IGN)

let environment = ProcessInfo.processInfo.environment
Allocator.settle(environment)
let terminal = Terminal.standard(environment: environment)
let status = await PosternCommand.run(
    Array(ProcessInfo.processInfo.arguments.dropFirst()),
    in: Invocation(
        catalog: Deployment.catalog,
        installation: ServerInstallation(
            environment: environment, terminal: terminal, program: Swift.CommandLine.arguments.first ?? "postern"),
        environment: environment, terminal: terminal, documents: Documents.all))
exit(status.rawValue)
