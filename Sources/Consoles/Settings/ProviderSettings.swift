import Kernel

/// How the identity provider is set is said where the server is started: no rule asks anybody, and whoever runs the server may take
/// a weaker answer of the provider than before. So a change is an event that names what changed, and that security hears of.
public enum ProviderSettings {
    static let action = "oidc.settings_changed"

    /// Compares the settings with those of the last such event, and records what is different. Servers that start together wait for
    /// one another, and the first records it.
    /// - Parameters:
    ///   - digests: by setting, of what is not as shipped. Never the values: one of them is a secret.
    ///   - sendsMail: whether mail is sent.
    /// - Returns: the settings that changed.
    @discardableResult
    public static func announce(
        _ digests: [String: String], in database: any Database, _ records: any Records, sendsMail: Bool
    ) async throws -> [String] {
        try await database.write { tx in
            try tx.lock(["oidc.settings"])
            let leaf = try tx.first(InstallationQueries.last(Self.action))?.bytes("leaf")
            let known = leaf.flatMap { try? JSON(parsing: $0) }?["facts"]?["settings"]?.object ?? [:]
            let changed = Set(known.keys).union(digests.keys).filter { known[$0]?.string != digests[$0] }.sorted()
            guard !changed.isEmpty else { return [] }
            var draft = EventDraft(at: tx.now, .incident, "oidc.settings_changed", actor: .system("settings"))
            draft.facts = [
                "changed": .array(changed.map(JSON.string)), "settings": .object(digests.mapValues(JSON.string)),
            ]
            tx.enqueue(records.insert(SealedEvent(draft)))
            if sendsMail {
                tx.enqueue(
                    records.enqueue(
                        MailNotice.providerChanged.effect(roles: ["security"]), id: Identifier.mint("out", at: tx.now),
                        event: draft.id, operationID: "", tenantVersion: nil, at: tx.now))
            }
            return changed
        }
    }
}
