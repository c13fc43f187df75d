import HTML
import Kernel

/// The settings, a page of the API or of the console.
struct PolicySettingListing {
    let items: [PolicySetting]
    let next: String?

    /// In the order of their names; there are few, and a client pages all the same.
    static func load(_ call: ReadCall, from reader: any Reader) throws -> PolicySettingListing {
        let limit = try call.limit()
        let scope = "setting.list"
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(PolicySetting.selectAll(after: after ?? "", limit: limit + 1)).map(
            PolicySetting.init)
        let items = Array(found.prefix(limit))
        return PolicySettingListing(
            items: items,
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    static func find(_ id: String, from reader: any Reader) throws -> PolicySetting {
        guard let setting = try PolicySetting.load(id, from: reader) else {
            throw OperationError.notFound("There is no setting \(id.prefix(60)). The list is at /settings.")
        }
        return setting
    }
}

/// What this deployment is, what it runs with, and the rules its staff set.
public enum SettingsConsole {
    public static func console(_ facts: InstallationFacts) -> Console {
        Console(
            "Settings",
            menu: [.init(.assurance, "Settings", icon: "settings", path: "/settings", permission: "setting.view")],
            operations: [AnyOperation(ChangeSetting.self)],
            reads: [list, view, installation(facts)], entities: [AnyEntityType(PolicySetting.self)],
            pages: [
                SettingsPages.list, SettingsPages.view, SettingsPages.installation(facts),
                SettingsPages.configuration(facts),
            ])
    }

    private static let list = Read(
        "setting.list", summary: "The rules of the deployment that staff set, with what each may be.",
        path: "/settings", permission: "setting.view", parameters: [.limit, .cursor], schema: PolicySetting.schema,
        isList: true
    ) { call, reader in
        let listing = try PolicySettingListing.load(call, from: reader)
        return .list(listing.items.map(\.json), next: listing.next)
    }

    private static let view = Read(
        "setting.view", summary: "One rule of the deployment.", path: "/settings/{id}", permission: "setting.view",
        schema: PolicySetting.schema, hasVersion: true
    ) { call, reader in
        let setting = try PolicySettingListing.find(call.path["id"] ?? "", from: reader)
        return ReadAnswer(setting.json, version: setting.version)
    }

    private static func installation(_ facts: InstallationFacts) -> Read {
        Read(
            "installation.view",
            summary: "What this installation is and runs with; secrets are said to be set and never shown.",
            path: "/installation", permission: "setting.view", schema: InstallationReport.schema
        ) { _, reader in ReadAnswer(try InstallationReport.load(facts, from: reader).json) }
    }
}
