import Kernel

/// Takes a view away from the list.
public enum DeleteSegment: Operation {
    public typealias Target = Segment
    public static let spec = OperationSpec(
        "segment.delete", "Delete view", summary: "Takes a view away from above the list. No tenant is touched.",
        permission: "segment.delete", risk: .low)

    public static func gather(_ input: NoInput, _ target: Segment?, from reader: any Reader) throws -> SegmentOwner {
        try .gather(target, from: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Segment> {
        try call.facts.check(call.before, call.person)
        var after = call.before
        after.status = .deleted
        after.updatedAt = call.now
        return Plan(
            after,
            consequence: "“\(after.name)” is gone from the list\(call.before.isShared ? ", for everybody" : "").")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Save it again: its filters stay in the audit log.")
    }

    public static func unavailable(_ target: Segment, now: Instant) -> Unavailable? {
        target.status == .deleted ? Unavailable("it was deleted") : nil
    }
}
