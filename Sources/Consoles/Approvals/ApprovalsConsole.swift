import HTML
import Kernel

/// Requests that need a second person, and what people decide about them.
public enum ApprovalsConsole {
    public static let console = Console(
        "Approvals",
        menu: [.init(.work, "Approvals", icon: "approve", path: "/approvals", permission: nil, due: waiting)],
        operations: Decisions.all,
        reads: [list, view],
        entities: [AnyEntityType(ApprovalRequest.self), AnyEntityType(ApprovalSignature.self), AnyEntityType(ExchangeRate.self)],
        pages: [ApprovalPages.list, ApprovalPages.detail],
        specimens: [
            .init("Requests", ApprovalRequest.State.allCases.map { ApprovalPages.stateChip($0, expired: false) })
        ])

    /// Requests this person could sign.
    private static let waiting: @Sendable (Caller, any Reader) throws -> Int64 = { caller, reader in
        Int64(try ApprovalList.pending(limit: 100, from: reader).count { $0.request.canBeFilled(by: caller) })
    }

    private static let list = Read(
        "approval.list", summary: "Requests that wait for approval, the soonest to expire first.", path: "/approvals",
        permission: "approval.view", parameters: [.limit, .cursor], schema: approvalSchema, isList: true
    ) { call, reader in
        let limit = try call.limit()
        var position: (at: Instant, id: String)?
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: "approval.list")
            if let at = parts.first?.int, let id = parts.last?.string { position = (Instant(microseconds: at), id) }
        }
        let found = try ApprovalList.pending(after: position, limit: limit + 1, from: reader)
        let page = Array(found.prefix(limit))
        let next =
            found.count > limit
            ? page.last.map {
                call.cursors.encode(
                    scope: "approval.list", [.int($0.request.createdAt.microseconds), .string($0.request.id)])
            } : nil
        return .list(page.map(\.json), next: next, disclosure: ApprovalList.disclosure(of: page))
    }

    private static let view = Read(
        "approval.view",
        summary:
            "One request: the frozen action, what it would do and who must agree. For its requester, those who could sign it, and holders of approval.view.",
        path: "/approvals/{id}", permission: nil, schema: approvalSchema, hasVersion: true
    ) { call, reader in
        let detail = try ApprovalDetail.load(call.path["id"] ?? "", for: call.caller, from: reader)
        return ReadAnswer(detail.json, version: detail.entry.request.version, disclosure: detail.disclosure)
    }

    private static let approvalSchema: JSON = [
        "type": "object",
        "properties": [
            "id": ["type": "string"], "operation": ["type": "string"], "state": ["type": "string"],
            "requester": ["type": "string"], "action": ["type": "object"], "demands": ["type": "array"],
            "expires_at": ["type": "string", "format": "date-time"],
        ],
    ]
}
