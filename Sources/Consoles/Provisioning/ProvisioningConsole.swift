import HTML
import Kernel

/// What identity providers tell of staff, and what of it waits for somebody.
public enum ProvisioningConsole {
    public static let console = Console(
        "Provisioning",
        menu: [
            .init(
                .assurance, "Provisioning", icon: "hook", path: "/scim-tokens", permission: ScimTokenListing.viewing)
        ],
        operations: [
            AnyOperation(CreateScimToken.self), AnyOperation(RotateScimToken.self), AnyOperation(RevokeScimToken.self),
            AnyOperation(ProvisionStaff.self), AnyOperation(SyncStaffProfile.self),
            AnyOperation(DeprovisionStaff.self), AnyOperation(ProvisionRole.self), AnyOperation(WithdrawRole.self),
            AnyOperation(AcceptGrant.self), AnyOperation(DismissGrant.self),
        ],
        reads: [tokens, token, grants],
        entities: [
            AnyEntityType(ScimToken.self), AnyEntityType(ScimUser.self), AnyEntityType(PendingGrant.self),
        ],
        pages: [ScimTokenPages.list, ScimTokenPages.view, PendingGrantPages.list],
        uniqueRules: [
            "scim_users_name": FieldError(
                pointer: "/input/user_name", detail: "Somebody with this user name exists already.")
        ],
        choices: ["staff.accept_grant/role": roles, "staff.dismiss_grant/role": roles],
        followers: [PendingGrantFollower.follower],
        specimens: [
            .init("SCIM tokens", TokenState.allCases.map(\.chip)),
            .init("Grants that wait", PendingGrant.State.allCases.map { PendingGrantPages.state($0) }),
        ])

    private static let roles: @Sendable (any Reader) throws -> [Field.Choice] = { _ in
        Seeds.roles.map { Field.Choice($0.id, $0.title, note: $0.summary) }
    }

    private static let tokens = Read(
        "scim_token.list",
        summary: "Tokens of identity providers, the newest first. The tokens themselves are never shown.",
        path: "/scim-tokens", permission: ScimTokenListing.viewing, parameters: [.limit, .cursor],
        schema: ScimToken.schema, isList: true
    ) { call, reader in
        let listing = try ScimTokenListing.load(call, from: reader)
        return .list(listing.items.map { $0.json(usedAt: listing.uses[$0.id]) }, next: listing.next)
    }

    private static let token = Read(
        "scim_token.view", summary: "One token of an identity provider.", path: "/scim-tokens/{id}",
        permission: ScimTokenListing.viewing, schema: ScimToken.schema, hasVersion: true
    ) { call, reader in
        let token = try ScimTokenListing.find(call.path["id"] ?? "", from: reader)
        return ReadAnswer(
            token.json(usedAt: try ScimToken.lastUses(of: [token], from: reader)[token.id]), version: token.version)
    }

    private static let grants = Read(
        "pending_grant.list",
        summary: "Roles that identity providers ask for and that wait for somebody to accept them, the newest first.",
        path: "/pending-grants", permission: "staff.view",
        parameters: [PendingGrantListing.stateParameter, .limit, .cursor], schema: PendingGrant.schema, isList: true
    ) { call, reader in
        let listing = try PendingGrantListing.load(call, from: reader)
        return .list(listing.items.map(\.document), next: listing.next)
    }
}
