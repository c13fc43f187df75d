import Crypto

/// An export that was begun and recorded: whatever becomes of it, that is known.
public struct BegunExport: Sendable {
    /// The event that says who asked for what.
    public let event: String
    let tenant: String?
    let subjects: [String]
    let caller: Caller
}

/// What left.
public struct ExportTally: Sendable {
    public var rows: Int64 = 0
    public private(set) var bytes: Int64 = 0
    private var digest = SHA256()

    public init() {}

    public mutating func take(_ piece: [UInt8]) {
        bytes += Int64(piece.count)
        digest.update(data: piece)
    }

    var sha256: String { Array(digest.finalize()).hex }
}

/// Why an export was broken off, as its event says it.
public enum ExportFailure: String, Sendable {
    /// The session is over or was ended, or the token is worth nothing any more.
    case sessionOver = "session_over"
    /// Who takes it no longer holds what it takes.
    case permissionLost = "permission_lost"
    /// A piece of it was not taken in time.
    case notRead = "not_read"
    /// Whoever took it went away, or the server stopped.
    case connectionLost = "connection_lost"
    /// What was to leave could not be read.
    case notMade = "not_made"

    /// Where the answer could not be made.
    public init(_ error: any Error) {
        switch error as? OperationError {
        case .unauthenticated?: self = .sessionOver
        case .forbidden?: self = .permissionLost
        default: self = .notMade
        }
    }
}

extension Pipeline {
    /// Checks the permission, and the factor where that is of high risk (spec: access §5), and records that an export begins,
    /// before its first byte leaves. Never folded: each is a file.
    /// - Parameter read: what is to be known before, such as the filter; throws what is wrong with the request.
    public func beginExport<T: Sendable>(
        _ permission: String, format: String, columns: [String] = [], by caller: Caller,
        _ read: @escaping @Sendable (any Reader) throws -> (T, Disclosure)
    ) async throws(OperationError) -> (T, BegunExport) {
        try checkFactor(permission, of: caller)
        let (value, disclosure) = try await self.read(permission, by: caller) { reader in (try read(reader), nil) }
        var draft = EventDraft(at: clock.now, .access, disclosure.action, by: caller)
        draft.tenant = disclosure.tenant
        draft.facts = ["format": .string(format)]
        draft.sealed["details"] = .init(
            JSON.members([
                ("query", disclosure.query),
                ("columns", columns.isEmpty ? nil : .array(columns.map(JSON.string))),
            ]), subjects: Set([caller.person] + disclosure.subjects).sorted())
        try await record([draft])
        return (
            value,
            BegunExport(
                event: draft.id, tenant: disclosure.tenant, subjects: disclosure.subjects, caller: caller)
        )
    }

    /// Whether an export would begin: refuses what `beginExport` would, and records no beginning.
    /// - Parameter read: throws what is wrong with the request. Nothing that it discloses may leave.
    public func checkExport<T: Sendable>(
        _ permission: String, by caller: Caller, _ read: @escaping @Sendable (any Reader) throws -> T
    ) async throws(OperationError) -> T {
        try checkFactor(permission, of: caller)
        return try await self.read(permission, by: caller) { reader in (try read(reader), nil) }
    }

    private func checkFactor(_ permission: String, of caller: Caller) throws(OperationError) {
        // Who lacks the permission hears that, and is not asked for the factor first.
        if !caller.isSystem, caller.permissions.contains(permission), catalog.risk(of: permission) >= .high,
            caller.authentication?.isFresh != true
        {
            throw .stepUpRequired(maxAge: caller.authentication?.stepUpAge ?? Authentication.stepUpAge)
        }
    }

    /// Records what became of an export: how much left, and the digest of it.
    /// - Parameter failure: why it was broken off; `nil` when it is whole.
    public func endExport(
        _ export: BegunExport, _ tally: ExportTally, failure: ExportFailure? = nil
    ) async throws(OperationError) {
        var draft = EventDraft(
            at: clock.now, .access, "export.end", failure == nil ? .applied : .failed, by: export.caller)
        draft.tenant = export.tenant
        draft.linked = export.event
        draft.facts = ["count": .int(tally.rows), "bytes": .int(tally.bytes)]
        if let failure { draft.facts["reason"] = .string(failure.rawValue) }
        // Sealed: the file of a few rows could be guessed from its digest.
        draft.sealed["details"] = .init(
            ["sha256": .string(tally.sha256)], subjects: Set([export.caller.person] + export.subjects).sorted())
        try await record([draft])
    }
}
