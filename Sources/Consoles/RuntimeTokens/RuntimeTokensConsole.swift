import HTML
import Kernel

/// The keys products hold.
public enum RuntimeTokensConsole {
    public static let console = Console(
        "Runtime tokens",
        menu: [
            .init(
                .assurance, "Runtime tokens", icon: "lock", path: "/runtime-tokens", permission: "runtime_token.view")
        ],
        operations: [AnyOperation(CreateRuntimeToken.self), AnyOperation(RevokeRuntimeToken.self)],
        reads: [list, view],
        entities: [AnyEntityType(RuntimeToken.self)],
        pages: [RuntimeTokenPages.list, RuntimeTokenPages.view],
        choices: [
            "runtime_token.create/scopes": { _ in
                RuntimeScope.allCases.map {
                    Field.Choice($0.rawValue, titled($0.rawValue), note: RuntimeTokenPages.summary($0))
                }
            }
        ],
        specimens: [
            .init("Runtime tokens", TokenState.allCases.map(\.chip))
        ])

    private static let list = Read(
        "runtime_token.list",
        summary: "Tokens of the runtime listener, the newest first. The tokens themselves are never shown.",
        path: "/runtime-tokens", permission: "runtime_token.view", parameters: [.limit, .cursor],
        schema: RuntimeToken.schema, isList: true
    ) { call, reader in
        let listing = try RuntimeTokenListing.load(call, from: reader)
        return .list(listing.items.map { $0.json(usedAt: listing.uses[$0.id]) }, next: listing.next)
    }

    private static let view = Read(
        "runtime_token.view", summary: "One token of the runtime listener.", path: "/runtime-tokens/{id}",
        permission: "runtime_token.view", schema: RuntimeToken.schema, hasVersion: true
    ) { call, reader in
        let token = try RuntimeTokenListing.find(call.path["id"] ?? "", from: reader)
        return ReadAnswer(
            token.json(usedAt: try RuntimeToken.lastUses(of: [token], from: reader)[token.id]), version: token.version)
    }
}
