/// How `postern` ends. The numbers are a contract with scripts; `postern help exit-codes` prints them.
public enum CommandStatus: Int32, Sendable, CaseIterable {
    case done = 0
    case unexpected = 1
    case usage = 2
    case refused = 3
    case notSignedIn = 4
    case forbidden = 5
    case notFound = 6
    case preconditionFailed = 7
    case waiting = 8
    case unavailable = 9
    case drift = 10

    public var meaning: String {
        switch self {
        case .done: "Done."
        case .unexpected: "Something unexpected went wrong."
        case .usage: "The command or one of its values can't be accepted."
        case .refused: "Refused: the state, a limit or a lock does not allow it now."
        case .notSignedIn: "Not signed in, or a fresh code is needed."
        case .forbidden: "You lack the permission."
        case .notFound: "There is no such thing."
        case .preconditionFailed: "It changed since you looked (If-Match)."
        case .waiting: "Accepted, and waiting for approval by other people."
        case .unavailable: "The server or its database can't be reached; try again later."
        case .drift: "Verification found drift, or policy lint a problem."
        }
    }

    /// What an HTTP status means to a script.
    public init(http status: Int) {
        switch status {
        case 202: self = .waiting
        case 200..<300: self = .done
        case 400, 422: self = .usage
        case 401: self = .notSignedIn
        case 403: self = .forbidden
        case 404: self = .notFound
        case 409, 423: self = .refused
        case 412, 428: self = .preconditionFailed
        case 429, 502, 503, 504: self = .unavailable
        default: self = .unexpected
        }
    }

    /// The table of `postern help exit-codes` and `docs/cli.md`.
    public static var table: String {
        allCases.map { "\(String($0.rawValue).padded(to: 4))\($0.meaning)\n" }.joined()
    }
}

/// A command that can't go on: what to tell the person, and the exit status.
public struct CommandFailure: Error, Sendable {
    public let status: CommandStatus
    public let message: String

    public init(_ status: CommandStatus, _ message: String) {
        self.status = status
        self.message = message
    }
}
