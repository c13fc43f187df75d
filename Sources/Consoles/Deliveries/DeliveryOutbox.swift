import Kernel

/// The outbox of webhooks, mail and the staff channel over the database (docs/deliveries.md).
///
///     outbox_pending ─ distribute (one process at a time) ─► deliveries + delivery_queue, one lane per endpoint and tenant
///     the log ─ SlackMirror (one process at a time) ─► deliveries in the lane of Slack
///     delivery_lanes.due_at ≤ now ─ claim: due_at = when the lease runs out ─ send ─ settle: due_at = next time or NULL
///
/// A lane's row is locked first in every transaction that touches what waits in it.
public struct DeliveryOutbox: Outbox {
    public struct Settings: Sendable {
        /// How long an attempt may go without reporting before another process takes it over.
        public var lease = Span.seconds(60)
        public var schedule = RetrySchedule()
        /// The staff channel is told soon after Slack is back: only one message waits, whatever happened meanwhile.
        public var slackSchedule = RetrySchedule(longest: .minutes(5))
        /// Mail is urgent, and all of it waits for one server: it goes out soon after that is back.
        public var mailSchedule = RetrySchedule(longest: .minutes(5))
        /// What this process can send.
        public var channels = Set(DeliveryChannel.allCases)
        /// Attempts one process has under way with one endpoint; all mail goes to one.
        public var placesPerEndpoint = 4
        /// Effects distributed in one transaction.
        public var batch = 50
        /// Whether messages about requests name who asks and about whom.
        public var namesInSlack = false
        public init() {}

        func retries(of channel: DeliveryChannel) -> RetrySchedule {
            switch channel {
            case .webhook: self.schedule
            case .slack: self.slackSchedule
            case .mail: self.mailSchedule
            }
        }
    }

    private let pipeline: Pipeline
    private let hooks: Pipeline.Hooks
    private let settings: Settings
    private let clock: Clock
    private let mirror: SlackMirror
    private let inbox: InboxWriter
    private let requests: SlackRequests?
    private var database: any Database { pipeline.database }
    private var records: any Records { pipeline.records }

    public init(
        pipeline: Pipeline, hooks: Pipeline.Hooks = .init(), settings: Settings = Settings(), clock: Clock = .system
    ) {
        self.pipeline = pipeline
        self.hooks = hooks
        self.settings = settings
        self.clock = clock
        mirror = SlackMirror(pipeline: pipeline, clock: clock)
        requests = settings.channels.contains(.slack) ? SlackRequests(pipeline: pipeline, clock: clock) : nil
        inbox = InboxWriter(pipeline: pipeline, slack: requests)
    }

    /// Who acts in the log.
    static let actor = Actor.system("outbox")

    // MARK: Distributing

    public func distribute() async throws -> Bool {
        // What can't be logged isn't done.
        guard hooks.blocked() == nil else { return false }
        if settings.channels.contains(.slack), try await mirror.turn() { hooks.committed() }
        let channels = [DeliveryChannel.webhook, .mail].filter(settings.channels.contains)
        let waiting = try await database.snapshot([InboxQueries.isWaiting] + channels.map(OutboxQueries.isWaiting)).rows
        var isMore = false
        if !waiting[0].isEmpty {
            let turn = try await inbox.turn()
            if turn.isLogged { hooks.committed() }
            isMore = turn.isMore
        }
        for (channel, rows) in zip(channels, waiting.dropFirst()) where !rows.isEmpty {
            if try await distribute(channel) { isMore = true }
        }
        return isMore
    }

