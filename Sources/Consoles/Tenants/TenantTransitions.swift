import Kernel

/// One line of the tenant's state machine.
public struct TenantTransition: Sendable, Hashable {
    public enum Destination: Sendable, Hashable {
        case status(TenantStatus)
        /// The status the tenant came from, as it remembers it in `resumes_to`.
        case resumesTo
    }
    public enum Initiator: Sendable, Hashable {
        /// A person, by this operation.
        case operation(String)
        /// Postern itself or the product, by this operation, which people are not offered.
        case system(String)
    }

    public let from: [TenantStatus]
    public let to: Destination
    public let by: Initiator
    public let reasonCodes: [String]
}

/// Every way a tenant may change its state, as data (spec: operations §3). What is not here is illegal.
public enum TenantTransitions {
    public static let table: [TenantTransition] = [
        .init(from: [.pending], to: .status(.ready), by: .system("tenant.mark_ready"), reasonCodes: []),
        .init(from: [.pending], to: .status(.failed), by: .system("tenant.mark_failed"), reasonCodes: []),
        .init(
            from: [.failed], to: .status(.pending), by: .operation("tenant.retry_onboarding"), reasonCodes: ["retry"]),
        .init(from: [.ready], to: .status(.active), by: .system("tenant.activate"), reasonCodes: []),
        .init(
            from: [.ready, .active, .expired, .cancelled], to: .status(.suspended), by: .operation("tenant.suspend"),
            reasonCodes: ["non_payment", "abuse", "legal_hold", "support_investigation"]),
        .init(
            from: [.suspended], to: .resumesTo, by: .operation("tenant.restore"),
            reasonCodes: ["payment_recovered", "investigation_closed", "legal_hold_lifted"]),
        .init(from: [.active], to: .status(.expired), by: .system("tenant.expire"), reasonCodes: []),
        .init(from: [.expired], to: .status(.active), by: .system("tenant.convert"), reasonCodes: []),
        .init(from: [.expired], to: .status(.active), by: .operation("tenant.restore"), reasonCodes: ["converted"]),
        .init(from: [.active, .suspended], to: .status(.cancelled), by: .system("tenant.cancel"), reasonCodes: []),
        .init(
            from: [.cancelled], to: .status(.active), by: .operation("tenant.restore"),
            reasonCodes: ["customer_un_cancel", "csm_save"]),
        .init(
            from: [.ready, .failed, .active, .expired, .suspended, .cancelled], to: .status(.archived),
            by: .operation("tenant.archive"), reasonCodes: ["customer_departed", "policy_inactive_180d"]),
        .init(from: [.archived], to: .resumesTo, by: .operation("tenant.restore"), reasonCodes: ["customer_return"]),
        .init(
            from: [.archived], to: .status(.deleted), by: .operation("tenant.hard_delete"),
            reasonCodes: ["gdpr_erasure_request", "retention_policy"]),
    ]

    /// How long a cancelled tenant waits before it is archived by itself, where that is switched on.
    public static let keptCancelled = Span.days(30)
    /// How long an archived tenant is kept before it may be deleted.
    public static let keptArchived = Span.days(90)

    /// The transitions an operation may make from a status.
    public static func transitions(from status: TenantStatus, by operation: String) -> [TenantTransition] {
        table.filter { $0.by == .operation(operation) && $0.from.contains(status) }
    }

    /// Where a report that carries no reason code takes a tenant, or a refusal that says where it stands.
    public static func destination(of tenant: Tenant, reportedBy operation: String) throws(Refusal) -> TenantStatus {
        let mine = table.filter { $0.by == .system(operation) }
        guard let match = mine.first(where: { $0.from.contains(tenant.status) }), case .status(let status) = match.to
        else {
            let from = mine.flatMap(\.from).map(\.rawValue)
            throw .conflict(
                "The tenant is \(tenant.status.rawValue); \(operation) is for one that is \(list(from, "or")).",
                legal: legal(from: tenant.status))
        }
        return status
    }

