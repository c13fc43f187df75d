import Kernel

/// What the product's words about a tenant mean for its state. The transitions are operations of their own, run as the
/// system; here stands only which word leads to which.
enum RegistrySignals {
    /// The operation that follows; `nil` when the state has nothing to do with it.
    static func operation(status: TenantStatus, onboarding: RegistryRow.Onboarding?, isSeen: Bool) -> String? {
        switch (status, onboarding) {
        case (.pending, .ready?): "tenant.mark_ready"
        case (.pending, .failed?): "tenant.mark_failed"
        case (.ready, _) where isSeen: "tenant.activate"
        default: nil
        }
    }

    /// Runs what follows from these records, as far as the catalogue has it. A refusal is recorded and changes nothing of
    /// what was put.
    static func follow(_ records: [RegistryRecord], by caller: Caller, through pipeline: Pipeline) async {
        var words: [String: (onboarding: RegistryRow.Onboarding?, isSeen: Bool)] = [:]
        var people: [String] = []
        for record in records {
            switch record {
            case .tenant(let row):
                let isSeen = row.lastActivityAt != nil || row.members.contains { $0.lastLoginAt != nil }
                if row.onboarding != nil || isSeen { words[row.externalID] = (row.onboarding, isSeen) }
            case .user(let user): if user.lastLoginAt != nil { people.append(user.externalID) }
            case .member: continue
            }
        }
        guard !words.isEmpty || !people.isEmpty else { return }
        let told = words
        let seen = people
        let due: [(operation: String, tenant: String)]? = try? await pipeline.database.read { reader in
            var due: [(String, String)] = []
            if !told.isEmpty {
                for row in try reader.query(TenantQueries.tenants(by: .externalID, told.keys.sorted())) {
                    let tenant = try Tenant(row)
                    guard let word = told[tenant.externalID],
                        let name = operation(
                            status: tenant.status, onboarding: word.onboarding, isSeen: word.isSeen)
                    else { continue }
                    due.append((name, tenant.id))
                    // Set up and seen in one word.
                    if name == "tenant.mark_ready", word.isSeen { due.append(("tenant.activate", tenant.id)) }
                }
            }
            if !seen.isEmpty {
                for row in try reader.query(RegistryQueries.readyTenants(of: seen)) {
                    due.append(("tenant.activate", try row.string("id")))
                }
            }
            return due
        }
        let system = Caller(
            actor: .system("registry"), person: "registry", displayName: "Registry", client: .worker,
            requestID: caller.requestID)
        for (name, tenant) in due ?? [] where pipeline.catalog[name] != nil {
            _ = try? await pipeline.run(OperationRequest(operation: name, target: tenant), by: system)
        }
    }
}
