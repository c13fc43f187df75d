import Kernel

/// The outbox of webhooks over the database (docs/deliveries.md).
///
///     outbox_pending ─ distribute (one process at a time) ─► deliveries + delivery_queue, one lane per endpoint and tenant
///     delivery_lanes.due_at ≤ now ─ claim: due_at = when the lease runs out ─ send ─ settle: due_at = next time or NULL
///
/// A lane's row is locked first in every transaction that touches what waits in it.
public struct DeliveryOutbox: Outbox {
    public struct Settings: Sendable {
        /// How long an attempt may go without reporting before another process takes it over.
        public var lease = Span.seconds(60)
        public var schedule = RetrySchedule()
        /// Attempts one process has under way with one endpoint.
        public var placesPerEndpoint = 4
        /// Effects distributed in one transaction.
        public var batch = 50
        public init() {}
    }

    private let pipeline: Pipeline
    private let hooks: Pipeline.Hooks
    private let settings: Settings
    private let clock: Clock
    private var database: any Database { pipeline.database }
    private var records: any Records { pipeline.records }

    public init(
        pipeline: Pipeline, hooks: Pipeline.Hooks = .init(), settings: Settings = Settings(), clock: Clock = .system
    ) {
        self.pipeline = pipeline
        self.hooks = hooks
        self.settings = settings
        self.clock = clock
    }

    /// Who acts in the log.
    static let actor = Actor.system("outbox")

    // MARK: Distributing

    public func distribute() async throws -> Bool {
        // What can't be logged isn't done.
        guard hooks.blocked() == nil else { return false }
        guard try await database.read({ try $0.first(OutboxQueries.isWaiting) }) != nil else { return false }
        let at = clock.now
        let (count, isLogged) = try await database.write { tx in
            // One at a time: two would mix the order of a lane.
            guard try tx.tryLock("outbox.distribution") else { return (0, false) }
            let effects = try tx.query(OutboxQueries.waiting(limit: settings.batch)).map(WaitingEffect.init)
                .sorted { $0.seq < $1.seq }
            guard !effects.isEmpty else { return (0, false) }
            let webhooks = try tx.query(Webhook.active).map(Webhook.init)
            var isLogged = false
            for effect in effects {
                let receivers = webhooks.filter { effect.isFor($0) }
                guard !receivers.isEmpty else { continue }
                try distribute(effect, to: receivers, at: at, tx)
                isLogged = true
            }
            tx.enqueue(OutboxQueries.distributed(effects.map(\.id)))
            return (effects.count, isLogged)
        }
        if isLogged { hooks.committed() }
        return count == settings.batch
    }

    private func distribute(_ effect: WaitingEffect, to receivers: [Webhook], at: Instant, _ tx: any Writer) throws {
        var changes: [Change] = []
        var statements: [Statement] = []
        for webhook in receivers {
            let delivery = Delivery(
                id: Identifier.mint("dlv", at: tx.now), version: 1, outboxID: effect.id, webhookID: webhook.id,
                eventID: effect.event, name: effect.name, tenantID: effect.tenant, tenantVersion: effect.tenantVersion,
                state: .pending, createdAt: tx.now, settledAt: nil)
            let lane = try tx.first(OutboxQueries.openLane(delivery.lane, webhook: webhook.id, at: tx.now))
            if WebhookEvent.states.contains(effect.name), effect.tenant != nil {
                var earlier = try tx.query(OutboxQueries.waiting(in: delivery.lane, named: effect.name)).map(
                    Delivery.init)
                // The first of the lane may be under way; what may have been sent is not called unsent.
                if try lane?.optionalString("lease") != nil {
                    let first = try tx.first(OutboxQueries.first(of: delivery.lane))?.string("delivery_id")
                    earlier.removeAll { $0.id == first }
                }
                for before in earlier {
                    var after = before
                    after.version += 1
                    after.state = .superseded
                    after.settledAt = tx.now
                    changes.append(.update(before, to: after))
                    statements += after.update(expecting: before.version)
                    statements.append(OutboxQueries.dequeue(before.id))
                }
            }
            changes.append(.create(delivery))
            statements += delivery.insert()
            statements.append(OutboxQueries.enqueue(delivery.id, lane: delivery.lane, position: effect.seq))
        }
        var draft = EventDraft(at: at, .effect, "delivery.queued", .requested, actor: Self.actor)
        draft.client = .worker
        draft.tenant = effect.tenant
        draft.linked = effect.event
        draft.operationID = effect.operation
        draft.facts = ["name": .string(effect.name), "endpoints": .int(Int64(receivers.count))]
        let superseded = changes.count - receivers.count
        if superseded > 0 { draft.facts["superseded"] = .int(Int64(superseded)) }
        draft.changes = changes.map(EventDraft.ChangeRecord.init)
        tx.enqueue(records.insert(SealedEvent(draft)))
        tx.enqueue(statements)
    }

