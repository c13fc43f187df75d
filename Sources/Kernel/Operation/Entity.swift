/// Something the log knows by type and id: a governed row.
///
/// A conforming type lives in its console's folder, its columns and queries in `…Queries.swift` beside it.
public protocol Entity: Sendable {
    /// `tenant`: the singular noun in action names, events and paths.
    static var type: String { get }
    /// `ten`: the prefix of its ids.
    static var idPrefix: String { get }
    /// The governed table.
    static var table: String { get }

    var id: String { get }
    /// Counts from 1; every change adds 1. It is the strong ETag.
    var version: Int64 { get set }
    /// The tenant this row belongs to, when it belongs to one; a tenant's own id for a tenant.
    var tenantID: String? { get }
    /// The complete public state, as answered by the API and committed to by events. MUST be a function of the row alone,
    /// MUST include `id` and `version`, and MUST NOT hold a secret (a digest of one is fine).
    var document: JSON { get }
    /// Whose personal data the document is (`usr_…`, `stf_…`, `ten_…`): erasing that subject erases it.
    var subjects: [String] { get }
    /// Whether what was known of it is erased, so that nobody would erase what is sealed about it from now on.
    var isErased: Bool { get }
    /// How a person would call it: a tenant's name.
    var displayName: String { get }

    /// Every column of the table by commas, `id` and `version` first, derived ones too: what is written, read back, and
    /// compared by verification.
    static var columns: String { get }
    /// The columns' values. `init` of what was stored and `values` MUST be each other's inverse.
    var values: [Value] { get }
    /// The same for telling what changes, where long texts may stand as they were read; never for whether somebody edited them.
    var valuesAsRead: [Value] { get }
    init(_ row: Row) throws
}

extension Entity {
    public var isErased: Bool { false }
    public var valuesAsRead: [Value] { values }

    public static func load(_ id: String, lock: Bool = false, from reader: any Reader) throws -> Self? {
        try reader.first(select([id], lock: lock, reader.dialect)).map(Self.init)
    }
}

/// One entity's part in a plan: created (`before` nil) or changed. Nothing governed is ever removed: what ends keeps a row
/// that says so.
public struct Change: Sendable {
    public let before: (any Entity)?
    public let after: any Entity
    /// Set where the row and the log disagree: the version the row really has.
    private let stored: StoredVersion?

    private enum StoredVersion: Sendable {
        case absent
        case version(Int64)
    }

    public init(before: (any Entity)?, after: any Entity) {
        self.before = before
        self.after = after
        stored = nil
    }

    /// Settles a row that is not what the log says: it is written with the version `after` has, whatever `before` was.
    /// - Parameters:
    ///   - before: what the event calls the state before: what the log said, or what the row was.
    ///   - version: the version of the row that stands in the table; `nil` when there is none.
    public init(settling before: (any Entity)?, after: any Entity, storedVersion version: Int64?) {
        self.before = before
        self.after = after
        stored = version.map(StoredVersion.version) ?? .absent
    }

    /// The change with the next version, which is given here and nowhere else.
    var versioned: Change {
        guard stored == nil else { return self }
        var after = after
        after.version = (before?.version ?? 0) + 1
        return Change(before: before, after: after)
    }

    public static func create(_ entity: any Entity) -> Change { Change(before: nil, after: entity) }
    public static func update(_ before: any Entity, to after: any Entity) -> Change {
        Change(before: before, after: after)
    }

    public var type: String { Swift.type(of: after).type }
    public var id: String { after.id }

    /// The statements that carry this change out.
    var statements: [Statement] {
        switch stored {
        case .version(let version): after.update(expecting: version)
        case .absent: after.insert()
        case nil: before.map { after.update(over: $0) } ?? after.insert()
        }
    }
}
