import Kernel

/// Compares every governed row with the log, opens a case for each that differs, and closes those that agree again
/// (spec: audit-log §5).
public struct DiscrepancySweep: Sendable {
    private let sweep: GovernedSweep
    private let pipeline: Pipeline

    public init(store: any LogStore, pipeline: Pipeline) {
        self.pipeline = pipeline
        sweep = GovernedSweep(database: pipeline.database, store: store, catalog: pipeline.catalog)
    }

    /// How many cases were opened and closed.
    public struct Outcome: Sendable, Equatable {
        public var opened = 0
        public var closed = 0
        public init(opened: Int = 0, closed: Int = 0) {
            self.opened = opened
            self.closed = closed
        }
    }

    /// - Parameter pause: called after each page of rows with the time it took.
    @discardableResult
    public func run(pause: (Duration) async throws -> Void = { _ in }) async throws -> Outcome {
        var outcome = Outcome()
        try await sweep.run(pause: pause) { type, id, kind in
            guard let kind = Discrepancy.Kind(kind) else { return }
            let isKnown = try await pipeline.database.read {
                try $0.first(DiscrepancyQueries.open(type, id)) != nil
            }
            guard !isKnown else { return }
            try await apply(
                "discrepancy.report", nil,
                ["row_type": .string(type), "row_id": .string(id), "kind": .string(kind.rawValue)])
            outcome.opened += 1
        }
        for found in try await settledThemselves() {
            try await apply("discrepancy.close", found, [:])
            outcome.closed += 1
        }
        return outcome
    }

    /// Of the open cases those whose rows agree again.
    private func settledThemselves() async throws -> [String] {
        try await pipeline.database.read { reader in
            try reader.query(DiscrepancyQueries.open(limit: 1000)).map(Discrepancy.init).filter { open in
                guard let type = pipeline.catalog.entity(open.rowType) else { return false }
                return try RowComparison.look(at: open.rowID, of: type, from: reader).agrees
            }.map(\.id)
        }
    }

    private func apply(_ operation: String, _ target: String?, _ input: JSON) async throws {
        let now = Clock.system.now
        let caller = Caller(
            actor: .system("sweep"), person: "sweep", displayName: "Postern", client: .worker,
            requestID: Identifier.mint("req", at: now))
        do {
            _ = try await pipeline.run(
                OperationRequest(
                    operation: operation, target: target, input: input, idempotencyKey: Identifier.mint("key", at: now)),
                by: caller)
        } catch OperationError.conflict {
            // Another server was faster, or somebody settled it meanwhile.
        }
    }
}