    /// A row of the outbox.
    private struct WaitingEffect {
        let seq: Int64
        let id: String
        let event: String
        let operation: String
        let name: String
        let tenant: String?
        let tenantVersion: Int64?
        /// The one endpoint it is for, whatever that hears.
        let only: String?
        let createdAt: Instant

        init(_ row: Row) throws {
            seq = try row.int("seq")
            id = try row.string("id")
            event = try row.string("event_id")
            operation = try row.string("operation_id")
            name = try row.string("name")
            tenant = try row.optionalString("tenant_id")
            tenantVersion = try row.optionalInt("tenant_version")
            only = try row.json("payload")["webhook"]?.string
            createdAt = try row.instant("created_at")
        }

        /// An endpoint hears of what happened since it was made.
        func isFor(_ webhook: Webhook) -> Bool {
            if let only { return only == webhook.id }
            return webhook.events.contains(name) && webhook.createdAt <= createdAt
        }
    }

    // MARK: Claiming

    public func claim(_ limit: Int, inFlight: [String: Int]) async throws -> [Parcel] {
        guard hooks.blocked() == nil else { return [] }
        guard try await database.read({ try $0.first(OutboxQueries.isDue(at: $0.now)) }) != nil else { return [] }
        let busy = inFlight.filter { $0.value >= settings.placesPerEndpoint }.keys.sorted()
        return try await database.write { tx in
            // More than there are places, so that the lanes of one endpoint don't hide the others'.
            let lanes = try tx.query(
                OutboxQueries.dueLanes(at: tx.now, leavingOut: busy, limit: limit * 4, tx.dialect))
            var taken = inFlight
            var webhooks: [String: Webhook] = [:]
            var parcels: [Parcel] = []
            for row in lanes where parcels.count < limit {
                let (lane, endpoint) = (try row.string("id"), try row.string("webhook_id"))
                guard taken[endpoint, default: 0] < settings.placesPerEndpoint else { continue }
                let webhook = try webhooks[endpoint] ?? Webhook.load(endpoint, from: tx)
                webhooks[endpoint] = webhook
                guard let webhook, webhook.status == .active, let first = try tx.first(OutboxQueries.first(of: lane))
                else {
                    tx.enqueue(OutboxQueries.rest(lane))
                    continue
                }
                let parcel = try parcel(lane, first, to: webhook, at: tx.now)
                tx.enqueue(OutboxQueries.lease(lane, parcel.lease, until: tx.now + settings.lease))
                tx.enqueue(OutboxQueries.begin(parcel.delivery, attempt: parcel.attempt, at: tx.now))
                parcels.append(parcel)
                taken[endpoint, default: 0] += 1
            }
            return parcels
        }
    }

    private func parcel(_ lane: String, _ row: Row, to webhook: Webhook, at now: Instant) throws -> Parcel {
        let payload = try row.json("payload")
        let told = WebhookEvent.Told(
            id: try row.string("outbox_id"), name: try row.string("name"), at: try row.instant("created_at"),
            event: try row.string("event_id"), operation: try row.string("operation_id"), webhook: webhook.id,
            tenant: try row.optionalString("tenant_id"), externalID: try row.optionalString("external_id"),
            tenantVersion: try row.optionalInt("tenant_version"), status: payload["status"]?.string,
            change: payload["change"])
        var secrets = [webhook.secret]
        if let previous = webhook.previousSecret, let until = webhook.previousUntil, now < until {
            secrets.append(previous)
        }
        return Parcel(
            delivery: try row.string("delivery_id"), lane: lane, lease: SecureRandom.bytes(16).hex,
            attempt: try row.int("attempt"), operation: told.operation, endpoint: webhook.id, url: webhook.url,
            sealedSecrets: secrets,
            sealContext: webhook.sealContext,
            body: WebhookEvent.body(told, source: pipeline.settings.consoleURL))
    }

