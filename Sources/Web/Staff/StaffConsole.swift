import Hummingbird
import Kernel

/// The console of the staff listener.
struct StaffConsole: Sendable {
    let context: WebContext
    init(_ context: WebContext) { self.context = context }
    func routes() -> [Route] { [] }
    func errorPage(_ problem: Problem, _ exchange: Exchange) async -> Response {
        problem.response(instance: exchange.path)
    }
}
