import HTML
import Kernel

/// A field of a tenant whose truth is in the product: what Postern wants there holds once the product has confirmed it.
public enum TenantField: String, ParamChoice {
    case plan, region

    /// The operation that asks for another value.
    var operation: String { self == .plan ? ChangePlan.spec.name : ChangeRegion.spec.name }
    /// The notice that asks the product to carry it out.
    var requestName: String { "\(rawValue)_change_requested" }
    /// The notice that it is so now.
    var doneName: String { "\(rawValue)_changed" }
}

/// A change that is wanted and not confirmed yet (spec: operations §1, "Where the truth lives").
public struct DesiredChange: Sendable, Hashable {
    public enum State: String, Sendable, CaseIterable {
        /// Somebody else is to carry it out.
        case pending
        /// They said that they could not; it is asked again or given up.
        case failed
    }

    /// The value the field shall have.
    public let value: String
    public var state: State
    /// When it came into this state.
    public var since: Instant
    /// The event that asked for it.
    public let event: String
    /// Why it failed, as the product says.
    public var reason: String?

    init(value: String, state: State, since: Instant, event: String, reason: String? = nil) {
        self.value = value
        self.state = state
        self.since = since
        self.event = event
        self.reason = reason
    }

    private init?(_ json: JSON) {
        guard let value = json["value"]?.string, let state = json["state"]?.string.flatMap(State.init),
            let since = json["since"]?.string.flatMap(Instant.init(rfc3339:)), let event = json["event_id"]?.string
        else { return nil }
        self.init(value: value, state: state, since: since, event: event, reason: json["reason"]?.string)
    }

    var json: JSON {
        JSON.members([
            ("value", .string(value)), ("state", .string(state.rawValue)), ("since", .string(since.rfc3339)),
            ("event_id", .string(event)), ("reason", reason.map(JSON.string)),
        ])
    }

    /// What a row keeps, by field.
    static func all(_ json: JSON) throws -> [TenantField: DesiredChange] {
        guard let members = json.object else { throw StoreError.shape(column: "desired") }
        var out: [TenantField: DesiredChange] = [:]
        for (name, json) in members {
            guard let field = TenantField(rawValue: name), let change = DesiredChange(json) else {
                throw StoreError.shape(column: "desired")
            }
            out[field] = change
        }
        return out
    }

    static let schema: JSON = [
        "type": "object", "required": ["value", "state", "since", "event_id"],
        "properties": [
            "value": ["type": "string"],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "since": ["type": "string", "format": "date-time"], "event_id": ["type": "string"],
            "reason": ["type": "string"],
        ],
    ]
}

extension Tenant {
    /// The value that holds now.
    func actual(_ field: TenantField) -> String { field == .plan ? plan : region }

    /// The field has this value from now on; nothing else is wanted of it.
    mutating func settle(_ field: TenantField, as value: String) {
        desired[field] = nil
        switch field {
        case .plan: plan = value
        case .region: region = value
        }
    }

    /// The change this field waits for.
    func wanted(_ field: TenantField) throws(Refusal) -> DesiredChange {
        if let change = desired[field] { return change }
        let open = desired.keys.map(\.rawValue).sorted()
        throw .conflict(
            "No change of the \(field.rawValue) is under way: it is \(actual(field))."
                + (open.isEmpty ? "" : " What is under way is a change of the \(open.joined(separator: " and ")).")
        )
    }
}

extension Receivers {
    func hear(_ name: String) -> Bool { names.contains("tenant.\(name)") }

    /// Who carries a change out, said before anybody asks for it.
    func who(_ field: TenantField) -> String {
        hear(field.requestName)
            ? "Your product is asked to carry it out and confirms it."
            : "No webhook tells your product of this, so it does not happen by itself: whoever changes it there confirms it here by hand."
    }
}

/// What the operations on fields whose truth is elsewhere have in common.
enum DesiredChanges {
    /// Wants another value; what holds now stays until it is confirmed.
    static func request<Op: Operation>(
        _ field: TenantField, _ value: String, _ call: Call<Op>
    ) throws(Refusal) -> Plan<Tenant> where Op.Target == Tenant, Op.Facts == Receivers {
        let before = call.before
        if let off = unavailable(field, before) {
            throw .conflict("\(before.name): \(off.reason)." + (off.note.map { " \($0)" } ?? ""))
        }
        guard value != before.actual(field) else {
            throw .conflict(
                before.desired[field] == nil
                    ? "Its \(field.rawValue) is \(value) already."
                    : "Its \(field.rawValue) is \(value) still. To give up the change that failed, revert it.")
        }
        var after = before
        after.updatedAt = call.now
        after.desired[field] = DesiredChange(value: value, state: .pending, since: call.now, event: call.eventID)
        return Plan(
            after, effects: [.change(field.requestName, field, after, to: value)],
            consequence:
                "\(after.name) shall have the \(field.rawValue) \(value); until that is confirmed it stays \(before.actual(field)). \(call.facts.who(field))"
        )
    }

    /// Why another value can't be asked for now.
    static func unavailable(_ field: TenantField, _ tenant: Tenant) -> Unavailable? {
        switch tenant.status {
        case .deleted: return Unavailable("deletion is final")
        case .archived: return Unavailable("archived tenants keep what they have", lifting: ["tenant.restore"])
        case .pending, .failed:
            return Unavailable("it is not set up yet", note: "Your product reports when it is ready.")
        default: break
        }
        guard let change = tenant.desired[field], change.state == .pending else { return nil }
        return Unavailable(
            "a change to \(change.value) is under way", lifting: ["tenant.confirm_change", "tenant.revert_change"],
            note:
                "It was asked for at \(change.since.minuteText) by \(change.event), and is confirmed or reverted first."
        )
    }

    /// Why there is nothing to confirm, retry or revert; `nil` when there is.
    static func nothingWanted(_ tenant: Tenant, state: DesiredChange.State? = nil) -> Unavailable? {
        let fits = tenant.desired.values.contains { state == nil || $0.state == state }
        return fits ? nil : Unavailable("no change waits for that", isMoot: true)
    }
}

extension Effect {
    /// A notice about a field: which, from what, to what. Words of the product's own, no personal data.
    static func change(_ verb: String, _ field: TenantField, _ tenant: Tenant, to value: String) -> Effect {
        let told = Effect.webhook(verb, tenant)
        var payload = told.payload.object ?? [:]
        payload["change"] = [
            "field": .string(field.rawValue), "from": .string(tenant.actual(field)), "to": .string(value),
        ]
        return Effect(
            kind: told.kind, name: told.name, summary: told.summary, payload: .object(payload), tenant: tenant.id)
    }
}
