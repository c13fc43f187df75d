import Kernel

/// What a provider tells of a person, as the fields of an operation.
enum ScimFields {
    static func input(_ profile: ScimProfile, isActive: Bool? = nil) -> JSON {
        JSON.members([
            ("user_name", .string(profile.userName)), ("email", .string(profile.email)),
            ("external_id", profile.externalID.map(JSON.string)),
            ("display_name", profile.displayName.map(JSON.string)),
            ("formatted_name", profile.formattedName.map(JSON.string)),
            ("given_name", profile.givenName.map(JSON.string)), ("family_name", profile.familyName.map(JSON.string)),
            ("active", isActive.map(JSON.bool)),
        ])
    }
}

/// A person the identity provider tells of: without any role. They are told that an account waits, and get the link to it from a
/// colleague like everybody who is invited.
public enum ProvisionStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.provision", "Provision person",
        summary: "Creates a person the identity provider tells of, without any role.",
        permission: "scim.configure", risk: .medium, systemOnly: true)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("User name", .length(1...254), help: "What the provider calls them.") public var userName: String
        @Param("E-mail", .email, help: "What they sign in with.") public var email: String
        @Param("External id", .length(1...254), help: "The provider's own id.") public var externalID: String?
        @Param("Display name", .length(1...200), help: "As colleagues know them.") public var displayName: String?
        @Param("Whole name", .length(1...200), help: "As the provider writes it.") public var formattedName: String?
        @Param("Given name", .length(1...120), help: "A part of the name.") public var givenName: String?
        @Param("Family name", .length(1...120), help: "A part of the name.") public var familyName: String?
        @Param("Active", help: "False for somebody who is not to sign in yet.") public var active = true
        public init() {}
    }

    public struct Facts: Sendable {
        let holder: Staff?
        let namesake: ScimUser?
    }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let rows = try reader.query([Staff.withEmail(input.email), ScimUser.called(input.userName)])
        return Facts(
            holder: try rows[0].first.map(Staff.init),
            namesake: try rows[1].map(ScimUser.init).first { $0.deletedAt == nil })
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let input = call.input
        let profile = ScimProfile(
            userName: input.userName, email: input.email, externalID: input.externalID,
            displayName: input.displayName, formattedName: input.formattedName, givenName: input.givenName,
            familyName: input.familyName)
        guard call.facts.holder == nil else {
            throw .field("email", "Somebody with the e-mail \(input.email) exists already.")
        }
        guard call.facts.namesake == nil else {
            throw .field("user_name", "Somebody called \(input.userName) exists already.")
        }
        // Whoever knows the token may have told of them in the provider's place: an account of their own, which is not to sign
        // for them. Who invited them is replaced with the link that a colleague gives them, and this stays.
        let staff = Staff(
            id: call.fresh.id("stf"), email: input.email, name: profile.name,
            status: input.active ? .invited : .deactivated, invitedBy: ScimDoor.person, createdAt: call.now,
            updatedAt: call.now, invitedAt: call.now, resetBy: call.mandate?.holder,
            resetAt: call.mandate == nil ? nil : call.now)
        let user = ScimUser(
            id: call.fresh.id(ScimUser.idPrefix), staffID: staff.id, profile: profile, createdAt: call.now,
            updatedAt: call.now)
        return Plan(
            staff, also: [.create(user)], effects: input.active ? [MailNotice.invitation.effect(to: staff.id)] : [],
            facts: ResetTouch.facts(call.mandate),
            consequence:
                "\(staff.name) is known, holds no role, and \(input.active ? "sets up the account with a link that a colleague sends" : "is not active")."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The identity provider says who is here. Deactivate the account instead.")
    }
}

