import Kernel

/// What every way of settling looks at: the row and the log, in this transaction.
private func comparison(_ target: Discrepancy?, from reader: any Reader) throws -> RowComparison? {
    guard let target, let type = RowComparison.type(target.rowType) else { return nil }
    return try RowComparison.look(at: target.rowID, of: type, from: reader)
}

/// The row and the log, when there is still something to settle.
private func differing(_ call: Discrepancy, _ comparison: RowComparison?) throws(Refusal) -> RowComparison {
    guard call.state == .open else { throw .conflict("This case is settled already.") }
    guard let comparison else {
        throw .conflict(
            "Rows of the kind \(call.rowType) are put right by hand; the case closes when they agree with the log again."
        )
    }
    guard !comparison.agrees else {
        throw .conflict("The row and the log agree again; the next sweep closes the case.")
    }
    return comparison
}

private func settledAlready(_ target: Discrepancy) -> Unavailable? {
    target.state == .open ? nil : Unavailable("it is settled already")
}

/// Leaves the row as it was found: the log says so from now on.
public enum AdoptDiscrepancy: Operation {
    public typealias Target = Discrepancy
    public static let spec = OperationSpec(
        "discrepancy.adopt", "Keep the row as it is",
        summary: "Records the row as it stands now as the truth, with the difference to what the log said.",
        permission: "integrity.settle", risk: .critical,
        reasonCodes: [
            ReasonCode("authorised_maintenance", "The change was agreed on and done by hand"),
            ReasonCode("emergency_fix", "The change was made in an emergency"),
            ReasonCode("data_repair", "The row was wrong, and is right now"),
        ])

    public static func gather(
        _ input: NoInput, _ target: Discrepancy?, from reader: any Reader
    ) throws -> RowComparison? { try comparison(target, from: reader) }

    public static func measures(_ call: Call<Self>) -> Measures {
        Measures(["grants_power": .bool(call.before.mayGrantPower || call.facts?.changesManager == true)])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Discrepancy> {
        let row = try differing(call.before, call.facts)
        // Whoever wrote themselves a role does not say that it is right.
        guard !row.concerns(call.person) else {
            throw .conflict("This row is about you, so somebody else has to say whether it stays.")
        }
        guard let change = row.adoption else {
            throw .conflict("The row can't be kept: \(row.whyNotAdopted ?? "it can't be read").")
        }
        return Plan(
            call.before.settled(.adopted, at: call.now), also: [change],
            facts: ["row_type": .string(call.before.rowType), "row_id": .string(call.before.rowID)],
            barred: row.people,
            consequence: "\(call.before.displayName) stays as it is, and the log says so from now on."
                + (row.whyNothingLogged.map { " What it was before can’t be shown: \($0)." } ?? ""))
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What was adopted is changed by the row's own operations.")
    }
    public static func unavailable(_ target: Discrepancy, now: Instant) -> Unavailable? { settledAlready(target) }
}

/// Puts the row back as its last event says.
public enum RestoreDiscrepancy: Operation {
    public typealias Target = Discrepancy
    public static let spec = OperationSpec(
        "discrepancy.restore", "Put the row back",
        summary: "Writes the row as its last event says, and records what it had been changed to.",
        permission: "integrity.settle", risk: .critical,
        reasonCodes: [
            ReasonCode("unauthorised_change", "Nobody was allowed to change it"),
            ReasonCode("mistake", "It was changed by mistake"),
            ReasonCode("restored_backup", "A part of a backup was put back"),
        ])

    public static func gather(
        _ input: NoInput, _ target: Discrepancy?, from reader: any Reader
    ) throws -> RowComparison? { try comparison(target, from: reader) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Discrepancy> {
        let row = try differing(call.before, call.facts)
        guard let change = row.restoration else {
            throw .conflict("The row can't be put back: \(row.whyNotRestored ?? "it can't be read").")
        }
        return Plan(
            call.before.settled(.restored, at: call.now), also: [change],
            facts: ["row_type": .string(call.before.rowType), "row_id": .string(call.before.rowID)],
            consequence: "\(call.before.displayName) is again as the log says.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What was put back is changed by the row's own operations.")
    }
    public static func unavailable(_ target: Discrepancy, now: Instant) -> Unavailable? { settledAlready(target) }
}

/// Closes the case of a row that agrees with the log again. The sweep does this.
public enum CloseDiscrepancy: Operation {
    public typealias Target = Discrepancy
    public static let spec = OperationSpec(
        "discrepancy.close", "Close a case that settled itself",
        summary: "Closes the case of a row that agrees with the log again.",
        permission: "integrity.settle", risk: .low, systemOnly: true)

    public static func gather(
        _ input: NoInput, _ target: Discrepancy?, from reader: any Reader
    ) throws -> RowComparison? { try comparison(target, from: reader) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Discrepancy> {
        guard call.before.state == .open else { throw .conflict("This case is settled already.") }
        // Of rows that only the kernel knows the sweep has seen it.
        guard call.facts?.agrees ?? true else { throw .conflict("The row still differs from the log.") }
        return Plan(
            call.before.settled(.vanished, at: call.now),
            facts: ["row_type": .string(call.before.rowType), "row_id": .string(call.before.rowID)],
            consequence: "\(call.before.displayName) agrees with the log again.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("A case that settled itself needs no undo.") }
}