    // MARK: Settling

    @discardableResult
    public func settle(_ parcel: Parcel, _ outcome: SendOutcome, took: Span) async throws -> Bool {
        // First: should this process end in between, the endpoint is not asked again.
        if outcome == .gone { try await disable(parcel.endpoint) }
        let at = clock.now
        let jitter = Double.random(in: 0...1)
        let isHeld = try await database.write { tx in
            guard try tx.first(OutboxQueries.giveBack(parcel.lane, parcel.lease)) != nil else { return false }
            let (status, note) = Self.words(outcome)
            tx.enqueue(
                OutboxQueries.finish(
                    parcel.delivery, attempt: parcel.attempt, took: took, status: status, note: note))
            switch outcome {
            case .delivered:
                try end(parcel, as: .delivered, status: status, at: at, tx)
                tx.enqueue(OutboxQueries.advance(parcel.lane, at: tx.now))
            case .gone:
                try end(parcel, as: .dead, status: status, at: at, tx)
                tx.enqueue(OutboxQueries.advance(parcel.lane, at: tx.now))
            case .interrupted:
                tx.enqueue(OutboxQueries.due(parcel.lane, at: tx.now))
            case .failed:
                let row = try tx.first(OutboxQueries.tries(of: parcel.delivery))
                let failures = try row?.int("failures") ?? 0
                let elapsed = tx.now - (try row?.optionalInstant("tried_at") ?? tx.now)
                if let pause = settings.schedule.pause(after: failures + 1, elapsed: elapsed, jitter: jitter) {
                    tx.enqueue(OutboxQueries.failed(parcel.delivery, lane: parcel.lane, retryAt: tx.now + pause))
                } else {
                    try end(parcel, as: .dead, status: status, at: at, tx)
                    tx.enqueue(OutboxQueries.advance(parcel.lane, at: tx.now))
                }
            }
            return true
        }
        hooks.committed()
        return isHeld
    }

    /// The delivery's end, with the event that says so.
    private func end(
        _ parcel: Parcel, as state: Delivery.State, status: Int64?, at: Instant, _ tx: any Writer
    ) throws {
        guard let before = try Delivery.load(parcel.delivery, lock: true, from: tx) else { return }
        var after = before
        after.version += 1
        after.state = state
        after.settledAt = tx.now
        var draft = EventDraft(
            at: at, .effect, "delivery.sent", state == .delivered ? .applied : .failed, actor: Self.actor)
        draft.client = .worker
        draft.tenant = before.tenantID
        draft.target = (Delivery.type, before.id)
        draft.linked = before.eventID
        draft.operationID = parcel.operation
        draft.facts =
            JSON.members([
                ("name", .string(before.name)), ("attempts", .int(parcel.attempt)),
                ("http_status", status.map(JSON.int)),
            ]).object ?? [:]
        draft.changes = [EventDraft.ChangeRecord(.update(before, to: after))]
        tx.enqueue(records.insert(SealedEvent(draft)))
        tx.enqueue(after.update(expecting: before.version))
        tx.enqueue(OutboxQueries.dequeue(before.id))
    }

    private func disable(_ webhook: String) async throws {
        let caller = Caller(
            actor: Self.actor, person: Self.actor.id, displayName: "Postern", client: .worker,
            requestID: Identifier.mint("req", at: clock.now))
        do {
            _ = try await pipeline.run(
                OperationRequest(operation: DisableWebhook.spec.name, target: webhook, reasonCode: "gone"), by: caller)
        } catch OperationError.conflict {
            // Somebody was quicker.
        }
    }

    private static func words(_ outcome: SendOutcome) -> (status: Int64?, note: String) {
        switch outcome {
        case .delivered(let status): (status, "Taken")
        case .failed(let status, let note): (status, note)
        case .gone: (410, "Gone: the endpoint was disabled")
        case .interrupted: (nil, "The server stopped before an answer came")
        }
    }
}
