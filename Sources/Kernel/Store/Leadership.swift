/// Chooses one process among those that share a database: the sequencer, the schedulers.
public protocol Leadership: Sendable {
    /// Tries once to become the leader called `name`; `nil` while another process is.
    func acquire(_ name: String) async throws -> (any Lease)?
}

/// Leadership that is held until released, until the process ends, or until its connection is lost.
public protocol Lease: Sendable {
    /// Asks the database whether the lease still stands. A leader MUST ask before it publishes anything.
    func isHeld() async -> Bool
    /// Gives the leadership up. Idempotent.
    func release() async
}
