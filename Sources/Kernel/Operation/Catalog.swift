/// An operation without its types: what the pipeline and every client work with. Built by `AnyOperation(SuspendTenant.self)`.
public struct AnyOperation: Sendable {
    public let spec: OperationSpec
    public let creates: Bool
    public let targetType: String
    public let targetPrefix: String
    /// `tenants`
    public let targetPlural: String
    public let fields: @Sendable () -> [ParamField]
    let parse: @Sendable (JSON) throws(InvalidFields) -> any OperationInput
    let foresees: @Sendable (any OperationInput, String?) -> [Statement]
    let guards: @Sendable (any OperationInput, String?, any Reader) throws -> [Guard]
    /// Reads the target's row and locks it until the end of the transaction.
    let selectLocked: @Sendable (String, Dialect) -> Statement
    /// Loads the target unless its row was read already, gathers and plans.
    let rehearse: @Sendable (Rehearsal, any Reader) throws -> Rehearsed
    let undo: @Sendable (UndoQuestion) -> Undo
    /// What a request with these fields is called after; `nil` too where they are none of this operation by now.
    public let concerns: @Sendable (JSON) -> String?
    public let declaresConcerns: Bool
    public let prefill: @Sendable (any Entity) -> [String: JSON]
    public let unavailable: @Sendable (any Entity, Instant) -> Unavailable?

    struct Rehearsal: Sendable {
        let operation: String
        let input: any OperationInput
        let targetID: String?
        /// The row that was read and locked, or that there is none; `nil` leaves the reading to the rehearsal.
        let stored: Row??
        let reasonCode: String?
        let caller: Caller
        let eventID: String
        let fresh: Fresh
        let ifMatch: Int64?
        /// The clock reading to plan with; `nil`: the transaction's.
        var now: Instant?
        /// `nil` where no passkey can be used.
        var signing: Signing?
        /// Nobody set the clock: what has waited for its time may be carried out at once.
        let isClockTrusted: Bool
        let records: any Records
        let directory: any Directory
    }

    /// A plan with its types erased.
    struct Rehearsed {
        var target: (any Entity)?
        var plan: ErasedPlan?
        var refusal: Refusal?
        var measures: Measures
    }

    struct ErasedPlan {
        /// The target's change first, when there is one.
        var changes: [Change]
        var firstWrite: [Statement]
        var alsoWrite: [Statement]
        var effects: [Effect]
        var calls: [Effect]
        var facts: [String: JSON]
        var details: (value: JSON, subjects: [String])?
        var reveal: [String: Revealed]
        var consequence: String
        var recordsDigests: Bool
        var erasesTarget: Bool
        var barred: [String]

        init<Target: Entity>(_ plan: Plan<Target>, of target: Target?) {
            // Versions are raised here and in `append`, and nowhere else.
            changes = plan.also.map(\.versioned)
            if var after = plan.after {
                after.version = (target?.version ?? 0) + 1
                changes.insert(Change(before: target, after: after), at: 0)
            }
            firstWrite = plan.firstWrite
            alsoWrite = plan.alsoWrite
            effects = plan.effects
            calls = plan.calls
            facts = plan.facts
            details = plan.details
            reveal = plan.reveal
            consequence = plan.consequence
            recordsDigests = plan.recordsDigests
            erasesTarget = plan.erasesTarget
            barred = plan.barred
        }

        /// Changes that follow from those that were planned.
        mutating func append(_ following: [Change]) { changes += following.map(\.versioned) }
    }

    struct UndoQuestion: Sendable {
        let target: String
        let before: JSON?
        let after: JSON?
        let reasonCode: String?
        var also: [DoneChange] = []
    }

