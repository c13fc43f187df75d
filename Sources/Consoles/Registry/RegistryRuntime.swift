import Kernel

/// How the product tells of its customers and users (docs/connecting-your-saas.md).
///
/// Putting the same again changes nothing and writes no event, so what is put is looked at first; between the look and
/// the write another word may come, and then both are taken again. What came with a key before gets its answer again.
enum RegistryRuntime {
    static let endpoints: [RuntimeEndpoint] = [
        RuntimeEndpoint(
            .get, "/tenants/{external_id}", name: "getTenant", summary: "A tenant as it is here.", scope: .registry,
            answerSchema: Tenant.schema
        ) { call throws(OperationError) in
            try await tenant(call)
        },
        RuntimeEndpoint(
            .put, "/tenants/{external_id}", name: "putTenant",
            summary: "Registers a tenant, or changes what the product says of it.", scope: .registry, body: .object,
            bodySchema: RegistrySchema.tenant, answerSchema: RegistrySchema.put("tenant", Tenant.schema)
        ) { call throws(OperationError) in
            let id = call.path["external_id"] ?? ""
            let row: RegistryRow = try record(call.body, naming: ("external_id", id)) { TenantRecord.read(&$0) }
            let input = JSON.members([("tenant", row.json), ("version", call.ifMatch.map(JSON.int))])
            var put = try await put(.tenant(row), PutTenant.spec.name, input, call)
            if let waiting = put.waiting { return waiting }
            try await RegistrySignals.follow(
                [.tenant(row)], told: put.storedAt, by: call.caller, through: call.pipeline)
            // What followed was in the answer too.
            let isSeen = row.lastActivityAt != nil || row.members.contains { $0.lastLoginAt != nil }
            if row.onboarding != nil || isSeen { put.after = nil }
            return try await RegistryRuntime.tenant(call, put)
        },
        RuntimeEndpoint(
            .get, "/users/{external_id}", name: "getUser", summary: "A user as they are here.", scope: .registry,
            answerSchema: User.schema
        ) { call throws(OperationError) in
            try await user(call)
        },
        RuntimeEndpoint(
            .put, "/users/{external_id}", name: "putUser",
            summary: "Registers a user, or changes what the product says of them.", scope: .registry, body: .object,
            bodySchema: RegistrySchema.user, answerSchema: RegistrySchema.put("user", User.schema)
        ) { call throws(OperationError) in
            let id = call.path["external_id"] ?? ""
            let user: RegistryUser = try record(call.body, naming: ("external_id", id)) { RegistryUser(&$0) }
            let input = JSON.members([("user", user.json), ("version", call.ifMatch.map(JSON.int))])
            let put = try await put(.user(user), PutUser.spec.name, input, call)
            if let waiting = put.waiting { return waiting }
            try await RegistrySignals.follow(
                [.user(user)], told: put.storedAt, by: call.caller, through: call.pipeline)
            return try await RegistryRuntime.user(call, put)
        },
        RuntimeEndpoint(
            .put, "/tenants/{external_id}/members/{user}", name: "putMember",
            summary: "Makes a user a member of a tenant, or changes their role.", scope: .registry, body: .object,
            bodySchema: RegistrySchema.member, answerSchema: RegistrySchema.memberPut
        ) { call throws(OperationError) in
            let member = try member(call, call.body)
            let put = try await put(.member(member), PutMember.spec.name, ["member": member.json], call)
            if let waiting = put.waiting { return waiting }
            return RuntimeAnswer(
                .object([
                    "outcome": .string(put.result.rawValue), "tenant": .string(member.tenant),
                    "user": .string(member.user), "event_id": JSON(put.event),
                ]), isCreated: put.result == .created, isReplayed: put.isReplayed)
        },
        RuntimeEndpoint(
            .delete, "/tenants/{external_id}/members/{user}", name: "removeMember",
            summary: "Ends a membership; one that has ended stays so.", scope: .registry
        ) { call throws(OperationError) in
            var member = try member(call, [:])
            member.status = .revoked
            let input: JSON = ["member": ["tenant": .string(member.tenant), "user": .string(member.user)]]
            let put = try await put(.member(member), RemoveMember.spec.name, input, call)
            return put.waiting ?? RuntimeAnswer(.nothing, isReplayed: put.isReplayed)
        },
        RuntimeEndpoint(
            .post, "/batches", name: "putBatch",
            summary: "Takes up to 1,000 tenants, users and memberships in their order, and answers for each.",
            scope: .registry, body: .lines(atMost: 8 << 20), bodySchema: RegistrySchema.record,
            answerSchema: RegistrySchema.outcome
        ) { call throws(OperationError) in
            try await batch(call)
        },
    ]

