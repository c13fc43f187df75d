import CPQ
import Kernel

/// What a connection or the server answered instead of a result.
struct PostgresFailure: Error {
    /// `nil` when the connection itself failed.
    let sqlState: String?
    let message: String
    var constraint: String?
    var detail: String?
    /// The connection can't be used any more.
    var isConnectionLost: Bool
    /// Nothing came within the time for an answer: asking again would double the wait.
    var isSilent = false

    init(lost message: String) {
        sqlState = nil
        self.message = message
        isConnectionLost = true
    }

    init(_ result: OpaquePointer) {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue!)).map { String(cString: $0) }
        }
        sqlState = field("C")
        message = field("M") ?? String(cString: PQresultErrorMessage(result))
        constraint = field("n")
        detail = field("D")
        // Class 57P: the server is shutting down or ended this session.
        isConnectionLost = sqlState == nil || sqlState?.hasPrefix("57P") == true || sqlState?.hasPrefix("08") == true
    }

    /// - Parameter committing: a COMMIT had been sent and its answer did not arrive.
    func storeError(committing: Bool) -> StoreError {
        guard let sqlState, !isConnectionLost else { return .unavailable(message, mayHaveCommitted: committing) }
        switch sqlState {
        case "23505": return .unique(constraint: constraint ?? "")
        case "PT001": return .rowCount(expected: detail.flatMap { Int($0) } ?? 1)
        case "PT002": return .ungoverned(message)
        case "PT003": return .claimed
        case "40001", "40P01": return .retry(message)
        case "55P03", "57014": return .unavailable(message, mayHaveCommitted: false)
        case "53100": return .full(message)
        case "25006": return .other("This transaction can't write: \(message)")
        case "42501": return .constraint(message)
        default:
            if sqlState.hasPrefix("23") || sqlState.hasPrefix("22") { return .constraint(message) }
            if sqlState.hasPrefix("53") { return .unavailable(message, mayHaveCommitted: false) }
            return .other("\(sqlState): \(message)")
        }
    }
}
