/// How much harm a mistake does. `high` and `critical` ask for a fresh factor and a justification.
public enum Risk: String, Sendable, Comparable, CaseIterable {
    case low, medium, high, critical
    private var rank: Int { Self.allCases.firstIndex(of: self)! }
    public static func < (a: Risk, b: Risk) -> Bool { a.rank < b.rank }
}

/// A code from the operation's own list, with what it means to a person.
public struct ReasonCode: Sendable, Hashable {
    public let code: String
    public let label: String
    public init(_ code: String, _ label: String) {
        self.code = code
        self.label = label
    }
}

/// The declaration every client of an operation is derived from.
public struct OperationSpec: Sendable {
    public enum Justification: Sendable, Equatable {
        case none
        case optional
        /// At least this many characters.
        case required(atLeast: Int)
    }

    /// An operation that is done to several of its targets, in words.
    public struct Several: Sendable, Hashable {
        /// What the targets are called: `grants`.
        public let noun: String
        /// One sentence: what happens, to whom, said of all of them.
        public let summary: String
        public init(_ noun: String, summary: String) {
            self.noun = noun
            self.summary = summary
        }
    }

    /// `tenant.suspend`: audit action, route tail, CLI words, `operationId`, metric label. Never renamed after release.
    public let name: String
    /// `Suspend tenant`
    public let title: String
    /// One sentence: what happens, to whom.
    public let summary: String
    public let permission: String
    public let risk: Risk
    public let reasonCodes: [ReasonCode]
    /// What the choice among the reason codes asks for, in a form.
    public let reasonTitle: String
    public let justification: Justification
    public let ticketRequired: Bool
    /// `If-Match` must be given (it is honoured everywhere).
    public let requiresIfMatch: Bool
    /// The person types the target's slug (or e-mail) before a destructive confirm.
    public let confirmByTyping: Bool
    /// Does harm to the customer when confirmed: drawn in the danger colour.
    public let isDestructive: Bool
    /// Not offered to people at all: only Postern itself and the product run it (`registry.import_batch`).
    public let systemOnly: Bool
    /// Done as soon as everybody agreed who must, or not at all: nobody has it agreed to now and carried out some day.
    public let isAtOnce: Bool
    /// How it is spoken of where it is done to several of its targets: a list may offer it for several of its rows at once,
    /// each with an event of its own. `nil` where it may not.
    public let several: Several?
    /// Says that something is wrong: its event is an incident, though it changes a row as any other does.
    public let isIncident: Bool

    public init(
        _ name: String, _ title: String, summary: String, permission: String, risk: Risk,
        reasonCodes: [ReasonCode] = [], reasonTitle: String = "Reason",
        justification: Justification? = nil, ticketRequired: Bool = false, requiresIfMatch: Bool = false,
        confirmByTyping: Bool = false, isDestructive: Bool = false, systemOnly: Bool = false,
        isAtOnce: Bool = false, several: Several? = nil, isIncident: Bool = false
    ) {
        self.isIncident = isIncident
        self.isAtOnce = isAtOnce
        self.several = several
        self.name = name
        self.title = title
        self.summary = summary
        self.permission = permission
        self.risk = risk
        self.reasonCodes = reasonCodes
        self.reasonTitle = reasonTitle
        // high and critical always justify (spec: operations §1a)
        self.justification = justification ?? (risk >= .high ? .required(atLeast: 10) : .optional)
        self.ticketRequired = ticketRequired
        self.requiresIfMatch = requiresIfMatch
        self.confirmByTyping = confirmByTyping
        self.isDestructive = isDestructive
        self.systemOnly = systemOnly
    }

    /// `tenant`
    public var noun: String { String(name.prefix { $0 != "." }) }
    /// `suspend`
    public var verb: String { String(name.drop { $0 != "." }.dropFirst()) }
    /// `hard-delete`
    public var verbPath: String { verb.replacing("_", with: "-") }

    /// A reason by its code, as people and programs know it: “Suspended: the legal hold is lifted” (legal_hold_lifted). One that it
    /// does not have is its code alone.
    public func reason(_ code: String) -> String {
        reasonCodes.first { $0.code == code }.map { "“\($0.label)” (\($0.code))" } ?? code
    }

