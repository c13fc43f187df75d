import Kernel

/// A token for a program of one's own. Whoever asks owns it: the token is shown to nobody else, so that nobody acts as
/// somebody else by it.
public enum CreateServiceAccount: Operation {
    public typealias Target = ServiceAccount
    public static let spec = OperationSpec(
        "service_account.create", "Create service account",
        summary:
            "Makes a token with which a program of yours uses the API within the chosen scopes, for you and never beyond what you hold; the token is shown once.",
        permission: "service_account.create", risk: .critical)
    public static let creates = true

    public struct Input: OperationInput {
        @Param(
            "Kind",
            help:
                "A service does what its scopes allow. An assistant, such as an AI client, reads and proposes: somebody other than you agrees to each proposal before it happens."
        )
        public var kind: ServiceAccount.Kind
        @Param("Name", .length(1...80), help: "What it is for: one account for each program that uses one.")
        public var name: String
        @Param(
            "Scopes", .choices(AccountScopes.grantable.map(\.code)),
            help:
                "What it may do, as far as you hold it yourself: permissions of low and medium risk. Give no more than the program needs."
        )
        public var scopes: [String]
        @Param(
            "Expires on",
            help: "The last day it works, UTC, within a year. Leave empty for 90 days; it can be moved on later."
        )
        public var expiresOn: Day?
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { input.name }
    public static let declaresConcerns = true

    public static func measures(_ call: Call<Self>) -> Measures { Measures(["grants_power": true]) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ServiceAccount> {
        let scopes = try chosen(call.input.scopes)
        let expires = try TokenEnd.of(
            call.input.expiresOn ?? TokenEnd.day(of: call.now + .days(90)), within: ServiceAccount.longest,
            at: call.now)
        let text = AccountToken.text(ServiceAccount.letters, call.fresh.secret("service account token"))
        let account = ServiceAccount(
            id: call.fresh.id(ServiceAccount.idPrefix), ownerID: call.person, kind: call.input.kind,
            name: call.input.name, scopes: scopes, token: AccountToken(of: text), createdAt: call.now,
            expiresAt: expires)
        return Plan(
            account,
            facts: [
                "kind": .string(account.kind.rawValue), "scopes": .array(scopes.map(JSON.string)),
                "until": JSON(expires),
            ], reveal: ["token": .text(text)],
            consequence:
                "Whoever holds the token \(account.kind == .assistant ? "reads and proposes" : "acts") for its owner, who asks for it, with \(scopes.joined(separator: ", ")) until the end of \(TokenEnd.day(of: expires).words)."
        )
    }

    /// In the order of the catalogue, each once.
    static func chosen(_ codes: [String]) throws(Refusal) -> [String] {
        guard !codes.isEmpty else { throw .field("scopes", "Choose at least one scope.") }
        if let wrong = codes.first(where: { !AccountScopes.isGrantable($0) }) {
            let entry = PermissionCatalog[wrong]
            throw .field(
                "scopes",
                entry == nil
                    ? "There is no permission \(wrong.prefix(60))."
                    : "\(wrong) is for people alone: accounts hold permissions of low and medium risk, and never sign.")
        }
        return AccountScopes.grantable.map(\.code).filter(Set(codes).contains)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("An account stays in the record. Revoke it instead; it stops working at once.")
    }
}

/// Another token for an account of one's own.
public enum RotateServiceAccountToken: Operation {
    public typealias Target = ServiceAccount
    public static let spec = OperationSpec(
        "service_account.rotate_token", "Replace token",
        summary:
            "Makes another token for an account of yours, with the same scopes and the same end; the old one stops working at once, or after the hours you give.",
        permission: "service_account.create", risk: .high)

    public struct Input: OperationInput {
        @Param(
            "Hours of overlap", .range(0...72),
            help:
                "How long the old token works on beside the new one, so that programs are moved without a gap. 0 ends it at once, as for one that somebody else may know."
        )
        public var overlapHours: Int64 = 0
        public init() {}
    }

    /// It gives nobody more than was agreed to when the account was made.
    public static func measures(_ call: Call<Self>) -> Measures { Measures(["grants_power": false]) }

    public struct Facts: Sendable {
        /// When the owner's factors were reset last.
        let resetAt: Instant?
    }

