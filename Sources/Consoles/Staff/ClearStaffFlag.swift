import Kernel

/// Closes the review of an exception. Not for the person it is about, nor for whoever made it.
public enum ClearStaffFlag: Operation {
    public typealias Target = StaffFlag
    public static let spec = OperationSpec(
        "staff_flag.clear", "Close the review",
        summary: "Says what came of looking at an exception to the roles that are not held together.",
        permission: "staff_flag.clear", risk: .medium,
        reasonCodes: [
            ReasonCode("accepted", "The exception stands, and its reason still holds"),
            ReasonCode("resolved", "One of the two roles has been taken away"),
        ], justification: .required(atLeast: 10))

    public static func gather(_ input: NoInput, _ target: StaffFlag?, from reader: any Reader) throws -> Set<String> {
        guard let target else { return [] }
        let grants = try reader.query(Grant.of([target.staffID])).map(Grant.init)
        return Set(grants.filter { $0.isLive(at: reader.now) }.map(\.role))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<StaffFlag> {
        let before = call.before
        guard before.state == .open else { throw .conflict("This review is closed already.", legal: []) }
        guard call.person != before.staffID else {
            throw .conflict("This exception is about you: somebody else looks at it.")
        }
        guard call.person != before.raisedBy else {
            throw .conflict("You made this exception, so somebody else looks at it.")
        }
        if call.reasonCode == "resolved", call.facts.isSuperset(of: before.roles) {
            throw .conflict("Both \(before.displayName) are still held. Take one away first, or accept the exception.")
        }
        var after = before
        after.state = .cleared
        after.clearedBy = call.person
        after.clearedAt = call.now
        after.outcome = call.reasonCode
        return Plan(
            after, facts: ["roles": .array(before.roles.map(JSON.string))],
            consequence: call.reasonCode == "resolved"
                ? "The review is closed: the two roles are not held together any more."
                : "The review is closed: the exception stands.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("A review stays closed; it is in the record.") }

    public static func unavailable(_ target: StaffFlag, now: Instant) -> Unavailable? {
        target.state == .open ? nil : Unavailable("it is closed already", isMoot: true)
    }
}