/// What the provider calls a person has changed, or is told for the first time of somebody who is here already.
public enum SyncStaffProfile: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.sync_profile", "Take over profile",
        summary: "Takes over name and e-mail of a person from the identity provider.",
        permission: "scim.configure", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("User name", .length(1...254), help: "What the provider calls them.") public var userName: String
        @Param("E-mail", .email, help: "What they sign in with.") public var email: String
        @Param("External id", .length(1...254), help: "The provider's own id.") public var externalID: String?
        @Param("Display name", .length(1...200), help: "As colleagues know them.") public var displayName: String?
        @Param("Whole name", .length(1...200), help: "As the provider writes it.") public var formattedName: String?
        @Param("Given name", .length(1...120), help: "A part of the name.") public var givenName: String?
        @Param("Family name", .length(1...120), help: "A part of the name.") public var familyName: String?
        public init() {}
    }

    public struct Facts: Sendable {
        let holder: Staff?
        let namesake: ScimUser?
        let user: ScimUser?
    }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let rows = try reader.query([
            Staff.withEmail(input.email), ScimUser.called(input.userName), ScimUser.of([target?.id ?? ""]),
        ])
        return Facts(
            holder: try rows[0].first.map(Staff.init),
            namesake: try rows[1].map(ScimUser.init).first { $0.deletedAt == nil && $0.staffID != target?.id },
            user: try rows[2].first.map(ScimUser.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let (input, before) = (call.input, call.before)
        let profile = ScimProfile(
            userName: input.userName, email: input.email, externalID: input.externalID,
            displayName: input.displayName, formattedName: input.formattedName, givenName: input.givenName,
            familyName: input.familyName)
        if let holder = call.facts.holder, holder.id != before.id {
            throw .field("email", "Somebody else has the e-mail \(input.email).")
        }
        guard call.facts.namesake == nil else {
            throw .field("user_name", "Somebody else is called \(input.userName).")
        }
        var after = before.touched(at: call.now)
        after.email = profile.email
        after.name = profile.name
        let user: Change
        if let old = call.facts.user {
            var new = ScimUser(
                id: old.id, version: old.version, staffID: before.id, profile: profile, createdAt: old.createdAt,
                updatedAt: old.updatedAt)
            guard new != old || after.email != before.email || after.name != before.name else {
                throw .conflict("Nothing of it would change.")
            }
            new.updatedAt = call.now
            user = .update(old, to: new)
        } else {
            user = .create(
                ScimUser(
                    id: call.fresh.id(ScimUser.idPrefix), staffID: before.id, profile: profile, createdAt: call.now,
                    updatedAt: call.now))
        }
        var changed: [String] = []
        if after.email != before.email { changed.append("email") }
        if after.name != before.name { changed.append("name") }
        return Plan(
            after, also: [user],
            // Whoever has the account would hear of nothing more: what is told of it later goes to the new address.
            effects: after.email == before.email || before.status == .deactivated
                ? [] : [MailNotice.addressChanged.effect(to: before.id)],
            facts: ["changed": .array(changed.map(JSON.string))],
            consequence: changed.isEmpty
                ? "The provider's own names of \(before.name) are taken over."
                : "\(before.name) has another \(changed.joined(separator: " and another ")), as the provider says.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The identity provider says what people are called. Change it there.")
    }
}

/// The provider deactivated a person, or deleted them: whatever they hold ends. To the provider that deleted them they are not here
/// any more; the record stays. It is not `staff.deactivate`, which a rule may hold up: who leaves the company is out at once.
public enum DeprovisionStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.deprovision", "Deprovision person",
        summary:
            "Ends every role, session, account and open request of a person the identity provider deactivated or deleted.",
        permission: "scim.configure", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Deleted", help: "False for somebody whom the provider still knows.") public var deleted = true
        public init() {}
    }

    public struct Facts: Sendable {
        let leaving: Leaving
        let user: ScimUser?
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let id = target?.id ?? ""
        return Facts(
            leaving: try .look(at: id, from: reader),
            user: try reader.first(ScimUser.of([id])).map(ScimUser.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let before = call.before
        guard call.input.deleted else {
            guard before.status != .deactivated else {
                throw .conflict("\(before.name) is deactivated already.", legal: [])
            }
            return try call.facts.leaving.plan(of: before, by: call.person, at: call.now, event: call.eventID)
        }
        guard call.facts.user?.deletedAt == nil else { throw .conflict("The provider deleted them already.") }
        var plan: Plan<Staff>
        if before.status == .deactivated {
            plan = Plan(
                before.touched(at: call.now), consequence: "\(before.name) is not known to the provider any more.")
        } else {
            plan = try call.facts.leaving.plan(of: before, by: call.person, at: call.now, event: call.eventID)
        }
        if let user = call.facts.user {
            var after = user
            after.deletedAt = call.now
            after.updatedAt = call.now
            plan.also.append(.update(user, to: after))
        } else {
            plan.also.append(
                .create(
                    ScimUser(
                        id: call.fresh.id(ScimUser.idPrefix), staffID: before.id,
                        profile: ScimProfile(userName: before.email, email: before.email), createdAt: call.now,
                        updatedAt: call.now, deletedAt: call.now)))
        }
        return plan
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Reactivate the account. Its roles are granted anew, with the signatures that takes.")
    }
}