    public static func gather(_ input: Input, _ target: ServiceAccount?, from reader: any Reader) throws -> Facts {
        Facts(resetAt: try target.flatMap { try Staff.load($0.ownerID, from: reader)?.resetAt })
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ServiceAccount> {
        let before = call.before
        try ownAndLive(before, call.person, call.now)
        if call.input.overlapHours > 0, let resetAt = call.facts.resetAt, before.rotatedAt ?? before.createdAt < resetAt
        {
            throw .field(
                "overlap_hours",
                "Your factors were reset since this token was made, so it ends at once: leave the overlap at 0.")
        }
        let text = AccountToken.text(ServiceAccount.letters, call.fresh.secret("service account token"))
        var after = before
        after.token = before.token.replaced(by: text, at: call.now, overlap: .hours(call.input.overlapHours))
        after.rotatedAt = call.now
        return Plan(
            after, facts: ["overlap_hours": .int(call.input.overlapHours)], reveal: ["token": .text(text)],
            consequence: after.token.replacing(before.token, of: after.name))
    }

    static func ownAndLive(_ account: ServiceAccount, _ person: String, _ now: Instant) throws(Refusal) {
        guard account.ownerID == person else {
            throw .conflict("Only its owner changes \(account.name) and sees its token. You can revoke it.")
        }
        switch account.state(at: now) {
        case .active: return
        case .expired: throw .conflict("\(account.name) has expired. Create another account.", legal: [])
        case .revoked: throw .conflict("\(account.name) is revoked for good. Create another account.", legal: [])
        }
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The old token can't be had back. Replace the new one too, if it should not be used.")
    }

    public static func unavailable(_ target: ServiceAccount, now: Instant) -> Unavailable? {
        over(target, now)
    }

    static func over(_ target: ServiceAccount, _ now: Instant) -> Unavailable? {
        switch target.state(at: now) {
        case .active: nil
        case .expired: Unavailable("it has expired")
        case .revoked: Unavailable("it is revoked")
        }
    }
}

/// Another name, other scopes or another end for an account of one's own.
public enum ChangeServiceAccount: Operation {
    public typealias Target = ServiceAccount
    public static let spec = OperationSpec(
        "service_account.change", "Change service account",
        summary:
            "Gives an account of yours another name, other scopes or another end; more than it had waits for a second person, less is at once.",
        permission: "service_account.create", risk: .high)

    public struct Input: OperationInput {
        @Param("Name", .length(1...80), help: "What it is for.") public var name: String?
        @Param(
            "Scopes", .choices(AccountScopes.grantable.map(\.code)),
            help: "All that it may do from now on; what is not among them it loses.")
        public var scopes: [String]?
        @Param("Expires on", help: "The last day it works, UTC, within a year from now.") public var expiresOn: Day?
        public init() {}
    }

    /// More scopes or a later end are power; fewer and an earlier one are not.
    public static func measures(_ call: Call<Self>) -> Measures {
        guard let account = call.target else { return .none }
        let wider = call.input.scopes.map { !Set($0).isSubset(of: account.scopes) } ?? false
        let later = call.input.expiresOn.map { $0 > TokenEnd.day(of: account.expiresAt) } ?? false
        return Measures(["grants_power": .bool(wider || later)])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ServiceAccount> {
        let before = call.before
        try RotateServiceAccountToken.ownAndLive(before, call.person, call.now)
        var after = before
        if let name = call.input.name { after.name = name }
        if let scopes = call.input.scopes { after.scopes = try CreateServiceAccount.chosen(scopes) }
        if let day = call.input.expiresOn, day != TokenEnd.day(of: before.expiresAt) {
            after.expiresAt = try TokenEnd.of(day, within: ServiceAccount.longest, at: call.now)
        }
        guard after != before else { throw .field("name", "Nothing would change: give another value.") }
        let more = after.scopes.filter { !before.scopes.contains($0) }
        let less = before.scopes.filter { !after.scopes.contains($0) }
        var parts: [String] = []
        if after.name != before.name { parts.append("is called \(after.name)") }
        if !more.isEmpty { parts.append("may \(more.joined(separator: ", "))") }
        if !less.isEmpty { parts.append("no longer may \(less.joined(separator: ", "))") }
        if after.expiresAt != before.expiresAt {
            parts.append("works until the end of \(TokenEnd.day(of: after.expiresAt).words)")
        }
        return Plan(
            after,
            facts: [
                "scopes_added": .array(more.map(JSON.string)), "scopes_removed": .array(less.map(JSON.string)),
            ], consequence: "\(before.name) \(parts.joined(separator: ", ")).")
    }

    public static func prefill(_ target: ServiceAccount) -> [String: JSON] {
        [
            "name": .string(target.name), "scopes": .array(target.scopes.map(JSON.string)),
            "expires_on": TokenEnd.day(of: target.expiresAt).json,
        ]
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        guard let before = done.before, let name = before["name"], let scopes = before["scopes"],
            let end = before["expires_at"]?.string.flatMap(Instant.init(rfc3339:))
        else { return .impossible("What it was is not known any more.") }
        return .run(
            spec.name, input: ["name": name, "scopes": scopes, "expires_on": TokenEnd.day(of: end).json])
    }

    public static func unavailable(_ target: ServiceAccount, now: Instant) -> Unavailable? {
        RotateServiceAccountToken.over(target, now)
    }
}

/// Ends an account, whoever owns it.
public enum RevokeServiceAccount: Operation {
    public typealias Target = ServiceAccount
    public static let spec = OperationSpec(
        "service_account.revoke", "Revoke account",
        summary:
            "Ends a service account or an assistant for good, whoever owns it; the next request with its token is refused.",
        permission: "service_account.revoke", risk: .medium,
        reasonCodes: [
            ReasonCode("compromised", "Somebody else may know the token"),
            ReasonCode("misused", "It does what it should not"),
            ReasonCode("unused", "Nothing needs it any more"),
        ], isDestructive: true)

    public static func measures(_ call: Call<Self>) -> Measures { Measures(["grants_power": false]) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ServiceAccount> {
        let consequence = try call.before.revoking()
        return Plan(call.before.revoked(for: call.reasonCode, at: call.now), consequence: consequence)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A revoked account never works again. Its owner can create another one.")
    }

    public static func unavailable(_ target: ServiceAccount, now: Instant) -> Unavailable? {
        target.revokedAt == nil ? nil : Unavailable("it is revoked already")
    }
}
