import Consoles
import HTML
import Kernel

/// A page call as the web makes it.
enum PageCallFixture {
    static func make(
        _ caller: Caller, path: [String: String] = [:], query: [String: [String]] = [:]
    ) -> PageCall {
        PageCall(
            path: path, query: query, caller: caller, cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)),
            catalog: Catalog(Consoles.all), csrf: "csrf-token")
    }
}

/// The error an operation ends with, or `nil` when it succeeds.
func failure(_ body: () async throws -> Void) async -> OperationError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? OperationError ?? .internalError(String(describing: error))
    }
}

/// The fields that are refused; none when it succeeds.
func refusedFields(_ body: () async throws -> Void) async throws -> [String] {
    let error = await failure(body)
    guard let error else { return [] }
    guard case .invalid(let errors) = error else { throw error }
    return errors.map(\.pointer)
}

extension OperationError {
    /// How long to wait, when that is the answer.
    var wait: Span? {
        if case .tooManyRequests(let span) = self { return span }
        return nil
    }
}