    // MARK: Reading what came

    /// The record of a body, whose id stands in the address.
    private static func record<Record>(
        _ body: [String: JSON], naming name: (member: String, value: String),
        _ read: (inout RecordReader) -> Record
    ) throws(OperationError) -> Record {
        var members = body
        if let told = body[name.member], told != .string(name.value) {
            throw .invalid([
                FieldError(
                    pointer: "/\(name.member)",
                    detail: "\(name.member) must be the one in the address, \"\(name.value)\", or be left out.")
            ])
        }
        members[name.member] = .string(name.value)
        var reader = RecordReader(members)
        let record = read(&reader)
        guard reader.problems.isEmpty else { throw .invalid(errors(reader.problems)) }
        return record
    }

    private static func errors(_ problems: [RecordReader.Problem]) -> [FieldError] {
        problems.map { FieldError(pointer: "/\($0.member)", detail: "The record \($0.reason)") }
    }

    private static func member(_ call: RuntimeCall, _ body: [String: JSON]) throws(OperationError) -> RegistryMember {
        for name in ["tenant", "user"] where body[name] != nil {
            throw .invalid([FieldError(pointer: "/\(name)", detail: "\(name) stands in the address; leave it out.")])
        }
        var members = body
        members["tenant"] = .string(call.path["external_id"] ?? "")
        members["user"] = .string(call.path["user"] ?? "")
        var reader = RecordReader(members)
        let member = RegistryMember(&reader)
        guard reader.problems.isEmpty else { throw .invalid(errors(reader.problems)) }
        return member
    }

    // MARK: Putting one

    private struct Put: Sendable {
        var result: RegistryBatch.Result
        var drift: [Drift.Field]
        var event: String?
        /// What a repeated request left behind the first time.
        var after: JSON?
        /// It waits for people: nothing was put.
        var pending: PendingApproval?
        var isReplayed = false
        /// When the product was answered this the first time.
        var storedAt: Instant?

        init(result: RegistryBatch.Result, drift: [Drift.Field]) {
            self.result = result
            self.drift = drift
        }

        /// What it was told then stands with the outcome.
        init(_ outcome: Outcome) {
            result = outcome.answer?["outcome"]?.string.flatMap(RegistryBatch.Result.init) ?? .unchanged
            drift = outcome.answer?["drift"]?.array?.compactMap { $0.string.flatMap(Drift.Field.init) } ?? []
            isReplayed = outcome.replayed
            storedAt = outcome.storedAt
            switch outcome.result {
            case .pending(let waiting): pending = waiting
            case .applied(let applied):
                event = applied.eventID.isEmpty ? nil : applied.eventID
                after = outcome.replayed ? applied.after : nil
            }
        }

        /// What is answered instead of what was put.
        var waiting: RuntimeAnswer? { pending.map { RuntimeAnswer(.pending($0), isReplayed: isReplayed) } }

        var answer: JSON {
            ["outcome": .string(result.rawValue), "drift": .array(drift.map { .string($0.rawValue) })]
        }
    }

    /// What a record would come to, or why it can't be taken.
    private enum Look: Sendable {
        case outcome(RegistryBatch.Result, drift: [Drift.Field], changes: Int)
        case problem(RegistryBatch.Problem)
    }

    private static let tries = 3

    private static func put(
        _ record: RegistryRecord, _ operation: String, _ input: JSON, _ call: RuntimeCall
    ) async throws(OperationError) -> Put {
        var request = OperationRequest(operation: operation, input: input, idempotencyKey: call.idempotencyKey)
        if let before = try await call.pipeline.outcome(of: request, by: call.caller) { return Put(before) }
        var tried = 0
        while true {
            tried += 1
            switch try await look(record, call) {
            case .problem(let problem): throw refusal(problem)
            case .outcome(let result, let drift, let changes):
                let put = Put(result: result, drift: drift)
                request.answer = put.answer
                if changes == 0 {
                    // A twin of this request that came before it has its answer.
                    let known = try await call.pipeline.keepUnchanged(request, by: call.caller)
                    return known.map(Put.init) ?? put
                }
            }
            do throws(OperationError) {
                return Put(try await call.pipeline.run(request, by: call.caller))
            } catch {
                // Somebody told of the same meanwhile; what it comes to now is looked at again.
                switch error {
                case .conflict, .invalid:
                    guard tried < tries else { throw error }
                default: throw error
                }
            }
        }
    }

