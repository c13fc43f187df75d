import Kernel

/// Lets emergencies end whose time is over or whose opener may open none any more, and says which reviews are overdue. Nothing is
/// remembered that the rows don't say; several servers may do it at once, and each row is ended once.
public struct BreakGlassTurn: Sendable {
    private let pipeline: Pipeline

    public init(pipeline: Pipeline) { self.pipeline = pipeline }

    static let actor = Actor.system("breakglass")

    /// - Returns: how many were ended or escalated.
    @discardableResult
    public func turn() async throws -> Int {
        let due = try await pipeline.database.read { reader in
            let now = reader.now
            return try reader.query(BreakGlassQueries.live).map(BreakGlass.init).compactMap {
                session -> (String, String)? in
                switch session.state {
                case .open:
                    let isOver = try ExpireBreakGlass.reason(to: session, from: reader) != nil
                    return isOver ? (ExpireBreakGlass.spec.name, session.id) : nil
                case .ended:
                    let isNews = session.escalatedAt == nil && session.isOverdue(at: now)
                    return isNews ? (EscalateBreakGlass.spec.name, session.id) : nil
                case .reviewed: return nil
                }
            }
        }
        var done = 0
        for (operation, id) in due {
            let caller = Caller(
                actor: Self.actor, person: Self.actor.id, displayName: "Postern", client: .worker,
                requestID: Identifier.mint("req", at: Clock.system.now))
            do throws(OperationError) {
                _ = try await pipeline.run(OperationRequest(operation: operation, target: id), by: caller)
                done += 1
            } catch {
                // Somebody ended or reviewed it at the same moment, or another server was quicker.
                guard case .conflict = error else { throw error }
            }
        }
        return done
    }
}
