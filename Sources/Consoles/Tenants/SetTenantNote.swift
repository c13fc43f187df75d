import Kernel

/// Writes what everybody should know before they touch a tenant; it stands over the buttons of its page.
public enum SetTenantNote: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.set_note", "Set note", summary: "Writes, changes or removes the \"handle with care\" note of a tenant.",
        permission: "tenant.set_note", risk: .low)

    public struct Input: OperationInput {
        @Param(
            "Note", .prose(1...500),
            help: "What a colleague must know before doing anything. Leave empty to remove the note.")
        public var note: String?
        public init() {}
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let before = call.before
        guard before.status != .deleted else { throw .conflict("A deleted tenant can't have a note.") }
        guard call.input.note != before.note else {
            throw .conflict(before.note == nil ? "There is no note to remove." : "The note says exactly this already.")
        }
        var after = before
        after.note = call.input.note
        after.noteEventID = call.input.note == nil ? nil : call.eventID
        after.updatedAt = call.now
        return Plan(
            after, facts: ["has_note": .bool(after.note != nil)],
            consequence: after.note == nil
                ? "The note on \(after.name) is removed."
                : "Everybody who opens \(after.name) reads the note before they do anything.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .run(spec.name, input: JSON.members([("note", done.before?["note"])]))
    }

    public static func prefill(_ target: Tenant) -> [String: JSON] { target.note.map { ["note": .string($0)] } ?? [:] }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        target.status == .deleted ? Unavailable("deletion is final") : nil
    }
}
