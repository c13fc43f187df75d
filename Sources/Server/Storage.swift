import CommandLine
import Foundation
import Kernel
import Store
import StorePostgres
import StoreSQLite

/// A database by its URL.
enum Storage: Sendable, Equatable {
    case sqlite(path: String)
    case postgres(url: String)

    init(url: String) {
        if url.hasPrefix("sqlite:") {
            self = .sqlite(path: String(url.dropFirst("sqlite:".count)))
        } else {
            self = .postgres(url: url)
        }
    }

    /// For people and logs: never with a password.
    var description: String {
        switch self {
        case .sqlite(let path): return "SQLite \(path)"
        case .postgres(let url):
            guard let parts = URLComponents(string: url) else { return "PostgreSQL" }
            let port = parts.port.map { ":\($0)" } ?? ""
            return "PostgreSQL \(parts.user ?? "")@\(parts.host ?? "")\(port)\(parts.path)"
        }
    }

    /// Opens it. PostgreSQL connects with the first transaction.
    /// - Parameters:
    ///   - clock: what `now` is instead of the database's own clock.
    ///   - statementTimeout: how long one statement may take; the server's own limit when it is not given.
    func open(clock: Clock? = nil, statementTimeout: Span? = nil) throws(CommandFailure) -> (
        database: any Database, leadership: any Leadership
    ) {
        switch self {
        case .sqlite(let path):
            try PrivateFile.makeDirectory((path as NSString).deletingLastPathComponent)
            // Made here so that nobody else can ever read it; its companions get the same mode.
            let descriptor = Foundation.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw CommandFailure(.unavailable, "\(path) can't be opened: \(String(cString: strerror(errno))).")
            }
            close(descriptor)
            do {
                let database = try SQLiteDatabase(
                    path: path, clock: clock ?? .monotone(),
                    readTimeout: statementTimeout.map { .microseconds($0.microseconds) } ?? .seconds(10))
                return (database, SQLiteLeadership(path: path))
            } catch {
                throw CommandFailure(error, self)
            }
        case .postgres(let url):
            var settings = PostgresDatabase.Settings(url: url)
            settings.clock = clock
            if let statementTimeout {
                settings.statementTimeout = statementTimeout
                // What reads for hours also works for longer than a request may with what it has read.
                settings.transactionIdle = statementTimeout
            }
            return (PostgresDatabase(settings), PostgresLeadership(settings))
        }
    }
}

extension CommandFailure {
    /// What a failing database means to the person at the command line.
    init(_ error: any Error, _ storage: Storage) {
        switch error {
        case let failure as CommandFailure: self = failure
        case StoreError.unavailable(let reason, _):
            self.init(
                .unavailable,
                "The database (\(storage.description)) can't be reached: \(reason.trimmingCharacters(in: .whitespacesAndNewlines))\nCheck that it runs and that POSTERN_DATABASE_URL names it; of a new database, postern migrate makes schema and role first."
            )
        case StoreError.full(let reason): self.init(.unavailable, "The database's disk is full: \(reason)")
        case let problem as Migrator.Problem: self.init(.refused, problem.description)
        case StoreError.other(let reason):
            self.init(.unexpected, "The database (\(storage.description)) refused: \(reason)")
        default: self.init(.unexpected, "The database (\(storage.description)) failed: \(error)")
        }
    }

    /// How a refusal of the pipeline ends a command of the server's own machine.
    init(_ error: OperationError) {
        switch error {
        case .invalid(let errors):
            self.init(.usage, errors.map(\.detail).joined(separator: "\n"))
        case .conflict(let reason, _), .locked(let reason), .overLimit(let reason): self.init(.refused, reason)
        case .notFound(let reason): self.init(.notFound, reason)
        case .forbidden(_, let detail): self.init(.forbidden, detail)
        case .unavailable(let reason): self.init(.unavailable, reason)
        default: self.init(.unexpected, "\(error)")
        }
    }
}
