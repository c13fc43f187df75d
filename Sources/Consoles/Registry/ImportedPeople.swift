import Kernel

/// The people that a file brings or changes, batch for batch, while it is checked. Nothing is written then, so the database does
/// not know yet which addresses earlier rows give and free. Only those with an id of the product's are remembered: nobody else
/// keeps an address from another.
struct ImportedPeople: Sendable {
    typealias Changed = (before: User?, after: User)

    /// How many are remembered, so that memory stays bounded. Rows behind them are compared with the database and with these.
    static let most = 100_000

    private var byEmail: [String: User] = [:]
    private var byExternalID: [String: User] = [:]
    /// Addresses whose holder in the database has another one now.
    private var left: Set<String> = []

    /// What a batch comes to.
    mutating func remember(_ people: [Changed]) {
        guard byExternalID.count + left.count < Self.most else { return }
        // All that is given up first: within a batch an address may pass on in any order.
        for case (let before?, let after) in people where before.email != after.email {
            left.insert(before.email)
            if byEmail[before.email]?.id == before.id { byEmail[before.email] = nil }
        }
        for (before, after) in people where after.externalID != after.id {
            var user = after
            if before == nil {
                // A rehearsal counts its new ids from one, in each batch.
                user = User(
                    id: "file_\(byExternalID.count)", externalID: after.externalID, email: after.email,
                    name: after.name, status: after.status, createdAt: after.createdAt, lastLoginAt: after.lastLoginAt)
            }
            byEmail[user.email] = user
            byExternalID[user.externalID] = user
        }
    }

    /// Makes of what the database knows what will be known when the batches before are in.
    func bring(into facts: inout RegistryFacts, emails: Set<String>, externalIDs: Set<String>) {
        guard !byExternalID.isEmpty || !left.isEmpty else { return }
        for email in emails {
            if left.contains(email) { facts.users[email] = nil }
            if let user = byEmail[email] { facts.add(user) }
        }
        for id in externalIDs {
            if let user = byExternalID[id] { facts.add(user) }
        }
    }
}
