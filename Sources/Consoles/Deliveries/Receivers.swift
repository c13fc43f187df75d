import Kernel

/// Who will hear of a notice: endpoints of webhooks that ask for it.
public struct Receivers: Sendable {
    /// What they ask for.
    let names: Set<String>

    /// Those in use now.
    /// - Parameter moment: when it is told, for an endpoint hears of what happens from when it was made on; `nil`: now.
    static func gather(at moment: Instant? = nil, from reader: any Reader) throws -> Receivers {
        let moment = moment ?? reader.now
        var names: Set<String> = []
        for row in try reader.query(Webhook.subscriptions) where try row.instant("created_at") <= moment {
            names.formUnion(try row.json("events").array?.compactMap(\.string) ?? [])
        }
        return Receivers(names: names)
    }

    /// Those of effects that somebody hears of. What no endpoint asks for is queued, and sent to nobody.
    func reaching(_ effects: [Effect]) -> [Effect] {
        effects.filter { effect in
            // A test goes to its one endpoint, whatever that asks for.
            !Self.isNotice(effect) || effect.name == WebhookEvent.test || names.contains(effect.name)
        }
    }

    /// The same, looked up where there is something to look up: of effects that were queued already in the log, and among the
    /// endpoints as they stand now where it can't say yet.
    static func reaching(_ effects: [Effect], _ queuing: Queuing?, from reader: any Reader) throws -> [Effect] {
        let notices = effects.filter(isNotice)
        guard !notices.isEmpty else { return effects }
        guard let queuing else { return try gather(from: reader).reaching(effects) }
        let queued = try QueuedNotices.load(notices, queuing, from: reader)
        let receivers =
            notices.contains { queued[$0] == .waiting } ? try gather(at: queuing.at, from: reader) : nil
        return effects.filter { effect in
            guard isNotice(effect) else { return true }
            return switch queued[effect] {
            case .sent: true
            case .waiting: receivers.map { !$0.reaching([effect]).isEmpty } ?? true
            // An answer is kept for days, the log for years.
            case .toNobody, .forgotten: false
            }
        }
    }

    private static func isNotice(_ effect: Effect) -> Bool { effect.kind == DeliveryChannel.webhook.rawValue }
}

extension Effect {
    /// What a notice is, in one line of a preview.
    static func notice(_ name: String) -> String { "Webhook \(name) to the endpoints that ask for it" }
}
