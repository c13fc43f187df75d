import Kernel

/// What happens to tenants by itself after a time (spec: operations §3). Every step is an operation in the pipeline by the
/// system; one process at a time does it, in small batches.
///
///     ready      ─ somebody was seen since it is ready ────────► active
///     cancelled  ─ 30 days, where that is switched on ─────────► archived
///     archived   ─ 90 days, where that is switched on ─────────► two people are asked whether it may be deleted
///
/// Time runs from when Postern recorded the state, never from an imported date. Nothing is ever deleted by itself.
public actor TenantLifecycle {
    public struct Settings: Sendable {
        /// Archives what was cancelled for 30 days.
        public var archivesCancelled = false
        /// Asks for the deletion of what was archived for 90 days.
        public var requestsDeletion = false
        /// Tenants looked at in one turn, of each kind.
        public var batch = 200
        public init() {}
    }

    /// What a turn did.
    public struct Done: Sendable, Hashable {
        public var activated = 0
        public var archived = 0
        public var requested = 0
        /// Somebody else was quicker, or the state moved.
        public var skipped = 0
    }

    /// How long nobody is asked again for the same deletion.
    static let askedAgainAfter = Span.days(30)

    private let pipeline: Pipeline
    private let settings: Settings
    private let clock: Clock
    /// Where the look at those that wait for their first sign-in goes on; `nil`: at the beginning.
    private var seen: (at: Instant, id: String)?

    public init(pipeline: Pipeline, settings: Settings = Settings(), clock: Clock = .system) {
        self.pipeline = pipeline
        self.settings = settings
        self.clock = clock
    }

    static let actor = Actor.system("lifecycle")

    /// One round. Whatever it leaves is found by the next one: nothing is remembered that the tables don't say.
    @discardableResult
    public func turn() async throws -> Done {
        var done = Done()
        try await activate(&done)
        if settings.archivesCancelled { try await archive(&done) }
        if settings.requestsDeletion { try await requestDeletion(&done) }
        return done
    }

    private func activate(_ done: inout Done) async throws {
        let batch = settings.batch
        let start = seen
        // Those that were seen last stand first, so that each turn begins with them; then it goes on behind the last one.
        let (newest, further) = try await pipeline.database.read { reader in
            (
                try reader.query(LifecycleQueries.ready(before: nil, limit: batch)),
                try start.map { try reader.query(LifecycleQueries.ready(before: $0, limit: batch)) } ?? []
            )
        }
        let last = (start == nil ? newest : further).count < batch ? nil : (start == nil ? newest : further).last
        seen = try last.map { (try $0.instant("last_activity_at"), try $0.string("id")) }
        var ids: Set<String> = []
        for row in newest + further where try row.instant("last_activity_at") > row.instant("status_since") {
            ids.insert(try row.string("id"))
        }
        for id in ids.sorted() {
            done.activated += try await run(ActivateTenant.spec.name, id, &done)
        }
    }

    private func archive(_ done: inout Done) async throws {
        let batch = settings.batch
        let ids = try await pipeline.database.read { reader in
            try reader.query(
                LifecycleQueries.cancelled(since: reader.now - TenantTransitions.keptCancelled, limit: batch)
            ).map { try $0.string("id") }
        }
        for id in ids {
            done.archived += try await run(
                ArchiveTenant.spec.name, id, reason: "customer_departed",
                because: "Its subscription ended 30 days ago and nobody won it back.", &done)
        }
    }

    private func requestDeletion(_ done: inout Done) async throws {
        let (records, most) = (pipeline.records, pipeline.settings.openRequests)
        let ids = try await pipeline.database.read { reader -> [String] in
            // No more than one person may have open: the others come when these are decided on.
            let open = try reader.first(records.openApprovals(requester: Self.actor.id, at: reader.now))?.int("count")
            let free = most - Int(open ?? 0)
            guard free > 0 else { return [] }
            return try reader.query(
                LifecycleQueries.deletable(
                    at: reader.now, asked: reader.now - Self.askedAgainAfter, limit: free)
            ).map { try $0.string("id") }
        }
        for id in ids {
            done.requested += try await run(
                HardDeleteTenant.spec.name, id, reason: "retention_policy",
                because: "It is archived for 90 days; the retention policy asks whether it may be deleted for good.",
                &done)
        }
    }

    /// 1 when it was carried out or asked for.
    private func run(
        _ operation: String, _ target: String, reason: String? = nil, because justification: String? = nil,
        _ done: inout Done
    ) async throws -> Int {
        let caller = Caller(
            actor: Self.actor, person: Self.actor.id, displayName: "Postern", client: .worker,
            requestID: Identifier.mint("req", at: clock.now))
        do {
            _ = try await pipeline.run(
                OperationRequest(
                    operation: operation, target: target, reasonCode: reason, justification: justification), by: caller)
            return 1
        } catch OperationError.conflict {
            done.skipped += 1
            return 0
        } catch OperationError.locked {
            done.skipped += 1
            return 0
        }
    }
}
