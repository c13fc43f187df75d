import Consoles
import Kernel

/// Where the story gives somebody power for a while: an emergency that is over and looked at, programs that act for people, and the
/// company's directory, which asks for a role.
extension DemoStory {
    /// At night one opens the door and another agrees; a third looks at it in the morning.
    func emergency(
        on tenant: String, by opener: DemoAccount, with second: DemoAccount, reviewedBy third: DemoAccount
    ) async throws {
        at(26, hour: 3, minute: 12)
        try await run(
            "breakglass.open", ["tenant": .string(tenant)], reason: "locked_out",
            "The night shift can't sign in and none of their admins answers; the wards work on paper.",
            ticket: "INC-88", by: opener, signedBy: second, after: .minutes(1),
            "Spoke to her on the phone, and their duty manager called us too.")
        at(26, hour: 3, minute: 16)
        try await run(
            "tenant.update", on: tenant, ["metadata": ["on_call": "duty manager, extension 4400"]],
            ifMatch: try await version(of: tenant),
            "So that we reach somebody the next time.", ticket: "INC-88", by: opener)
        let session = try await only(BreakGlass.self)
        at(26, hour: 3, minute: 36)
        try await run("breakglass.end", on: session, .object([:]), "Their sign-in works again.", by: opener)
        at(26, hour: 9, minute: 40)
        try await run(
            "breakglass.review", on: session,
            [
                "verdict": "findings", "follow_up": "OPS-1211",
                "findings":
                    "Right to open it, and nothing was done that was not needed. The certificate of their identity provider had run out: renewals are to be on the calendar.",
            ], "Read every event of it with the log of the night shift.", by: third)
    }

    /// The directory tells who works here, and two programs begin to work: one that reads, one that proposes.
    func connections(jonas: DemoAccount, samir: DemoAccount, hana: DemoAccount) async throws {
        at(15, hour: 10)
        try await run(
            "scim_token.create", ["name": "Company directory"],
            "Joiners and leavers come from the directory from this month on.", by: jonas, signedBy: hana,
            "As decided with the people team.")
        at(15, hour: 10, minute: 2)
        try await run(
            "service_account.create", ["kind": "service", "name": "Log to the SIEM", "scopes": ["audit.view"]],
            "The SIEM reads the log every five minutes and nothing else.", by: samir, signedBy: hana,
            "It reads, and no more.")
        at(15, hour: 10, minute: 4)
        try await run(
            "service_account.create",
            [
                "kind": "assistant", "name": "Triage assistant",
                "scopes": ["tenant.view", "user.view", "tenant.set_note"],
            ], "Sorts what support writes and proposes notes; one of us agrees to each.", by: hana, signedBy: samir,
            "Proposals only, so a trial is fine.")
    }

    /// It waits: a provider gives nobody power.
    func roleFromDirectory() async throws {
        at(2, hour: 9, minute: 10)
        let keiko = try await running.database.read { reader in
            try reader.query(Staff.selectAll(after: "", limit: 100)).map(Staff.init)
                .first { $0.email == "keiko.t@northwind.example" }?.id
        }
        let token = try await running.database.read { reader in
            try reader.first(ScimToken.selectAll(after: "", limit: 1)).map(ScimToken.init)
        }
        _ = try await running.applied(
            ProvisionRole.spec.name, on: keiko, ["role": "head_of_cs"], by: .system(ScimDoor.person),
            mandate: token.map { Mandate(token: $0.id, holder: $0.createdBy) })
    }

    /// The one there is by now.
    private func only<E: Entity>(_ type: E.Type) async throws -> String {
        try await running.database.read { try $0.first(E.selectAll(after: "", limit: 1))?.string("id") } ?? ""
    }
}
