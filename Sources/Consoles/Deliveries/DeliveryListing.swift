import Kernel

/// One page of deliveries, as asked by the API and by the console.
struct DeliveryListing {
    let state: Delivery.State?
    let webhook: String?
    let tenant: String?
    let items: [Delivery]
    /// Names of tenants and addresses of endpoints, by id.
    let names: [String: String]
    let next: String?

    static let parameters: [Read.Parameter] = [
        .limit, .cursor,
        .init(
            "state", "Where it stands.",
            schema: ["type": "string", "enum": .array(Delivery.State.allCases.map { .string($0.rawValue) })]),
        .init("webhook", "The endpoint: the id of a webhook, slack, or mail:STAFF."),
        .init("tenant", "The tenant it is about: an id or a slug."),
    ]

    static func load(_ call: ReadCall, from reader: any Reader) throws -> DeliveryListing {
        let limit = try call.limit()
        var state: Delivery.State?
        if let text = call.first("state") {
            state = Delivery.State(rawValue: text)
            guard state != nil else {
                let words = Delivery.State.allCases.map(\.rawValue).joined(separator: ", ")
                throw OperationError.invalid([
                    FieldError(pointer: "?state", detail: "state must be one of \(words).")
                ])
            }
        }
        var tenant = call.first("tenant")
        if let text = tenant, !Identifier.isValid(text, prefix: "ten") {
            // A slug nobody has matches no row.
            tenant = try reader.first(DeliveryQueries.tenant(slug: text.lowercased()))?.string("id") ?? "unknown"
        }
        let webhook = call.first("webhook")
        let scope = "delivery.list \(state?.rawValue ?? "") \(webhook ?? "") \(tenant ?? "")"
        var position: DeliveryQueries.Position?
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: scope)
            guard parts.count == 3, let urgency = parts[0].int, let at = parts[1].int, let id = parts[2].string else {
                throw OperationError.invalid([
                    FieldError(pointer: "?cursor", detail: "cursor is not one this list gave out.")
                ])
            }
            position = .init(urgency: urgency, at: Instant(microseconds: at), id: id)
        }
        let found = try reader.query(
            DeliveryQueries.page(state: state, webhook: webhook, tenant: tenant, after: position, limit: limit + 1)
        ).map(Delivery.init)
        let items = Array(found.prefix(limit))
        let next =
            found.count > limit
            ? items.last.map {
                call.cursors.encode(
                    scope: scope, [.int($0.state.urgency), .int($0.createdAt.microseconds), .string($0.id)])
            } : nil
        return DeliveryListing(
            state: state, webhook: webhook, tenant: tenant, items: items,
            names: try names(of: items, and: [webhook].compactMap { $0 }, from: reader), next: next)
    }

    static func names(
        of items: [Delivery], and webhooks: [String] = [], from reader: any Reader
    ) throws -> [String: String] {
        let rows = try reader.query([
            DeliveryQueries.webhookURLs(Set(items.map(\.webhookID) + webhooks).sorted()),
            DeliveryQueries.tenantNames(Set(items.compactMap(\.tenantID)).sorted()),
        ])
        var names: [String: String] = [:]
        for row in rows[0] {
            let url = try row.string("url")
            names[try row.string("id")] = WebhookURL.host(url) ?? url
        }
        for endpoint in Set(items.map(\.webhookID) + webhooks) {
            switch Endpoint.channel(endpoint) {
            case .slack: names[endpoint] = "Slack"
            case .mail: names[endpoint] = "Mail"
            case .webhook: break
            }
        }
        for row in rows[1] { names[try row.string("id")] = try row.string("name") }
        return names
    }
}

/// One delivery with what was tried.
struct DeliveryDetail {
    let delivery: Delivery
    let webhook: Webhook?
    /// The newest first.
    let attempts: [DeliveryAttempt]
    let names: [String: String]
    /// When it is tried next; `nil` when nothing is due: it is settled, under way, behind another, or its endpoint is
    /// disabled.
    let nextAt: Instant?
    let isUnderWay: Bool
    let isBehind: Bool
    /// What happened in the event it tells of; `nil` once that has left for the archive.
    let action: String?

    static func load(_ id: String, from reader: any Reader) throws -> DeliveryDetail {
        guard Identifier.isValid(id, prefix: Delivery.idPrefix), let delivery = try Delivery.load(id, from: reader)
        else { throw OperationError.notFound("There is no delivery \(id.prefix(60)). The list is at /deliveries.") }
        let rows = try reader.query([
            DeliveryQueries.attempts(of: id), DeliveryQueries.turn(of: delivery),
            DeliveryQueries.action(of: delivery.eventID),
        ])
        let turn = rows[1].first
        let isBehind = try turn?.bool("is_behind") ?? false
        let isUnderWay = try !isBehind && turn?.optionalString("lease") != nil
        return DeliveryDetail(
            delivery: delivery, webhook: try Webhook.load(delivery.webhookID, from: reader),
            attempts: try rows[0].map(DeliveryAttempt.init),
            names: try DeliveryListing.names(of: [delivery], from: reader),
            nextAt: isBehind || isUnderWay ? nil : try turn?.optionalInstant("due_at"), isUnderWay: isUnderWay,
            isBehind: isBehind, action: try rows[2].first?.string("action"))
    }

    var json: JSON {
        guard case .object(var members) = delivery.answer else { return .null }
        members["attempts"] = .array(attempts.map(\.json))
        members["next_attempt_at"] = JSON(nextAt)
        return .object(members)
    }
}
