import Kernel

/// Opens a case about a row that is not what the log says. The sweep does this.
public enum ReportDiscrepancy: Operation {
    public typealias Target = Discrepancy
    public static let spec = OperationSpec(
        "discrepancy.report", "Report a row that differs from the log",
        summary: "Opens a case about a governed row that is not what its last event says.",
        permission: "integrity.settle", risk: .low, systemOnly: true, isIncident: true)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("Kind of row", .length(1...40), help: "The entity's type, such as tenant.") public var rowType: String
        @Param("Row", .length(1...80), help: "Its id.") public var rowID: String
        @Param(
            "What is wrong", .choices(Discrepancy.Kind.allCases.map(\.rawValue)),
            help: "Edited, deleted, unlogged, or a pointer that points elsewhere.")
        public var kind: String
        public init() {}
    }

    /// Of more rows within ten minutes an inbox is not told one by one: the list of cases names them.
    static let mostTold = 20

    public struct Facts: Sendable {
        /// What is open about this row already.
        let open: Discrepancy?
        /// How many cases were opened within ten minutes, up to `mostTold`.
        let recent: Int
    }

    /// Two servers may sweep.
    public static func guards(_ input: Input, _ target: String?) -> [Guard] {
        [Guard("discrepancy:\(input.rowType):\(input.rowID)")]
    }

    public static func gather(_ input: Input, _ target: Discrepancy?, from reader: any Reader) throws -> Facts {
        let since = reader.now - .minutes(10)
        return Facts(
            open: try reader.first(DiscrepancyQueries.open(input.rowType, input.rowID)).map(Discrepancy.init),
            recent: try reader.query(DiscrepancyQueries.open(since: since, limit: mostTold)).count)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Discrepancy> {
        if let open = call.facts.open { throw .conflict("\(open.id) is open about this row already.") }
        let found = Discrepancy(
            id: call.fresh.id(Discrepancy.idPrefix), version: 0, rowType: call.input.rowType, rowID: call.input.rowID,
            kind: Discrepancy.Kind(rawValue: call.input.kind) ?? .edited, state: .open, foundAt: call.now,
            settledAt: nil)
        return Plan(
            found,
            // The first of several says it for all.
            effects: call.facts.recent == 0 ? [MailNotice.rowDiffers.effect(roles: ["security"])] : [],
            facts: [
                "row_type": .string(found.rowType), "row_id": .string(found.rowID),
                "kind": .string(found.kind.rawValue), "recent": .int(Int64(call.facts.recent)),
            ], consequence: "\(found.displayName) is not what its last event says.")
    }
}