    public init<Op: Operation>(_ operation: Op.Type) {
        spec = Op.spec
        creates = Op.creates
        targetType = Op.Target.type
        targetPrefix = Op.Target.idPrefix
        targetPlural = Op.Target.table
        fields = { Op.Input().fields }
        parse = { json throws(InvalidFields) in try Op.Input.parse(json) }
        foresees = { input, target in Op.foresees(input as! Op.Input, target) }
        guards = { input, target, reader in try Op.guards(input as! Op.Input, target, from: reader) }
        selectLocked = { id, dialect in Op.Target.select([id], lock: true, dialect) }
        concerns = { json in (try? Op.Input.parse(json)).flatMap { Op.concerns($0) } }
        declaresConcerns = Op.declaresConcerns
        prefill = { entity in (entity as? Op.Target).map(Op.prefill) ?? [:] }
        unavailable = { entity, now in (entity as? Op.Target).flatMap { Op.unavailable($0, now: now) } }
        undo = { question in
            // The request that led to it is no part of what the operation did.
            Op.undo(
                Done(
                    target: question.target, before: question.before, after: question.after,
                    reasonCode: question.reasonCode, also: question.also.filter { $0.type != ApprovalRequest.type }))
        }
        rehearse = { rehearsal, reader in
            let input = rehearsal.input as! Op.Input
            let target = try Self.target(Op.Target.self, of: rehearsal, from: reader)
            // The noun is the target's; what runs without one is named for something else.
            if target == nil, !Op.creates, Op.spec.noun == Op.Target.type {
                throw OperationError.notFound("\(Op.spec.name) needs the \(Op.Target.type) it is done to.")
            }
            let facts = try Op.gather(input, target, from: reader)
            let call = Call<Op>(
                input: input, target: target, facts: facts, reasonCode: rehearsal.reasonCode,
                now: rehearsal.now ?? reader.now, fresh: rehearsal.fresh, person: rehearsal.caller.person,
                actor: rehearsal.caller.actor, eventID: rehearsal.eventID, mandate: rehearsal.caller.mandate)
            var rehearsed = Rehearsed(target: target, plan: nil, refusal: nil, measures: Op.measures(call))
            do throws(Refusal) {
                rehearsed.plan = ErasedPlan(try Op.plan(call), of: target)
            } catch {
                rehearsed.refusal = error
            }
            return rehearsed
        }
    }

    /// An operation of the kernel's own on something that exists, without fields: its plan looks at who asks and at rows
    /// that only the kernel knows.
    init<Target: Entity>(
        spec: OperationSpec, of target: Target.Type,
        plan: @escaping @Sendable (Rehearsal, Target, any Reader) throws -> Plan<Target>,
        undo: @escaping @Sendable () -> String,
        unavailable: @escaping @Sendable (Target, Instant) -> Unavailable?
    ) {
        self.spec = spec
        creates = false
        targetType = Target.type
        targetPrefix = Target.idPrefix
        targetPlural = Target.table
        fields = { NoInput().fields }
        parse = { json throws(InvalidFields) in try NoInput.parse(json) }
        foresees = { _, _ in [] }
        selectLocked = { id, dialect in Target.select([id], lock: true, dialect) }
        guards = { _, _, _ in [] }
        concerns = { _ in nil }
        declaresConcerns = false
        prefill = { _ in [:] }
        self.unavailable = { entity, now in (entity as? Target).flatMap { unavailable($0, now) } }
        self.undo = { _ in .impossible(undo()) }
        rehearse = { rehearsal, reader in
            guard let target = try Self.target(Target.self, of: rehearsal, from: reader) else {
                throw OperationError.notFound("\(spec.name) needs the \(Target.type) it is done to.")
            }
            var rehearsed = Rehearsed(target: target, plan: nil, refusal: nil, measures: .none)
            do {
                rehearsed.plan = ErasedPlan(try plan(rehearsal, target, reader), of: target)
            } catch let refusal as Refusal {
                rehearsed.refusal = refusal
            }
            return rehearsed
        }
    }

    /// The row the operation is done to, locked if it is to be; `nil` where none is named.
    private static func target<Target: Entity>(
        _ type: Target.Type, of rehearsal: Rehearsal, from reader: any Reader
    ) throws -> Target? {
        guard let id = rehearsal.targetID else { return nil }
        let found =
            if let stored = rehearsal.stored { try stored.map(Target.init) } else { try Target.load(id, from: reader) }
        guard let target = found else { throw OperationError.notFound("There is no \(Target.type) \(id).") }
        if let expected = rehearsal.ifMatch, expected != target.version {
            throw OperationError.preconditionFailed(current: target.version)
        }
        return target
    }

    /// How what this did to `target` is taken back; `before` and `after` are the target's documents as recorded.
    public func inverse(
        target: String, before: JSON?, after: JSON?, reasonCode: String?, also: [DoneChange] = []
    ) -> Undo {
        undo(UndoQuestion(target: target, before: before, after: after, reasonCode: reasonCode, also: also))
    }
}

/// A row as it stands in a governed table, readable or not.
public struct StoredRow: Sendable {
    public let row: Row
    /// `nil` when the columns are none of an entity.
    public let entity: (any Entity)?
    /// Columns that are not as they would be stored.
    public let edited: [String]
}

/// An entity type without its type: loading by id for verification and undo.
public struct AnyEntityType: Sendable {
    public let type: String
    public let table: String
    public let idPrefix: String
    public let load: @Sendable (_ id: String, _ lock: Bool, any Reader) throws -> (any Entity)?
    /// Rows in id order after `cursor`, and which columns of each are not as they would be stored.
    public let page:
        @Sendable (_ cursor: String, _ limit: Int, any Reader) throws -> [(entity: any Entity, edited: [String])]

    /// What people call each of these. One that is gone, or can't be read, has no name: it takes no list with it.
    public let displayNames: @Sendable (_ ids: [String], any Reader) throws -> [String: String]

