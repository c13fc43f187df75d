import HTML
import Kernel

/// Where the product's word and ours differ, and what is done about it.
public enum DriftConsole {
    public static let console = Console(
        "Drift",
        menu: [
            .init(
                .customers, "Drift", icon: "scale", path: "/drifts", permission: "tenant.view",
                foresees: { maySettle($0) ? [open] : [] }
            ) { caller, reader in
                maySettle(caller) ? try reader.first(open)?.int("count") ?? 0 : 0
            }
        ],
        operations: [
            AnyOperation(AcceptDrift.self), AnyOperation(DismissDrift.self), AnyOperation(ReopenDrift.self),
        ],
        reads: [list, view],
        entities: [AnyEntityType(Drift.self)],
        pages: [DriftPages.list, DriftPages.view],
        uniqueRules: [
            "drifts_pair": FieldError(
                pointer: "/input/tenant", detail: "This difference was recorded a moment ago; try again.")
        ],
        followers: [DriftFollower.follower])

    private static let open = DriftQueries.openCount(upTo: 100)

    private static func maySettle(_ caller: Caller) -> Bool {
        caller.permissions.contains("drift.dismiss") || caller.permissions.contains("drift.accept")
    }

    private static let list = Read(
        "drift.list", summary: "Control fields that the product says differently, the newest first.", path: "/drifts",
        permission: "tenant.view", parameters: DriftListing.parameters, schema: Drift.schema, isList: true
    ) { call, reader in
        let listing = try DriftListing.load(call, from: reader)
        return .list(listing.items.map(\.document), next: listing.next)
    }

    private static let view = Read(
        "drift.view", summary: "One difference.", path: "/drifts/{id}", permission: "tenant.view",
        schema: Drift.schema, hasVersion: true
    ) { call, reader in
        let drift = try DriftListing.find(call.path["id"] ?? "", from: reader)
        return ReadAnswer(drift.document, version: drift.version)
    }
}
