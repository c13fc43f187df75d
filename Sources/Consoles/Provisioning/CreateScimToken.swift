import Kernel

/// A key for an identity provider.
public enum CreateScimToken: Operation {
    public typealias Target = ScimToken
    public static let spec = OperationSpec(
        "scim_token.create", "Create SCIM token",
        summary:
            "Lets an identity provider create, change and deactivate staff and ask for their roles at /scim/v2; the token is shown once.",
        permission: "scim.configure", risk: .critical)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("Name", .length(1...80), help: "Which provider it is for, such as Entra ID or Okta.")
        public var name: String
        @Param(
            "Expires on", help: "The last day it works, UTC, within two years. Leave empty for a year.")
        public var expiresOn: Day?
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { input.name }
    public static let declaresConcerns = true

    public static func measures(_ call: Call<Self>) -> Measures { Measures(["grants_power": true]) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ScimToken> {
        let day = call.input.expiresOn ?? TokenEnd.day(of: call.now + .days(365))
        let expires = try TokenEnd.of(day, within: ScimToken.longest, at: call.now)
        let text = AccountToken.text(ScimToken.letters, call.fresh.secret("scim token"))
        let token = ScimToken(
            id: call.fresh.id(ScimToken.idPrefix), name: call.input.name, token: AccountToken(of: text),
            createdBy: call.person, createdAt: call.now, expiresAt: expires)
        return Plan(
            token, facts: ["until": JSON(expires)], reveal: ["token": .text(text)],
            consequence:
                "Whoever holds the token may create and deactivate staff and ask for their roles until the end of \(TokenEnd.day(of: expires).words)."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A token stays in the record. Revoke it instead; it stops working at once.")
    }
}

/// Another token for a provider, while the old one works on for a while.
public enum RotateScimToken: Operation {
    public typealias Target = ScimToken
    public static let spec = OperationSpec(
        "scim_token.rotate", "Replace token",
        summary:
            "Makes another token for the provider; the old one works on for the hours you give, so that nothing stops meanwhile.",
        permission: "scim.configure", risk: .critical)

    public struct Input: OperationInput {
        @Param(
            "Hours of overlap", .range(0...168),
            help:
                "How long the old token works on beside the new one. 0 ends it at once, as for one that somebody else may know."
        )
        public var overlapHours: Int64 = 24
        @Param("Expires on", help: "The last day the new token works, UTC, within two years. Leave empty for a year.")
        public var expiresOn: Day?
        public init() {}
    }

    public static func measures(_ call: Call<Self>) -> Measures { Measures(["grants_power": true]) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ScimToken> {
        let before = call.before
        guard before.revokedAt == nil else {
            throw .conflict("\(before.name) is revoked for good. Create another token.", legal: [])
        }
        let day = call.input.expiresOn ?? TokenEnd.day(of: call.now + .days(365))
        let text = AccountToken.text(ScimToken.letters, call.fresh.secret("scim token"))
        var after = before
        after.token = before.token.replaced(
            by: text, at: call.now, overlap: before.expiresAt > call.now ? .hours(call.input.overlapHours) : .seconds(0)
        )
        after.rotatedAt = call.now
        // Whoever is shown the new token answers for what comes through it, and for the old one who was shown that.
        after.previousBy = after.token.previous == nil ? nil : before.createdBy
        after.createdBy = call.person
        after.expiresAt = try TokenEnd.of(day, within: ScimToken.longest, at: call.now)
        return Plan(
            after, facts: ["overlap_hours": .int(call.input.overlapHours), "until": JSON(after.expiresAt)],
            reveal: ["token": .text(text)],
            consequence: after.token.replacing(before.token, of: after.name))
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The old token can't be had back. Replace the new one too, if it should not be used.")
    }

    public static func unavailable(_ target: ScimToken, now: Instant) -> Unavailable? {
        target.revokedAt == nil ? nil : Unavailable("it is revoked")
    }
}

/// Ends a provider's token.
public enum RevokeScimToken: Operation {
    public typealias Target = ScimToken
    public static let spec = OperationSpec(
        "scim_token.revoke", "Revoke token",
        summary: "Ends the token for good; the provider's next request is refused. Whoever it created stays.",
        permission: "scim.configure", risk: .medium,
        reasonCodes: [
            ReasonCode("compromised", "Somebody else may know it"),
            ReasonCode("replaced", "Another token or provider has taken its place"),
            ReasonCode("unused", "Nothing needs it any more"),
        ], isDestructive: true)

    public static func measures(_ call: Call<Self>) -> Measures { Measures(["grants_power": false]) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ScimToken> {
        let consequence = try call.before.revoking()
        var after = call.before
        after.revokedAt = call.now
        after.revokedFor = call.reasonCode
        after.token.previous = nil
        after.previousBy = nil
        return Plan(after, consequence: consequence)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A revoked token never works again. Create another one.")
    }

    public static func unavailable(_ target: ScimToken, now: Instant) -> Unavailable? {
        target.revokedAt == nil ? nil : Unavailable("it is revoked already")
    }
}