    private static func look(_ record: RegistryRecord, _ call: RuntimeCall) async throws(OperationError) -> Look {
        try await reading(call) { reader -> Look in
            let (batch, problems) = try RegistryBatch.rehearse([record], for: call.caller.person, in: reader)
            if let problem = problems.first { return .problem(problem) }
            if call.ifMatch != nil { try VersionCheck.check(call.ifMatch, try version(of: record, in: reader)) }
            let outcome = batch.outcomes[0]
            return .outcome(outcome?.result ?? .unchanged, drift: outcome?.drift ?? [], changes: batch.changes.count)
        }
    }

    private static func version(of record: RegistryRecord, in reader: any Reader) throws -> Int64? {
        switch record {
        case .tenant(let row):
            try reader.first(TenantQueries.tenants(by: .externalID, [row.externalID]))?.int("version")
        case .user(let user):
            try reader.first(UserQueries.users(by: .externalID, [user.externalID]))?.int("version")
        case .member: nil
        }
    }

    private static func refusal(_ problem: RegistryBatch.Problem) -> OperationError {
        if problem.isMissing {
            return .notFound("The \(problem.column) in the address \(problem.sentence)")
        }
        return .invalid([fieldError(problem)])
    }

    private static func reading<T: Sendable>(
        _ call: RuntimeCall, _ body: @escaping @Sendable (any Reader) throws -> T
    ) async throws(OperationError) -> T {
        // What is only looked at to decide is shown to nobody.
        try await call.pipeline.read(nil, by: call.caller) { reader in (try body(reader), nil) }
    }

    // MARK: Answering with what is there

    private static func tenant(_ call: RuntimeCall, _ put: Put? = nil) async throws(OperationError) -> RuntimeAnswer {
        let id = call.path["external_id"] ?? ""
        if let put, let after = put.after, let version = after["version"]?.int, after["slug"] != nil {
            return answer(put, "tenant", after, version: version)
        }
        let tenant: Tenant = try await call.pipeline.read("tenant.view", by: call.caller) { reader in
            guard let row = try reader.first(TenantQueries.tenants(by: .externalID, [id])) else {
                throw OperationError.notFound("There is no tenant with the external id \"\(id.prefix(128))\".")
            }
            let tenant = try Tenant(row)
            // An answer to what was put holds what the event holds.
            return (
                tenant,
                put == nil
                    ? Disclosure(
                        "tenant.view", target: ("tenant", tenant.id), tenant: tenant.id, count: 1, ids: [tenant.id])
                    : nil
            )
        }
        guard let put else { return RuntimeAnswer(.object(tenant.document), version: tenant.version) }
        return answer(put, "tenant", tenant.document, version: tenant.version)
    }

    private static func answer(_ put: Put, _ name: String, _ document: JSON, version: Int64) -> RuntimeAnswer {
        var members: [String: JSON] = [
            "outcome": .string(put.result.rawValue), name: document, "event_id": JSON(put.event),
        ]
        if name == "tenant" { members["drift"] = .array(put.drift.map { .string($0.rawValue) }) }
        return RuntimeAnswer(
            .object(.object(members)), isCreated: put.result == .created, version: version, isReplayed: put.isReplayed)
    }

    private static func user(_ call: RuntimeCall, _ put: Put? = nil) async throws(OperationError) -> RuntimeAnswer {
        let id = call.path["external_id"] ?? ""
        if let put, let after = put.after, let version = after["version"]?.int, after["email"] != nil {
            return answer(put, "user", after, version: version)
        }
        let user: User = try await call.pipeline.read("user.view", by: call.caller) { reader in
            guard let row = try reader.first(UserQueries.users(by: .externalID, [id])) else {
                throw OperationError.notFound("There is no user with the external id \"\(id.prefix(128))\".")
            }
            let user = try User(row)
            return (user, put == nil ? UserReads.disclosure(of: user) : nil)
        }
        guard let put else { return RuntimeAnswer(.object(user.document), version: user.version) }
        return answer(put, "user", user.document, version: user.version)
    }