    /// "Revoke 2 grants", "Revoke 1 grant": its title for so many targets; the title as it is where it takes one only.
    public func title(of count: Int) -> String {
        guard let several, let space = title.firstIndex(of: " ") else { return title }
        return "\(title[..<space]) \(count)\(count == 1 ? String(title[space...]) : " \(several.noun)")"
    }
}

/// A named lock taken before anything is decided, beside the target row's own: `spend:tenant:ten_…`, `staff:super_admins`.
public struct Guard: Sendable, Hashable, Comparable {
    public let name: String
    public init(_ name: String) { self.name = name }
    public static func < (a: Guard, b: Guard) -> Bool { a.name.utf8.lexicographicallyPrecedes(b.name.utf8) }
}

/// What approval rules and limits look at. Names are documented with the rules.
public struct Measures: Sendable, Hashable {
    public var values: [String: JSON]
    public init(_ values: [String: JSON] = [:]) { self.values = values }
    public static let none = Measures()
}

/// Nothing beyond the target is read.
public struct NoFacts: Sendable {
    public init() {}
}

/// Fresh values a plan may need. They are made outside `plan`, so that it stays a function of its arguments.
public struct Fresh: Sendable {
    private let seed: [UInt8]
    private let at: Instant
    private let masterKey: MasterKey?
    public init(seed: [UInt8] = SecureRandom.bytes(32), at: Instant, masterKey: MasterKey? = nil) {
        self.seed = seed
        self.at = at
        self.masterKey = masterKey
    }
    /// A secret as it may be stored: sealed under the master key for `context`. The same within one call, so that a plan that
    /// is made again from the same values is the same.
    public func sealed(_ secret: [UInt8], for context: String) throws(Refusal) -> String {
        guard let masterKey else {
            throw .conflict("This program runs without a master key, so it can't keep a secret.")
        }
        let nonce = sha256(Array("nonce:\(context):".utf8) + seed + sha256(secret)).prefix(12)
        return masterKey.seal(secret, context: context, nonce: Array(nonce))
    }
    /// 32 bytes nobody can guess, the same for the same `purpose` within one call.
    public func secret(_ purpose: String) -> [UInt8] { sha256(Array("secret:\(purpose):".utf8) + seed) }
    /// An id for a new entity, the same for the same `slot` within one call.
    public func id(_ prefix: String, slot: Int = 0) -> String {
        Identifier.make(
            prefix, milliseconds: UInt64(at.microseconds / 1000) & 0xFFFF_FFFF_FFFF,
            random: Array(sha256(Array("id:\(prefix):\(slot):".utf8) + seed).prefix(10)))
    }
}

/// Everything a plan may look at.
public struct Call<Op: Operation>: Sendable {
    public let input: Op.Input
    /// The target as locked in this transaction; `nil` for an operation without a target.
    public let target: Op.Target?
    public let facts: Op.Facts
    public let reasonCode: String?
    public let now: Instant
    public let fresh: Fresh
    /// The person who asks.
    public let person: String
    /// Who asks, as the event names them: an account of the person's, or the person.
    public let actor: Actor
    /// The event this plan will be recorded by, should it be carried out: history rows refer to it.
    public let eventID: String
    /// In whose name it is asked, where the person is a part of Postern that does what an outsider says.
    public let mandate: Mandate?

    /// The target; an operation on an existing entity always has one.
    public var before: Op.Target {
        guard let target else { preconditionFailure("\(Op.spec.name) has no target") }
        return target
    }
}

/// A side effect to perform after commit, as data.
public struct Effect: Sendable, Hashable {
    /// `webhook`, `mail`, `billing`.
    public let kind: String
    /// `tenant.suspended`
    public let name: String
    /// One line for the preview: "Webhook tenant.suspended to the endpoints that ask for it".
    public let summary: String
    /// Never a secret; ids only, no personal data.
    public let payload: JSON
    public let tenant: String?
    /// The tenant's version, where the operation leaves the tenant itself as it is.
    public let tenantVersion: Int64?
    /// The id of a changed row, whose new version is sent along as `version`. What is signed for names no versions, so the payload
    /// has none before.
    public let row: String?
    /// The plan itself writes what is sent: the effect is announced and not queued once more.
    public let isWritten: Bool
    public init(
        kind: String, name: String, summary: String, payload: JSON, tenant: String?, tenantVersion: Int64? = nil,
        row: String? = nil, isWritten: Bool = false
    ) {
        self.tenantVersion = tenantVersion
        self.row = row
        self.isWritten = isWritten
        self.kind = kind
        self.name = name
        self.summary = summary
        self.payload = payload
        self.tenant = tenant
    }
}

