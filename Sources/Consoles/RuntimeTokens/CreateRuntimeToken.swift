import HTML
import Kernel

/// A key for the product to talk to the runtime listener with.
public enum CreateRuntimeToken: Operation {
    public typealias Target = RuntimeToken
    public static let spec = OperationSpec(
        "runtime_token.create", "Create runtime token",
        summary: "Lets your product talk to the runtime listener within the chosen scopes; the token is shown once.",
        permission: "runtime_token.manage", risk: .high)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("Name", .length(1...80), help: "What it is for: one token for each program that uses one.")
        public var name: String
        @Param(
            "Scopes", .choices(RuntimeScope.allCases.map(\.rawValue)),
            help: "What it may be used for; give no more than the program needs.")
        public var scopes: [String]
        @Param(
            "Expires on", help: "The last day it works, UTC. Leave empty for a token that is only ended by revoking it."
        )
        public var expiresOn: Day?
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { input.name }
    public static let declaresConcerns = true

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<RuntimeToken> {
        let scopes = RuntimeScope.allCases.filter { call.input.scopes.contains($0.rawValue) }
        guard !scopes.isEmpty else { throw .field("scopes", "Choose at least one scope.") }
        if let unknown = call.input.scopes.first(where: { RuntimeScope(rawValue: $0) == nil }) {
            throw .field("scopes", "There is no scope \(unknown.prefix(60)).")
        }
        var expires: Instant?
        if let day = call.input.expiresOn {
            let end = Instant(microseconds: Int64(day.daysSince1970 + 1) * 86_400_000_000)
            guard end > call.now else { throw .field("expires_on", "That day is over; choose a later one.") }
            guard end <= call.now + .days(3660) else { throw .field("expires_on", "Choose a day within ten years.") }
            expires = end
        }
        let text = RuntimeToken.text(of: call.fresh.secret("runtime token"))
        let token = RuntimeToken(
            id: call.fresh.id("rtk"), version: 1, name: call.input.name, prefix: RuntimeToken.shown(text),
            tokenDigest: RuntimeToken.digest(text), scopes: scopes, createdBy: call.person, createdAt: call.now,
            expiresAt: expires, revokedAt: nil, revokedFor: nil)
        let names = scopes.map(\.rawValue).joined(separator: ", ")
        return Plan(
            token, facts: ["scopes": .array(scopes.map { .string($0.rawValue) })], reveal: ["token": .text(text)],
            consequence:
                "Whoever holds the token may use the runtime listener for \(names)\(call.input.expiresOn.map { " until the end of \($0.words)" } ?? "")."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A token stays in the record. Revoke it instead; it stops working at once.")
    }
}

/// Ends a token.
public enum RevokeRuntimeToken: Operation {
    public typealias Target = RuntimeToken
    public static let spec = OperationSpec(
        "runtime_token.revoke", "Revoke token",
        summary: "Ends the token for good; the next request with it is refused.",
        permission: "runtime_token.manage", risk: .medium,
        reasonCodes: [
            ReasonCode("rotated", "Another token has taken its place"),
            ReasonCode("compromised", "Somebody else may know it"),
            ReasonCode("unused", "Nothing needs it any more"),
        ], isDestructive: true)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<RuntimeToken> {
        let consequence = try call.before.revoking()
        var after = call.before
        after.revokedAt = call.now
        after.revokedFor = call.reasonCode
        return Plan(after, consequence: consequence)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A revoked token never works again. Create another one.")
    }

    public static func unavailable(_ target: RuntimeToken, now: Instant) -> Unavailable? {
        target.revokedAt == nil ? nil : Unavailable("it is revoked already")
    }
}
