import Kernel

/// Shows a view to everybody who sees tenants, or to its owner alone again.
public enum ShareSegment: Operation {
    public typealias Target = Segment
    public static let spec = OperationSpec(
        "segment.share", "Share view", summary: "Shows a view to everybody who sees tenants, or to you alone again.",
        permission: "segment.share", risk: .low)

    public struct Input: OperationInput {
        @Param("Everybody sees it", help: "Without it only you do.") public var shared = true
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Segment?, from reader: any Reader) throws -> SegmentOwner {
        try .gather(target, from: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Segment> {
        try call.facts.check(call.before, call.person)
        guard call.input.shared != call.before.isShared else {
            throw .conflict(call.before.isShared ? "It is shared already." : "Only its owner sees it already.")
        }
        var after = call.before
        after.isShared = call.input.shared
        after.updatedAt = call.now
        return Plan(
            after,
            consequence: after.isShared
                ? "“\(after.name)” stands above the list of tenants for everybody."
                : "“\(after.name)” is shown to its owner alone.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .run(spec.name, input: ["shared": done.before?["shared"] ?? false])
    }

    public static func prefill(_ target: Segment) -> [String: JSON] { ["shared": .bool(!target.isShared)] }

    public static func unavailable(_ target: Segment, now: Instant) -> Unavailable? {
        target.status == .deleted ? Unavailable("it was deleted") : nil
    }
}
