import Kernel

/// What the product's words about a tenant mean for its state. The transitions are operations of their own, run as the
/// system; here stands only which word leads to which.
enum RegistrySignals {
    /// The operation that follows; `nil` when the state has nothing to do with it.
    /// - Parameter isSeen: somebody was, since the tenant is in this state.
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
    /// - Parameter told: when they were, where they are only repeated: a tenant whose set-up was begun anew since waits for
    ///   another word.
    /// - Throws: what kept it from being run. The records are in; it is made up for when they are put once more.
    static func follow(
        _ records: [RegistryRecord], told: Instant? = nil, by caller: Caller, through pipeline: Pipeline
    ) async throws(OperationError) {
        var words: [String: (onboarding: RegistryRow.Onboarding?, seenAt: Instant?)] = [:]
        var people: [String] = []
        for record in records {
            switch record {
            case .tenant(let row):
                let times = [row.lastActivityAt] + row.members.map(\.lastLoginAt)
                let seenAt = times.compactMap { $0 }.max()
                if row.onboarding != nil || seenAt != nil { words[row.externalID] = (row.onboarding, seenAt) }
            case .user(let user): if user.lastLoginAt != nil { people.append(user.externalID) }
            case .member: continue
            }
        }
        guard !words.isEmpty || !people.isEmpty else { return }
        let said = words
        let seen = people
        let due: [(operation: String, tenant: String)] = try await pipeline.read(nil, by: caller) { reader in
            var due: [(operation: String, tenant: String)] = []
            if !said.isEmpty {
                for row in try reader.query(RegistryQueries.unused(among: said.keys.sorted())) {
                    let since = try row.instant("status_since")
                    guard let word = said[try row.string("external_id")],
                        let status = TenantStatus(rawValue: try row.string("status"))
                    else { continue }
                    let isMeant = told.map { since <= $0 } ?? true
                    guard
                        let name = operation(
                            status: status, onboarding: isMeant ? word.onboarding : nil,
                            isSeen: word.seenAt.map { $0 >= since } ?? false)
                    else { continue }
                    due.append((name, try row.string("id")))
                }
            }
            if !seen.isEmpty {
                for row in try reader.query(RegistryQueries.readyTenants(of: seen)) {
                    due.append(("tenant.activate", try row.string("id")))
                }
            }
            return (due, nil)
        }
        let registry = caller.registry
        for (name, tenant) in due where pipeline.catalog[name] != nil {
            do throws(OperationError) {
                _ = try await pipeline.run(OperationRequest(operation: name, target: tenant), by: registry)
            } catch {
                switch error {
                // The state moved meanwhile.
                case .conflict, .locked: continue
                default: throw error
                }
            }
        }
    }
}

extension Caller {
    /// Postern itself, which does what the word of this caller means: no right of a token's leads there. The event names the
    /// token among its facts and holds where the word came from; keys stay the token's own. An import stays itself.
    var registry: Caller {
        guard actor != ImportRun.actor else { return self }
        return Caller(
            actor: .system("registry"), person: person, displayName: "Registry", client: client, ip: ip,
            userAgent: userAgent, requestID: requestID, mandate: mandate)
    }
}