    private func distribute(_ channel: DeliveryChannel) async throws -> Bool {
        let at = clock.now
        let (count, isLogged) = try await database.write { tx in
            // One at a time: two would mix the order of a lane.
            let waiting = OutboxQueries.waiting(channel, limit: settings.batch)
            tx.foresee(channel == .webhook ? [waiting, Webhook.active] : [waiting])
            guard try tx.tryLock("outbox.distribution") else { return (0, false) }
            let effects = try tx.query(waiting).map(WaitingEffect.init)
                .sorted { $0.seq < $1.seq }
            guard !effects.isEmpty else { return (0, false) }
            let webhooks = channel == .webhook ? try tx.query(Webhook.active).map(Webhook.init) : []
            var isLogged = false
            for effect in effects {
                let receivers =
                    channel == .webhook
                    ? webhooks.filter { effect.isFor($0) }.map(\.id)
                    : try effect.recipients(tx, ciso: pipeline.settings.ciso).map(Endpoint.mail(to:))
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

    private func distribute(_ effect: WaitingEffect, to receivers: [String], at: Instant, _ tx: any Writer) throws {
        var changes: [Change] = []
        var statements: [Statement] = []
        for endpoint in receivers {
            let delivery = Delivery(
                id: Identifier.mint("dlv", at: tx.now), version: 1, outboxID: effect.id, webhookID: endpoint,
                eventID: effect.event, name: effect.name, tenantID: effect.tenant, tenantVersion: effect.tenantVersion,
                state: .pending, createdAt: tx.now, settledAt: nil)
            let lane = try tx.first(OutboxQueries.openLane(delivery.lane, webhook: endpoint, at: tx.now))
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
        draft.operationID = effect.operation.isEmpty ? nil : effect.operation
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
        /// Of a mail: the person it is for, or the roles whose holders it is for, and who of them is not told.
        let to: String?
        let roles: [String]
        let except: String?
        let isForCISO: Bool
        /// Whoever holds one of these is no CISO, but told as that.
        let unless: [String]
        let createdAt: Instant

        init(_ row: Row) throws {
            let payload = try row.json("payload")
            seq = try row.int("seq")
            id = try row.string("id")
            event = try row.string("event_id")
            operation = try row.string("operation_id")
            name = try row.string("name")
            tenant = try row.optionalString("tenant_id")
            tenantVersion = try row.optionalInt("tenant_version")
            only = payload["webhook"]?.string
            to = payload["to"]?.string
            func words(_ name: String) -> [String] { (payload[name]?.array ?? []).compactMap(\.string) }
            roles = words("roles") + [payload["role"]?.string].compactMap(\.self)
            except = payload["except"]?.string
            isForCISO = payload["ciso"] == true
            unless = words("unless")
            createdAt = try row.instant("created_at")
        }

        /// Who holds the role now. What came too late for somebody (they enrolled, they left) is not sent.
        /// - Parameter ciso: the address of the CISO; `nil` where none is set.
        func recipients(_ reader: any Reader, ciso: String?) throws -> [String] {
            if isForCISO {
                guard let ciso else { return [] }
                let holders = unless.isEmpty ? [] : try reader.query(ChannelQueries.holders(of: unless, at: reader.now))
                return try holders.contains { try $0.string("email").lowercased() == ciso.lowercased() }
                    ? [] : [Endpoint.ciso]
            }
            if let to {
                let status = try reader.first(ChannelQueries.person(to))?.string("status")
                return MailNotice(rawValue: name)?.isFor(status.flatMap(Staff.Status.init)) == true ? [to] : []
            }
            guard !roles.isEmpty else { return [] }
            return try reader.query(ChannelQueries.holders(of: roles, at: reader.now)).map { try $0.string("id") }
                .filter { $0 != except }
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
        var others = Set(DeliveryChannel.allCases).subtracting(settings.channels)
        let first = try await database.snapshot([OutboxQueries.firstDue(without: others)])
        guard let due = try first.rows[0].first?.instant("due_at"), due <= first.now else { return [] }
        var busy = inFlight.filter { $0.value >= settings.placesPerEndpoint }.keys.sorted()
        if busy.contains(Self.mailPlace) {
            others.insert(.mail)
            busy.removeAll { $0 == Self.mailPlace }
        }
        return try await database.write { [busy, others] tx in
            // More than there are places, so that the lanes of one endpoint don't hide the others'.
            let lanes = try tx.query(
                OutboxQueries.dueLanes(at: tx.now, leavingOut: busy, without: others, limit: limit * 4, tx.dialect))
            var taken = inFlight
            var webhooks: [String: Webhook] = [:]
            var parcels: [Parcel] = []
            for row in lanes where parcels.count < limit {
                let (lane, endpoint) = (try row.string("id"), try row.string("webhook_id"))
                let channel = Endpoint.channel(endpoint)
                let place = channel == .mail ? Self.mailPlace : endpoint
                guard taken[place, default: 0] < settings.placesPerEndpoint else { continue }
                var isOpen = true
                if channel == .webhook {
                    webhooks[endpoint] = try webhooks[endpoint] ?? Webhook.load(endpoint, from: tx)
                    isOpen = webhooks[endpoint]?.status == .active
                }
                guard isOpen, let first = try tx.first(OutboxQueries.first(of: lane)) else {
                    tx.enqueue(OutboxQueries.rest(lane))
                    continue
                }
                let parcel =
                    switch channel {
                    case .webhook: try webhooks[endpoint].map { try self.parcel(lane, first, to: $0, tx) }
                    case .slack: try slackParcel(lane, first, tx)
                    case .mail: try mailParcel(lane, first, to: endpoint, tx)
                    }
                guard let parcel else { continue }
                tx.enqueue(OutboxQueries.lease(lane, parcel.lease, until: tx.now + settings.lease))
                tx.enqueue(OutboxQueries.begin(parcel.delivery, attempt: parcel.attempt, at: tx.now))
                parcels.append(parcel)
                taken[place, default: 0] += 1
            }
            return parcels
        }
    }

    /// All mail goes through one server: it takes the places of one endpoint.
    private static let mailPlace = "mail"

    private func slackParcel(_ lane: String, _ row: Row, _ reader: any Reader) throws -> Parcel {
        let message = SlackMessage(
            catalog: pipeline.catalog, console: pipeline.settings.consoleURL, showsNames: settings.namesInSlack)
        let payload = try row.json("payload")
        let body: [UInt8]?
        var method = ""
        switch try row.string("name") {
        case SlackRequests.asks, SlackRequests.reminds:
            body = try message.request(
                payload, isReminder: row.string("name") == SlackRequests.reminds, from: reader)
        case SlackRequests.ends:
            method = "chat.update"
            body = try message.request(payload, isReminder: false, from: reader)
        case "slack.events":
            guard let from = payload["from"]?.int, let to = payload["to"]?.int, from < to else {
                throw StoreError.shape(column: "payload")
            }
            body = try message.events(in: from..<to, from: reader)
        case "slack.root": body = message.root(payload)
        default: body = message.test(try row.string("event_id"))
        }
        return Parcel(
            channel: .slack, delivery: try row.string("delivery_id"), lane: lane, lease: SecureRandom.bytes(16).hex,
            attempt: try row.int("attempt"), operation: try row.string("operation_id"), endpoint: Endpoint.slack,
            url: method, body: body ?? [])
    }

    private func mailParcel(_ lane: String, _ row: Row, to endpoint: String, _ reader: any Reader) throws -> Parcel {
        let message = try MailNotice.message(
            try row.string("name"), to: Endpoint.recipient(endpoint) ?? "", event: try row.string("event_id"),
            about: row.json("payload"), catalog: pipeline.catalog, console: pipeline.settings.consoleURL,
            ciso: pipeline.settings.ciso, from: reader)
        return Parcel(
            channel: .mail, delivery: try row.string("delivery_id"), lane: lane, lease: SecureRandom.bytes(16).hex,
            attempt: try row.int("attempt"), operation: try row.string("operation_id"), endpoint: Self.mailPlace,
            body: message?.body ?? [])
    }

    private func parcel(_ lane: String, _ row: Row, to webhook: Webhook, _ reader: any Reader) throws -> Parcel {
        let payload = try row.json("payload")
        // The version is that of the row it tells of: the membership's, else the person's.
        let version = payload["version"]
        var membership = payload["membership"]?.object
        let isAlone = membership == nil
        membership?["version"] = version
        let user = try payload["user"]?.string.map { id in
            WebhookEvent.Told.Person(
                id: id, externalID: try User.load(id, from: reader)?.externalID,
                version: isAlone ? version?.int : nil, status: payload["user_status"]?.string)
        }
        let told = WebhookEvent.Told(
            id: try row.string("outbox_id"), name: try row.string("name"), at: try row.instant("created_at"),
            event: try row.string("event_id"), operation: try row.string("operation_id"), webhook: webhook.id,
            tenant: try row.optionalString("tenant_id"), externalID: try row.optionalString("external_id"),
            tenantVersion: try row.optionalInt("tenant_version"), status: payload["status"]?.string,
            change: payload["change"], user: user, membership: membership.map(JSON.object), fields: payload["fields"])
        var secrets = [webhook.secret]
        if let previous = webhook.previousSecret, let until = webhook.previousUntil, reader.now < until {
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
        if outcome == .gone, parcel.channel == .webhook { try await disable(parcel.endpoint) }
        let at = clock.now
        let jitter = Double.random(in: 0...1)
        let isHeld = try await database.write { tx in
            guard try tx.first(OutboxQueries.giveBack(parcel.lane, parcel.lease)) != nil else { return false }
            let (status, note) = Self.words(outcome)
            tx.enqueue(
                OutboxQueries.finish(
                    parcel.delivery, attempt: parcel.attempt, took: took, status: status, note: note))
            let rest = parcel.channel == .slack ? SlackMirror.pace : Span.seconds(0)
            func end(as state: Delivery.State) throws {
                try self.end(parcel, as: state, status: status, at: at, tx)
                tx.enqueue(
                    parcel.channel == .slack
                        // Due also when nothing waits: what comes within the second finds the lane taken.
                        ? OutboxQueries.due(parcel.lane, at: tx.now + rest)
                        : OutboxQueries.advance(parcel.lane, at: tx.now))
            }
            switch outcome {
            case .delivered(_, let receipt):
                // Lanes before what waits in them.
                if parcel.channel == .mail { try self.hastenMail(behind: parcel, tx) }
                try end(as: .delivered)
                // Behind the delivery's own lane and rows, as everything that queues.
                if let receipt, let requests = self.requests, parcel.channel == .slack {
                    try requests.posted(parcel.delivery, at: receipt, tx)
                }
            case .gone, .refused: try end(as: .dead)
            case .interrupted: tx.enqueue(OutboxQueries.due(parcel.lane, at: tx.now))
            case .failed(_, _, let retryAfter):
                let row = try tx.first(OutboxQueries.tries(of: parcel.delivery))
                let failures = try row?.int("failures") ?? 0
                let elapsed = tx.now - (try row?.optionalInstant("tried_at") ?? tx.now)
                let schedule = settings.retries(of: parcel.channel)
                if let pause = schedule.pause(after: failures + 1, elapsed: elapsed, jitter: jitter) {
                    let wait = max(pause, retryAfter ?? rest)
                    tx.enqueue(OutboxQueries.failed(parcel.delivery, lane: parcel.lane, retryAt: tx.now + wait))
                } else {
                    try end(as: .dead)
                }
            }
            if parcel.channel != .webhook { tx.enqueue(Self.report(outcome, of: parcel.channel, note, at: tx.now)) }
            return true
        }
        hooks.committed()
        return isHeld
    }

    /// The mail server took one, so what waits for another attempt is tried now. As many as there are places for: each that is taken
    /// brings the next ones, and those that only their own receiver holds up are not tried by the hundred.
    private func hastenMail(behind parcel: Parcel, _ tx: any Writer) throws {
        let lanes = try tx.query(
            OutboxQueries.retriedMail(
                besides: parcel.lane, after: tx.now, until: tx.now + settings.mailSchedule.longestPause,
                limit: settings.placesPerEndpoint, tx.dialect))
        for lane in lanes { tx.enqueue(OutboxQueries.due(try lane.string("id"), at: tx.now)) }
    }

    /// How the channel fares, as its page shows it.
    private static func report(
        _ outcome: SendOutcome, of channel: DeliveryChannel, _ note: String, at now: Instant
    ) -> [Statement] {
        switch outcome {
        case .delivered: [ChannelQueries.sent(channel.rawValue, at: now)]
        case .failed, .refused, .gone: [ChannelQueries.failed(channel.rawValue, at: now, note: note)]
        case .interrupted: []
        }
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
        draft.operationID = parcel.operation.isEmpty ? nil : parcel.operation
        draft.facts =
            JSON.members([
                ("name", .string(before.name)), ("attempts", .int(parcel.attempt)),
                (parcel.channel == .mail ? "smtp_status" : "http_status", status.map(JSON.int)),
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
        case .delivered(let status, _): (status, "Taken")
        case .failed(let status, let note, _), .refused(let status, let note): (status, note)
        case .gone: (410, "Gone: the endpoint was disabled")
        case .interrupted:
            (
                nil,
                "It was broken off before an answer came: the server stopped, or its outbox was started anew"
            )
        }
    }
}
