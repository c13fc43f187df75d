import Kernel

/// Keeps filters and order of the list of tenants under a name.
public enum SaveSegment: Operation {
    public typealias Target = Segment
    public static let spec = OperationSpec(
        "segment.save", "Save view", summary: "Keeps filters and order of the list of tenants under a name of yours.",
        permission: "segment.save", risk: .low)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("Name", .length(1...60), help: "What it shows, as in Trials in Europe.") public var name: String
        @Param("Filter", help: "The list’s address after the question mark, as in status=expired&region=eu-west.")
        public var filter: TenantView
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { input.name }
    public static let declaresConcerns = true

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Segment> {
        let segment = Segment(
            id: call.fresh.id("seg"), ownerID: call.person, name: call.input.name, view: call.input.filter,
            now: call.now)
        return Plan(
            segment,
            consequence:
                "“\(segment.name)” stands above the list of tenants for you; nobody else sees it until you share it.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("Delete the view instead.") }
}
