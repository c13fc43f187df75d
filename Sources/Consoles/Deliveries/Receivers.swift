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

    /// The same, looked up where there is something to look up.
    static func reaching(_ effects: [Effect], at moment: Instant, from reader: any Reader) throws -> [Effect] {
        guard effects.contains(where: isNotice) else { return effects }
        return try gather(at: moment, from: reader).reaching(effects)
    }

    private static func isNotice(_ effect: Effect) -> Bool { effect.kind == DeliveryChannel.webhook.rawValue }
}

extension Effect {
    /// What a notice is, in one line of a preview.
    static func notice(_ name: String) -> String { "Webhook \(name) to the endpoints that ask for it" }
}
