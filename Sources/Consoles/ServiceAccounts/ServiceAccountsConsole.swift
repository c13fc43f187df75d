import HTML
import Kernel

/// What programs of people use the API with.
public enum ServiceAccountsConsole {
    public static let console = Console(
        "Service accounts",
        menu: [
            .init(
                .assurance, "Service accounts", icon: "agent", path: "/service-accounts",
                permission: ServiceAccountListing.viewing)
        ],
        operations: [
            AnyOperation(CreateServiceAccount.self), AnyOperation(RotateServiceAccountToken.self),
            AnyOperation(ChangeServiceAccount.self), AnyOperation(RevokeServiceAccount.self),
        ],
        reads: [list, view],
        entities: [AnyEntityType(ServiceAccount.self)],
        pages: [ServiceAccountPages.list, ServiceAccountPages.view],
        choices: [
            "service_account.create/kind": { _ in
                [
                    Field.Choice("service", "Service", note: "Does what its scopes allow"),
                    Field.Choice("assistant", "Assistant", note: "Reads, and proposes what somebody else agrees to"),
                ]
            },
            "service_account.create/scopes": scopes, "service_account.change/scopes": scopes,
        ],
        specimens: [
            .init("Service accounts", TokenState.allCases.map(\.chip))
        ])

    private static let scopes: @Sendable (any Reader) throws -> [Field.Choice] = { _ in
        AccountScopes.grantable.map { Field.Choice($0.code, $0.title, note: $0.code) }
    }

    private static let list = Read(
        "service_account.list",
        summary:
            "Service accounts and assistants, the newest first: everybody's with service_account.view, else your own. Tokens are never shown.",
        path: "/service-accounts", permission: nil,
        parameters: [ServiceAccountListing.ownerParameter, .limit, .cursor], schema: ServiceAccount.schema, isList: true
    ) { call, reader in
        let listing = try ServiceAccountListing.load(call, from: reader)
        return .list(listing.items.map { $0.json(usedAt: listing.uses[$0.id]) }, next: listing.next)
    }

    private static let view = Read(
        "service_account.view",
        summary: "One service account or assistant: your own, or any with service_account.view.",
        path: "/service-accounts/{id}", permission: nil, schema: ServiceAccount.schema, hasVersion: true
    ) { call, reader in
        let account = try ServiceAccountListing.find(call.path["id"] ?? "", for: call.caller, from: reader)
        return ReadAnswer(
            account.json(usedAt: try ServiceAccount.lastUses(of: [account], from: reader)[account.id]),
            version: account.version)
    }
}