    /// Where an operation takes a tenant under this reason code, or a refusal that names what is legal instead.
    public static func destination(
        of tenant: Tenant, by spec: OperationSpec, reasonCode: String?
    ) throws(Refusal) -> TenantStatus {
        let operation = spec.name
        let candidates = transitions(from: tenant.status, by: operation)
        guard !candidates.isEmpty else {
            throw .conflict(
                "\(sentence(tenant.status.withArticle)) tenant can't be \(participle(operation)). \(waysOut(of: tenant.status))",
                legal: legal(from: tenant.status))
        }
        guard let match = candidates.first(where: { reasonCode.map($0.reasonCodes.contains) ?? false }) else {
            let codes = candidates.flatMap(\.reasonCodes)
            let given = reasonCode.map { "not with the reason \(spec.reason($0))" } ?? "not without a reason"
            throw .conflict(
                "\(sentence(tenant.status.withArticle)) tenant can be \(participle(operation)), but \(given). "
                    + "Choose \(list(codes.map(spec.reason), "or")).",
                legal: codes.map { "\(operation) \($0)" })
        }
        switch match.to {
        case .status(let status): return status
        // A tenant that remembers nothing was registered in this status: active is the state everybody means.
        case .resumesTo: return tenant.resumesTo ?? .active
        }
    }

    /// `tenant.restore customer_return`, one for each operation and reason code legal from a status.
    public static func legal(from status: TenantStatus) -> [String] {
        table.filter { $0.from.contains(status) }.flatMap { transition -> [String] in
            guard case .operation(let name) = transition.by else { return [] }
            return transition.reasonCodes.map { "\(name) \($0)" }
        }
    }

    /// Why a control for `operation` is off on a tenant in this status, and which operations lead to one that allows it;
    /// `nil` when the status allows it.
    public static func unavailable(_ operation: String, in status: TenantStatus) -> Unavailable? {
        guard transitions(from: status, by: operation).isEmpty else { return nil }
        switch (operation, status) {
        case (_, .deleted): return Unavailable("deletion is final")
        case (_, .pending): return Unavailable("it is still being set up", note: waysOut(of: .pending))
        case ("tenant.retry_onboarding", _): return Unavailable("its set-up did not fail", isMoot: true)
        case ("tenant.restore", .active), ("tenant.restore", .ready): return Unavailable("there is nothing to restore")
        default: break
        }
        if table.contains(where: { $0.to == .status(status) && $0.by == .operation(operation) }) {
            return Unavailable("it is \(participle(operation)) already")
        }
        return Unavailable(
            "\(status.withArticle) tenant can't be \(participle(operation))", lifting: lifting(operation, from: status))
    }

    /// The operations that take a tenant from this status straight to one where `operation` is legal.
    private static func lifting(_ operation: String, from status: TenantStatus) -> [String] {
        var names: [String] = []
        for transition in table where transition.from.contains(status) {
            guard case .operation(let name) = transition.by, !names.contains(name) else { continue }
            let end: TenantStatus = if case .status(let named) = transition.to { named } else { .active }
            if !transitions(from: end, by: operation).isEmpty { names.append(name) }
        }
        return names
    }

    /// "It can be restored or deleted for good."
    static func waysOut(of status: TenantStatus) -> String {
        var names: [String] = []
        for transition in table where transition.from.contains(status) {
            guard case .operation(let name) = transition.by, !names.contains(name) else { continue }
            names.append(name)
        }
        switch status {
        case .deleted: return "Deletion is final."
        case .pending: return "It is still being set up: wait until your product reports it ready or failed."
        default: return "It can be \(list(names.map(participle), "or"))."
        }
    }

    private static func participle(_ operation: String) -> String {
        switch operation {
        case "tenant.suspend": "suspended"
        case "tenant.restore": "restored"
        case "tenant.archive": "archived"
        case "tenant.hard_delete": "deleted for good"
        case "tenant.retry_onboarding": "set up again"
        default: "changed by \(operation)"
        }
    }

    private static func sentence(_ words: String) -> String { words.prefix(1).uppercased() + words.dropFirst() }

    private static func list(_ words: [String], _ conjunction: String) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " \(conjunction) " + last
    }
}