/// What an answer shows once.
public enum Revealed: Sendable, Hashable {
    /// A page of the console, by its path; the pipeline puts the console's URL before it.
    case page(String)
    /// A secret, as it is.
    case text(String)
}

/// What an operation would do. Pure data: preview, approval, bulk rehearsal and execution look at the same value.
public struct Plan<Target: Entity>: Sendable {
    /// The target's new state (its version is raised by the pipeline); `nil` when the target itself stays as it is.
    public var after: Target?
    /// Other entities, in the same transaction and the same event.
    public var also: [Change]
    /// Carried out before the changes: makes room where a unique value passes from one changed row to another. May touch only
    /// rows that are changed, and nothing of them that is not written again.
    public var firstWrite: [Statement]
    /// Statements for rows that are not entities and not governed (a status history line).
    public var alsoWrite: [Statement]
    public var effects: [Effect]
    /// Sent at once, instead of the effects, where the operation waits for other people: it calls those who could agree.
    public var calls: [Effect]
    /// Unsealed event members: allow-listed codes and counts, never personal data.
    public var facts: [String: JSON]
    /// Sealed event member `details`, with the subjects it is about.
    public var details: (value: JSON, subjects: [String])?
    /// Shown once in the response and stored nowhere: a one-time link.
    public var reveal: [String: Revealed]
    /// One sentence for preview and result: "Acme Robotics is suspended; its 46 members can't sign in."
    public var consequence: String
    /// Records changes by digest in the sealed details instead of one by one (batches of up to 1,000 rows).
    public var recordsDigests: Bool
    /// What the log holds sealed about the target goes with it, the values of this very event too. Its new state MUST be
    /// nobody's data, so that verification can still compare it.
    public var erasesTarget: Bool
    /// Whom it is about, and who sign nothing for it where it waits for other people, whatever they hold (`stf_…`).
    public var barred: [String]

    public init(
        _ after: Target?, also: [Change] = [], firstWrite: [Statement] = [], alsoWrite: [Statement] = [],
        effects: [Effect] = [],
        calls: [Effect] = [], facts: [String: JSON] = [:], details: (value: JSON, subjects: [String])? = nil,
        reveal: [String: Revealed] = [:],
        recordsDigests: Bool = false, erasesTarget: Bool = false, barred: [String] = [], consequence: String
    ) {
        self.after = after
        self.also = also
        self.firstWrite = firstWrite
        self.alsoWrite = alsoWrite
        self.effects = effects
        self.calls = calls
        self.facts = facts
        self.details = details
        self.reveal = reveal
        self.recordsDigests = recordsDigests
        self.erasesTarget = erasesTarget
        self.barred = barred
        self.consequence = consequence
    }
}

/// Why an operation can't be done now: a sentence an operator can act on.
public enum Refusal: Error, Sendable, Hashable {
    /// 409: the state does not allow it.
    case conflict(String, legal: [String]? = nil)
    /// 422: a field is acceptable by itself but not here.
    case field(String, String)
    /// 423: a legal hold or another lock stands.
    case locked(String)
    /// 403: over the caller's limit and no rule covers it.
    case overLimit(String)
    case notFound(String)
}

/// What undo needs to know of the operation that was done.
public struct Done<Op: Operation>: Sendable {
    public let target: String
    public let before: JSON?
    public let after: JSON?
    public let reasonCode: String?
    /// What it changed beside its target.
    public var also: [DoneChange] = []
}

/// A further entity an operation changed, as it was recorded.
public struct DoneChange: Sendable, Hashable {
    public let type: String
    public let id: String
    public let before: JSON?
    public let after: JSON?
    public init(type: String, id: String, before: JSON?, after: JSON?) {
        self.type = type
        self.id = id
        self.before = before
        self.after = after
    }
}