    /// One row, even when it can't be read as an entity.
    public let stored: @Sendable (_ id: String, any Reader) throws -> StoredRow?
    /// The entity whose document this is. Columns the document says nothing of, such as a secret, are taken from the
    /// stored row. `nil` when the outcome would have another document.
    public let restored: @Sendable (_ document: JSON, _ stored: Row?) -> (any Entity)?

    public init<E: Entity>(_ entity: E.Type) {
        let names = E.columnNames
        displayNames = { ids, reader in
            guard !ids.isEmpty else { return [:] }
            var found: [String: String] = [:]
            for row in try reader.query(E.select(ids, lock: false, reader.dialect)) {
                do {
                    let entity = try E(row)
                    found[entity.id] = entity.displayName
                } catch StoreError.shape {}
            }
            return found
        }
        stored = { id, reader in
            try reader.first(E.select([id], lock: false, reader.dialect)).map { row in
                let entity = try? E(row)
                return StoredRow(row: row, entity: entity, edited: entity?.columnsEdited(in: row, names) ?? [])
            }
        }
        restored = { document, stored in
            let values = names.map { name -> Value in
                switch document[name] {
                case nil: stored?[name] ?? .null
                case .null: .null
                case .bool(let value): Value(value)
                case .int(let value): .int(value)
                case .string(let text): Instant(exactly: text).map { .int($0.microseconds) } ?? .text(text)
                case .decimal(let text): .text(text)
                case .array, .object: .text(document[name]!.canonicalText)
                }
            }
            guard let entity = try? E(Row(columns: ColumnIndex(names), values: values)), entity.document == document
            else { return nil }
            return entity
        }
        type = E.type
        table = E.table
        idPrefix = E.idPrefix
        load = { id, lock, reader in try E.load(id, lock: lock, from: reader) }
        page = { cursor, limit, reader in
            try reader.query(E.selectAll(after: cursor, limit: limit)).map { row in
                let entity = try E(row)
                return (entity, entity.columnsEdited(in: row, names))
            }
        }
    }
}

/// Every operation, read and entity of the deployment: what clients and laws enumerate.
public struct Catalog: Sendable {
    public let operations: [AnyOperation]
    public let reads: [Read]
    public let entities: [AnyEntityType]
    /// What a violated unique rule means to the person who typed the value, by index name.
    public let uniqueRules: [String: FieldError]
    /// Reads the filters of the audit log as people type them: the export takes those of the list.
    public let eventFilter: (@Sendable (ReadCall, any Reader) throws -> EventFilter)?
    /// What leaves as a package of evidence.
    public let evidence: [EvidenceSource]
    public let followers: [Follower]
    /// Those of effects that somebody hears of who asks for them, or heard of, where they were queued already; `nil`: all of
    /// them.
    public let reaching: (@Sendable ([Effect], Queuing?, any Reader) throws -> [Effect])?
    private let risks: [String: Risk]
    private let byName: [String: AnyOperation]
    private let entityByType: [String: AnyEntityType]

    /// Names must be unique; a duplicate is a programming error found at start.
    /// - Parameter risks: of each permission.
    public init(
        operations: [AnyOperation], reads: [Read], entities: [AnyEntityType], uniqueRules: [String: FieldError] = [:],
        eventFilter: (@Sendable (ReadCall, any Reader) throws -> EventFilter)? = nil, evidence: [EvidenceSource] = [],
        followers: [Follower] = [],
        reaching: (@Sendable ([Effect], Queuing?, any Reader) throws -> [Effect])? = nil, risks: [String: Risk] = [:]
    ) {
        self.risks = risks
        self.reaching = reaching
        self.evidence = evidence
        self.followers = followers
        self.eventFilter = eventFilter
        self.uniqueRules = uniqueRules
        self.operations = operations.sorted { $0.spec.name < $1.spec.name }
        self.reads = reads
        self.entities = entities
        byName = Dictionary(uniqueKeysWithValues: operations.map { ($0.spec.name, $0) })
        entityByType = Dictionary(uniqueKeysWithValues: entities.map { ($0.type, $0) })
    }

    public subscript(name: String) -> AnyOperation? { byName[name] }
    /// What a permission is declared as; one that nobody declared counts as high.
    public func risk(of permission: String) -> Risk { risks[permission] ?? .high }
    public func entity(_ type: String) -> AnyEntityType? { entityByType[type] }
    /// Operations on a type of target, in name order.
    public func operations(on type: String) -> [AnyOperation] { operations.filter { $0.targetType == type } }

    /// Every permission code any operation or read asks for, sorted.
    public var permissions: [String] {
        Array(
            Set(
                operations.map(\.spec.permission) + reads.compactMap(\.permission)
                    + reads.compactMap(\.export?.permission) + evidence.map(\.permission))
        )
        .sorted()
    }
}
