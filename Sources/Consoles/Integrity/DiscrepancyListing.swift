import Kernel

/// One page of discrepancies, as asked by the API and by the console.
struct DiscrepancyListing {
    let state: Discrepancy.State?
    let items: [Discrepancy]
    let next: String?

    static let parameters: [Read.Parameter] = [
        .limit, .cursor,
        .init(
            "state", "Where it stands.",
            schema: ["type": "string", "enum": .array(Discrepancy.State.allCases.map { .string($0.rawValue) })]),
    ]

    static func load(_ call: ReadCall, from reader: any Reader) throws -> DiscrepancyListing {
        let limit = try call.limit()
        var state: Discrepancy.State?
        if let text = call.first("state") {
            state = Discrepancy.State(rawValue: text)
            guard state != nil else {
                let words = Discrepancy.State.allCases.map(\.rawValue).joined(separator: ", ")
                throw OperationError.invalid([FieldError(pointer: "?state", detail: "state must be one of \(words).")])
            }
        }
        let scope = "discrepancy.list \(state?.rawValue ?? "")"
        var position: DiscrepancyQueries.Position?
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: scope)
            guard parts.count == 3, let urgency = parts[0].int, let at = parts[1].int, let id = parts[2].string else {
                throw OperationError.invalid([
                    FieldError(pointer: "?cursor", detail: "cursor is not one this list gave out.")
                ])
            }
            position = .init(urgency: urgency, at: Instant(microseconds: at), id: id)
        }
        let found = try reader.query(DiscrepancyQueries.page(state: state, after: position, limit: limit + 1))
            .map(Discrepancy.init)
        let items = Array(found.prefix(limit))
        let next =
            found.count > limit
            ? items.last.map {
                call.cursors.encode(
                    scope: scope, [.int($0.state.urgency), .int($0.foundAt.microseconds), .string($0.id)])
            } : nil
        return DiscrepancyListing(state: state, items: items, next: next)
    }
}

/// One discrepancy with the row and what the log says of it.
struct DiscrepancyDetail {
    let discrepancy: Discrepancy
    /// `nil` once it is settled, and for kinds of rows that only the kernel knows.
    let comparison: RowComparison?

    static func load(_ id: String, from reader: any Reader) throws -> DiscrepancyDetail {
        guard Identifier.isValid(id, prefix: Discrepancy.idPrefix), let found = try Discrepancy.load(id, from: reader)
        else {
            throw OperationError.notFound("There is no discrepancy \(id.prefix(60)). The list is at /discrepancies.")
        }
        guard found.state == .open, let type = RowComparison.type(found.rowType) else {
            return DiscrepancyDetail(discrepancy: found, comparison: nil)
        }
        return DiscrepancyDetail(
            discrepancy: found, comparison: try RowComparison.look(at: found.rowID, of: type, from: reader))
    }

    var json: JSON {
        guard case .object(var members) = discrepancy.document else { return .null }
        members["logged"] = comparison?.loggedDocument ?? .null
        members["stored"] = comparison?.stored?.entity?.document ?? .null
        return .object(members)
    }

    var disclosure: Disclosure {
        Disclosure(
            "discrepancy.view", target: (Discrepancy.type, discrepancy.id), tenant: discrepancy.tenantID, count: 1,
            ids: [discrepancy.rowID])
    }
}
