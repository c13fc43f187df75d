import Testing

@testable import Kernel

/// What is written of a governed row that changes.
@Suite struct EntityUpdateTests {
    private func stored() throws -> ApprovalRequest {
        let request = ApprovalRequest(
            id: "apr_1", operation: "tenant.suspend", targetType: "tenant", targetID: "ten_1", aboutTenant: "ten_1",
            requester: "stf_1", action: ["operation": "tenant.suspend"], planDigest: "00", demands: [],
            eventID: "evt_1", createdAt: Instant(microseconds: 1), expiresAt: Instant(microseconds: 9))
        return try ApprovalRequest(row(request.values))
    }

    private func row(_ values: [Value]) -> Row {
        Row(columns: ColumnIndex(ApprovalRequest.columnNames), values: values)
    }

    @Test func `only what changes is written, over the version that stood there`() throws {
        let before = try stored()
        var after = before
        after.version = 2
        after.state = .rejected
        after.decidedAt = Instant(microseconds: 5)
        let statements = after.update(over: before)
        #expect(
            statements == [
                Statement(
                    "UPDATE approvals SET version = $2, state = $3, decided_at = $4 WHERE id = $1 AND version = $5",
                    [.text("apr_1"), .int(2), .text("rejected"), .int(5), .int(1)], expectedRows: 1)
            ])
    }

    @Test func `a text that looks the same and is another is written`() throws {
        var (before, after) = (try stored(), try stored())
        before.planDigest = "Zo\u{EB}"
        after.planDigest = "Zoe\u{308}"
        after.version = 2
        #expect(after.update(over: before)[0].values == [.text("apr_1"), .int(2), .text("Zoe\u{308}"), .int(1)])
    }

    @Test func `what is kept as it was read gives way to what is set`() throws {
        let before = try stored()
        var after = before
        after.action = ["operation": "tenant.restore"]
        after.demands = [["rule": "r"]]
        after.version = 2
        let values = after.update(over: before)[0].values
        #expect(values == [.text("apr_1"), .int(2), Value(after.action), Value(after.demands), .int(1)])
        #expect(try ApprovalRequest(row(after.values)).document == after.document)
    }

    @Test func `what was edited beside the log is no less edited for being kept as it was read`() throws {
        let request = try stored()
        var values = request.values
        let place = try #require(ApprovalRequest.columnNames.firstIndex(of: "demands"))
        values[place] = .text("[] ")
        let edited = row(values)
        #expect(try ApprovalRequest(edited).columnsEdited(in: edited, ApprovalRequest.columnNames) == ["demands"])
    }

    @Test func `nothing becomes something, and something nothing`() throws {
        let before = try stored()
        var after = before
        after.executeAt = Instant(microseconds: 7)
        after.version = 2
        #expect(after.update(over: before)[0].values == [.text("apr_1"), .int(2), .int(7), .int(1)])
        var again = after
        again.executeAt = nil
        again.version = 3
        #expect(again.update(over: after)[0].values == [.text("apr_1"), .int(3), .null, .int(2)])
    }
}
