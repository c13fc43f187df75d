import Kernel

/// What an identity provider calls somebody who works here. The person is `Staff`; this is the provider's own of them.
public struct ScimUser: Entity, Hashable {
    public static let type = "scim_user"
    public static let idPrefix = "scu"
    public static let table = "scim_users"

    public var id: String
    public var version: Int64
    public var staffID: String
    /// As it was sent.
    public var userName: String
    public var externalID: String?
    public var shownName: String?
    public var formattedName: String?
    public var givenName: String?
    public var familyName: String?
    public var createdAt: Instant
    public var updatedAt: Instant
    /// The provider deleted them: to it they are not here any more.
    public var deletedAt: Instant?

    public init(
        id: String, version: Int64 = 1, staffID: String, profile: ScimProfile, createdAt: Instant, updatedAt: Instant,
        deletedAt: Instant? = nil
    ) {
        self.id = id
        self.version = version
        self.staffID = staffID
        userName = profile.userName
        externalID = profile.externalID
        shownName = profile.displayName
        formattedName = profile.formattedName
        givenName = profile.givenName
        familyName = profile.familyName
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.deletedAt = deletedAt
    }

    /// Compared without case.
    var folded: String { userName.lowercased() }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { shownName ?? userName }
    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "staff_id": .string(staffID),
            "user_name": .string(userName), "user_name_folded": .string(folded), "external_id": JSON(externalID),
            "display_name": JSON(shownName), "formatted_name": JSON(formattedName), "given_name": JSON(givenName),
            "family_name": JSON(familyName), "created_at": JSON(createdAt), "updated_at": JSON(updatedAt),
            "deleted_at": JSON(deletedAt),
        ]
    }
}

/// What a provider tells of a person.
public struct ScimProfile: Sendable, Hashable {
    public var userName: String
    public var email: String
    public var externalID: String?
    public var displayName: String?
    public var formattedName: String?
    public var givenName: String?
    public var familyName: String?

    public init(
        userName: String, email: String, externalID: String? = nil, displayName: String? = nil,
        formattedName: String? = nil, givenName: String? = nil, familyName: String? = nil
    ) {
        self.userName = userName
        self.email = email
        self.externalID = externalID
        self.displayName = displayName
        self.formattedName = formattedName
        self.givenName = givenName
        self.familyName = familyName
    }

    /// As colleagues know them.
    var name: String {
        let parts = [givenName, familyName].compactMap(\.self).joined(separator: " ")
        return String((displayName ?? formattedName ?? (parts.isEmpty ? userName : parts)).prefix(120))
    }
}