    // MARK: Batches

    private static func batch(_ call: RuntimeCall) async throws(OperationError) -> RuntimeAnswer {
        guard (1...RegistryRecords.most).contains(call.lines.count) else {
            throw .invalid([
                FieldError(
                    pointer: "",
                    detail:
                        "A batch has 1 to \(RegistryRecords.most) records, one JSON object a line; this has \(call.lines.count)."
                )
            ])
        }
        var answers: [JSON] = []
        var sound: [(place: Int, record: RegistryRecord)] = []
        for (place, line) in call.lines.enumerated() {
            let (record, errors) = read(line)
            answers.append(rejection(place, record?.externalID, errors))
            if let record { sound.append((place, record)) }
        }
        let people = sound.reduce(0) { sum, item in
            if case .tenant(let row) = item.record { sum + row.members.count } else { sum }
        }
        guard people <= ImportRun.mostPeople else {
            throw .invalid([
                FieldError(
                    pointer: "",
                    detail:
                        "The customers of a batch have at most \(ImportRun.mostPeople) members together; these have \(people). Send less at once."
                )
            ])
        }
        // The key stands for the lines as they came, not for those among them that can be taken now.
        var request = OperationRequest(operation: PutBatch.spec.name, idempotencyKey: call.idempotencyKey)
        request.sent = ["lines": .string(sha256(Array(call.lines.joined(separator: [0x0A]))).hex)]
        if let before = try await call.pipeline.outcome(of: request, by: call.caller) {
            return try await repeated(before, answers, sound, call)
        }
        var tried = 0
        while true {
            tried += 1
            let records = sound
            let (outcomes, problems, changes) = try await reading(call) { reader in
                let (batch, problems) = try RegistryBatch.rehearse(
                    records.map(\.record), for: call.caller.person, in: reader)
                return (batch.outcomes, problems, batch.changes.count)
            }
            let wrong = Dictionary(problems.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
            var taken: [RegistryRecord] = []
            for (index, item) in records.enumerated() {
                if let problem = wrong[index] {
                    answers[item.place] = rejection(item.place, item.record.externalID, [fieldError(problem)])
                } else {
                    taken.append(item.record)
                    answers[item.place] = answer(item.place, item.record, outcomes[index])
                }
            }
            request.input = ["records": RegistryRecords(taken).json]
            request.answer = .array(answers.map(kept))
            guard changes > 0, !taken.isEmpty else {
                try await RegistrySignals.follow(taken, by: call.caller, through: call.pipeline)
                if let known = try await call.pipeline.keepUnchanged(request, by: call.caller) {
                    return try await repeated(known, answers, sound, call)
                }
                return RuntimeAnswer(.lines(answers))
            }
            let outcome: Outcome
            do throws(OperationError) {
                outcome = try await call.pipeline.run(request, by: call.caller)
            } catch {
                switch error {
                case .conflict, .invalid:
                    guard tried < tries else { throw error }
                    continue
                default: throw error
                }
            }
            if case .pending(let pending) = outcome.result {
                return RuntimeAnswer(.pending(pending), isReplayed: outcome.replayed)
            }
            if outcome.replayed { return try await repeated(outcome, answers, sound, call) }
            try await RegistrySignals.follow(taken, by: call.caller, through: call.pipeline)
            // Ids are given when it is carried out; those of a look beforehand are nobody's.
            try await fill(&answers, records.filter { item in taken.contains(item.record) }, call)
            return RuntimeAnswer(.lines(answers))
        }
    }

    /// What is kept of the answer to a line: what became of it, and nothing of what it says.
    private static func kept(_ answer: JSON) -> JSON {
        let errors = answer["errors"]?.array?.map { error -> JSON in ["pointer": error["pointer"] ?? ""] }
        return JSON.members([
            ("outcome", answer["outcome"]), ("drift", answer["drift"]), ("errors", errors.map(JSON.array)),
        ])
    }

    /// What the same lines were answered before. Ids, and why a line was rejected, are found once more.
    private static func repeated(
        _ outcome: Outcome, _ answers: [JSON], _ sound: [(place: Int, record: RegistryRecord)], _ call: RuntimeCall
    ) async throws(OperationError) -> RuntimeAnswer {
        if case .pending(let pending) = outcome.result { return RuntimeAnswer(.pending(pending), isReplayed: true) }
        guard let told = outcome.answer?.array, told.count == answers.count else {
            throw .internalError("a batch that was kept without its answers")
        }
        let problems = try await reading(call) { reader in
            try RegistryBatch.rehearse(sound.map(\.record), for: call.caller.person, in: reader).problems
        }
        let wrong = Dictionary(problems.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
        var answers = answers
        var taken: [(place: Int, record: RegistryRecord)] = []
        for (index, item) in sound.enumerated() {
            let line = told[item.place]
            if let errors = line["errors"]?.array {
                let now = wrong[index].map(fieldError)
                answers[item.place] = rejection(
                    item.place, item.record.externalID,
                    errors.map { error in
                        let pointer = error["pointer"]?.string ?? ""
                        return now.flatMap { $0.pointer == pointer ? $0 : nil }
                            ?? FieldError(
                                pointer: pointer,
                                detail: "It could not be taken when it was sent. Send it again with another key.")
                    })
            } else {
                taken.append(item)
                answers[item.place] = JSON.members([
                    ("row", .int(Int64(item.place + 1))), ("outcome", line["outcome"]),
                    ("external_id", .string(item.record.externalID)), ("drift", line["drift"]),
                ])
            }
        }
        try await RegistrySignals.follow(
            taken.map(\.record), told: outcome.storedAt, by: call.caller, through: call.pipeline)
        try await fill(&answers, taken, call)
        return RuntimeAnswer(.lines(answers), isReplayed: true)
    }

    private static func fieldError(_ problem: RegistryBatch.Problem) -> FieldError {
        FieldError(
            pointer: "/\(problem.column)",
            detail: "\(problem.column.replacing("_", with: " ")) \(problem.sentence)")
    }

    private static func read(_ line: [UInt8]) -> (RegistryRecord?, [FieldError]) {
        let json: JSON
        do throws(JSONSyntaxError) {
            json = try JSON(parsing: line)
        } catch {
            return (
                nil,
                [FieldError(pointer: "", detail: "The line is not JSON: \(error.reason), at byte \(error.offset).")]
            )
        }
        guard let members = json.object else {
            return (nil, [FieldError(pointer: "", detail: "The line must be a JSON object.")])
        }
        switch RegistryRecord.read(members) {
        case .record(let record): return (record, [])
        case .problems(let problems): return (nil, errors(problems))
        }
    }

    private static func rejection(_ place: Int, _ id: String?, _ errors: [FieldError]) -> JSON {
        JSON.members([
            ("row", .int(Int64(place + 1))), ("outcome", "rejected"), ("external_id", id.map(JSON.string)),
            (
                "errors",
                .array(errors.map { ["pointer": .string($0.pointer), "detail": .string($0.detail)] })
            ),
        ])
    }

    private static func answer(_ place: Int, _ record: RegistryRecord, _ outcome: RegistryBatch.Outcome?) -> JSON {
        let drift = outcome?.drift ?? []
        return JSON.members([
            ("row", .int(Int64(place + 1))), ("outcome", .string(outcome?.result.rawValue ?? "unchanged")),
            ("external_id", .string(record.externalID)),
            ("id", outcome.flatMap { $0.result == .created || $0.id.isEmpty ? nil : .string($0.id) }),
            ("drift", drift.isEmpty ? nil : .array(drift.map { .string($0.rawValue) })),
        ])
    }

    private static func fill(
        _ answers: inout [JSON], _ records: [(place: Int, record: RegistryRecord)], _ call: RuntimeCall
    ) async throws(OperationError) {
        let known = try await reading(call) { reader in
            let facts = try RegistryFacts.gather(records.map(\.record), from: reader)
            return records.map { item -> String? in
                switch item.record {
                case .tenant(let row): return facts.tenants[row.externalID]?.id
                case .user(let user): return facts.usersByExternalID[user.externalID]?.id
                case .member(let member):
                    guard let tenant = facts.tenants[member.tenant], let user = facts.usersByExternalID[member.user]
                    else { return nil }
                    return facts.memberships[.init(tenant: tenant.id, user: user.id)]?.id
                }
            }
        }
        for (item, id) in zip(records, known) {
            guard let id, case .object(var members) = answers[item.place] else { continue }
            members["id"] = .string(id)
            answers[item.place] = .object(members)
        }
    }
}
