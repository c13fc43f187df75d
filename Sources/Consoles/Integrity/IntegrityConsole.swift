import HTML
import Kernel

/// Governed rows that are not what the log says, and how each case is settled.
public enum IntegrityConsole {
    static let permission = "integrity.view"
    public static let console = Console(
        "Integrity",
        menu: [
            .init(
                .assurance, "Integrity", icon: "shield", path: "/discrepancies", permission: "integrity.view",
                foresees: { _ in [open] }, due: { _, reader in Int64(try reader.query(open).count) })
        ],
        operations: [
            AnyOperation(ReportDiscrepancy.self), AnyOperation(AdoptDiscrepancy.self),
            AnyOperation(RestoreDiscrepancy.self), AnyOperation(CloseDiscrepancy.self),
        ],
        reads: [listDiscrepancies, viewDiscrepancy], entities: [AnyEntityType(Discrepancy.self)],
        pages: [DiscrepancyPages.list, DiscrepancyPages.view],
        specimens: [
            .init("Cases of integrity", Discrepancy.State.allCases.map { DiscrepancyPages.state($0, dense: false) })
        ])

    private static let open = DiscrepancyQueries.open(limit: 100)

    private static let listDiscrepancies = Read(
        "discrepancy.list", summary: "Rows that differ from the log, open cases first, the newest first.",
        path: "/discrepancies", permission: "integrity.view", parameters: DiscrepancyListing.parameters,
        schema: Discrepancy.schema, isList: true
    ) { call, reader in
        let listing = try DiscrepancyListing.load(call, from: reader)
        return .list(listing.items.map(\.document), next: listing.next)
    }

    private static let viewDiscrepancy = Read(
        "discrepancy.view", summary: "One case, with the row as it stands and as the log says, while it is open.",
        path: "/discrepancies/{id}", permission: "integrity.view", schema: Discrepancy.schema, hasVersion: true
    ) { call, reader in
        let detail = try DiscrepancyDetail.load(call.path["id"] ?? "", from: reader)
        return ReadAnswer(detail.json, version: detail.discrepancy.version, disclosure: detail.disclosure)
    }
}