/// Why an operation can't be used on a target right now, and what has to happen first.
public struct Unavailable: Sendable, Hashable {
    /// Stands on the control: "archive it first".
    public let reason: String
    /// The operations that lift it; whoever holds one of them can.
    public let lifting: [String]
    /// What else lifts it, or that nothing does: "The 90 days can't be shortened."
    public let note: String?
    /// There is nothing here it could be used on: a page leaves its control out, where one that is only off now is shown.
    public let isMoot: Bool
    public init(_ reason: String, lifting: [String] = [], note: String? = nil, isMoot: Bool = false) {
        self.reason = reason
        self.lifting = lifting
        self.note = note
        self.isMoot = isMoot
    }
}

/// How an operation is taken back.
public enum Undo: Sendable {
    /// How long, where the deployment has set nothing (spec: operations §1).
    public static let window = Span.hours(24)

    /// Runs the named operation on the same target, with this reason code and input, until the deadline after commit:
    /// the one the deployment has set, or one of the operation's own.
    case run(String, reasonCode: String? = nil, input: JSON = .object([:]), within: Span? = nil)
    /// It can't be, and why.
    case impossible(String)
}

/// One thing staff can do. A caseless enum in its console's folder.
public protocol Operation: Sendable {
    associatedtype Input: OperationInput = NoInput
    associatedtype Target: Entity
    associatedtype Facts: Sendable = NoFacts
    static var spec: OperationSpec { get }
    /// True when the operation creates its target: `POST /tenants` instead of `POST /tenants/{id}/verb`.
    static var creates: Bool { get }
    /// Reads what the plan needs beyond the target. Inside the transaction; reads only.
    static func gather(_ input: Input, _ target: Target?, from reader: any Reader) throws -> Facts
    /// What `gather` will read, as far as it is known before the target is loaded: it then travels with the target's load,
    /// behind its lock. Leaving something out costs a round trip and nothing else.
    static func foresees(_ input: Input, _ target: String?) -> [Statement]
    /// Named locks beyond the target row.
    static func guards(_ input: Input, _ target: String?) -> [Guard]
    /// The same where only a row says which they are: it is read before anything is locked, so that what it is read for MUST
    /// never change.
    static func guards(_ input: Input, _ target: String?, from reader: any Reader) throws -> [Guard]
    /// What approval rules and limits look at.
    static func measures(_ call: Call<Self>) -> Measures
    /// PURE: the after-state, other changes and effects, or why not.
    static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Target>
    static func undo(_ done: Done<Self>) -> Undo
    /// What a request for it is called after while there is no target to name: the address of who is to be invited. Or what it
    /// is called after beside its target, where requests for different things would share one name. `nil` where the target, or
    /// the tenant it is about, says enough.
    static func concerns(_ input: Input) -> String?
    /// That it says so: of the others nobody reads the fields, which may be many, for a name.
    static var declaresConcerns: Bool { get }
    /// Fills the form's fields from the target, where a form edits what is there.
    static func prefill(_ target: Target) -> [String: JSON]
    /// Why the operation can't be used on this target right now, before any field is filled, and who can lift it; `nil`
    /// when it can. The object page shows the control off and says so.
    static func unavailable(_ target: Target, now: Instant) -> Unavailable?
}

extension Operation {
    public static var creates: Bool { false }
    public static func foresees(_ input: Input, _ target: String?) -> [Statement] { [] }
    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [] }
    public static func guards(_ input: Input, _ target: String?, from reader: any Reader) throws -> [Guard] {
        guards(input, target)
    }
    public static func measures(_ call: Call<Self>) -> Measures { .none }
    public static func undo(_ done: Done<Self>) -> Undo { .impossible("This can't be undone.") }
    public static func concerns(_ input: Input) -> String? { nil }
    public static var declaresConcerns: Bool { false }
    public static func prefill(_ target: Target) -> [String: JSON] { [:] }
    public static func unavailable(_ target: Target, now: Instant) -> Unavailable? { nil }
}

extension Operation where Facts == NoFacts {
    public static func gather(_ input: Input, _ target: Target?, from reader: any Reader) throws -> NoFacts {
        NoFacts()
    }
}
