import Foundation
import Kernel

/// The import of one file: read it into the staging table, check all of it, then apply it batch by batch.
///
///     staging   records are read and put aside; how far, by byte offset, is written with them
///     staged    the file is read to its end
///     applying  batches are committed, each an operation and a transaction with the run's progress in it
///     applied   the rows are forgotten, webhooks were told once
///
/// A run is known by the digest of the file and of how it is read. Stopped at any point, it goes on where it was; nothing
/// of it is visible before it is applied, and every customer comes whole.
public struct ImportRun: Sendable {
    /// What is imported.
    public struct Source: Sendable {
        public var path: String
        public var format: RegistrySource.Format
        public var mapping: ImportMapping?
        public var encoding: TextEncoding

        public init(
            _ path: String, format: RegistrySource.Format = .csv, mapping: ImportMapping? = nil,
            encoding: TextEncoding = .utf8
        ) {
            self.path = path
            self.format = format
            self.mapping = mapping
            self.encoding = encoding
        }
    }

    /// What validation found, or what the import came to. No customer is changed by it.
    public struct Report: Sendable {
        /// `ipr_…`
        public let run: String
        /// SHA-256 of the file and of how it is read, hexadecimal.
        public let digest: String
        /// Customers that can be applied, those that are in already among them.
        public let rows: Int
        /// Customers the import would create, change, and leave as they are; with what it did before it was stopped.
        public let created: Int
        public let updated: Int
        public let unchanged: Int
        /// Control fields that are different here; what is here stays.
        public let drifted: Int
        /// Rows that can't be taken.
        public let rejected: Int
        /// The first 200 things that are wrong, in the order of the file.
        public let problems: [RegistrySource.Problem]
        public let problemCount: Int
        /// Customers that are in already, when the import was stopped.
        public let done: Int
        /// Applying ended before a batch in which a row had become wrong, because none was to be left out. The rest is staged.
        public var isStopped = false

        public var isApplicable: Bool { rows > 0 }
    }

    /// How far an import is.
    public struct Progress: Sendable, Hashable {
        /// Rows that are in.
        public var done: Int
        public var total: Int
        /// Of those, the rows that were as they are.
        public var unchanged: Int
    }

    /// How far validation is.
    public struct Step: Sendable, Hashable {
        public enum Phase: String, Sendable {
            /// Bytes of the file are digested.
            case reading
            /// Bytes of the file are put aside.
            case staging
            /// Rows are compared with what is here.
            case checking
        }
        public let phase: Phase
        public let done: Int64
        public let total: Int64
    }

    /// Why an import stopped. What is in stays in; the same command continues.
    public enum Failure: Error, Sendable {
        /// The file can't be opened or read.
        case unreadable(String)
        /// The form of the file is wrong, so that nothing of it can be trusted.
        case faulty(RegistrySource.Problem)
        case notApplicable(Report)
        /// The file is not the one whose digest was taken.
        case changed
        /// Another process has the same file in hand.
        case busy
        /// It was asked to stop.
        case stopped(Progress)
        case refused(OperationError, Progress)
    }

    static let mostShown = 200
    /// Members weigh like rows, so that a batch stays a short transaction whatever its customers' size.
    static let mostPeople = 5_000
    /// Rows that a batch may take from further down, where slugs pass from one customer to another.
    static let mostAhead = 500
    /// How long a run that nobody continues is kept.
    static let kept = Span.days(7)

    /// Of its batches and of what follows from them. What it does is told of once, when it has ended.
    static let actor = Actor.system("import")

    let pipeline: Pipeline
    let source: Source
    let caller: Caller
    let isStopping: @Sendable () -> Bool
    var database: any Database { pipeline.database }

    /// - Parameters:
    ///   - caller: whoever imports; an actor of the system, `import` by default.
    ///   - isStopping: asked between two transactions; a true answer ends what runs with `.stopped`.
    public init(
        _ source: Source, through pipeline: Pipeline, as caller: Caller? = nil,
        isStopping: @escaping @Sendable () -> Bool = { false }
    ) {
        self.isStopping = isStopping
        self.source = source
        self.pipeline = pipeline
        self.caller =
            caller
            ?? Caller(
                actor: Self.actor, person: "import", displayName: "Import", client: .cli,
                requestID: Identifier.mint("req", at: Clock.system.now))
    }

    public init(_ path: String, through pipeline: Pipeline, as caller: Caller? = nil) {
        self.init(Source(path), through: pipeline, as: caller)
    }

    // MARK: Validating

    /// Reads the whole file into the staging table, compares it with what is here, and finds every problem.
    public func validate(progress: @Sendable (Step) -> Void = { _ in }) async throws -> Report {
        try await Self.forgetAbandoned(in: database)
        let (digest, bytes) = try digest(progress)
        var state = try await open(digest, bytes: bytes)
        if state.state == "staging" {
            do {
                try await stage(&state, progress)
            } catch let problem as RegistrySource.Problem {
                // What was read of it is worth nothing: the file has to be mended, and is another one then.
                try await forget(state.id, andRun: true)
                throw Failure.faulty(problem)
            } catch StoreError.rowCount {
                throw Failure.busy
            }
        }
        let check = try await check(state, progress)
        let end = try await self.state(state.id)
        return Report(
            run: end.id, digest: digest, rows: end.staged, created: end.counts.created + check.counts.created,
            updated: end.counts.updated + check.counts.updated,
            unchanged: end.counts.unchanged + check.counts.unchanged, drifted: check.drifted, rejected: end.rejected,
            problems: try await problems(of: end.id, after: (0, -1), limit: Self.mostShown).map(\.problem),
            problemCount: end.problems, done: end.done)
    }

    /// The run of this file: one that was stopped, or a new one. A file whose import ended is imported anew; so is one of which
    /// nothing is in and a row was rejected, because what was wrong here may be mended by now.
    private func open(_ digest: String, bytes: Int64) async throws -> RunState {
        let found = try await database.read { reader in
            try reader.first(ImportQueries.run(digest: digest)).map(RunState.init)
        }
        if let found {
            let isRejected = found.state == "staged" && found.applied == 0 && found.rejected > 0
            if found.state != "applied", !isRejected { return found }
            try await forget(found.id, andRun: true)
        }
        let id = Identifier.mint("ipr", at: Clock.system.now)
        do {
            try await database.write { tx in
                tx.enqueue(ImportQueries.begin(id, digest: digest, bytes: bytes, at: tx.now))
            }
        } catch StoreError.unique {
            throw Failure.busy
        }
        return try await state(id)
    }

    func state(_ id: String) async throws -> RunState {
        let state = try await database.read { reader in
            try reader.first(ImportQueries.run(id: id)).map(RunState.init)
        }
        guard let state else { throw Failure.busy }
        return state
    }

    /// A row of `import_runs`.
    struct RunState: Sendable {
        let id: String
        let state: String
        let bytes: Int64
        var bytesDone: Int64
        var line: Int
        let staged: Int
        let rejected: Int
        let problems: Int
        let applied: Int64
        /// When its last batch was applied, or its rows were read.
        let updatedAt: Instant
        let counts: RegistryBatch.Counts
        var done: Int { counts.created + counts.updated + counts.unchanged }

        init(_ row: Row) throws {
            id = try row.string("id")
            state = try row.string("state")
            bytes = try row.int("bytes_total")
            bytesDone = try row.int("bytes_done")
            line = Int(try row.int("line"))
            staged = Int(try row.int("staged"))
            rejected = Int(try row.int("rejected"))
            problems = Int(try row.int("problems"))
            applied = try row.int("applied")
            updatedAt = try row.instant("updated_at")
            counts = RegistryBatch.Counts(
                created: Int(try row.int("created")), updated: Int(try row.int("updated")),
                unchanged: Int(try row.int("unchanged")))
        }
    }

    // MARK: Staging

    private struct Batch {
        var rows: [ImportQueries.StagedRow] = []
        var rejected: [ImportQueries.RejectedRow] = []
        var people = 0
        var end: Int64 = 0
        var line = 1
        var isFull: Bool { rows.count + rejected.count >= RegistryRows.most || people >= ImportRun.mostPeople }
    }

    private func stage(_ state: inout RunState, _ progress: @Sendable (Step) -> Void) async throws {
        let file = try openFile()
        defer { try? file.close() }
        var reader = RegistrySource(source.format, mapping: source.mapping, encoding: source.encoding)
        if state.bytesDone > 0 {
            // The header is at the beginning; the rest that comes with it was read before.
            while !reader.isOpen, let piece = try read(file) { try reader.feed(piece) { _ in } }
            reader = reader.continuing(at: state.bytesDone, line: state.line)
            try file.seek(toOffset: UInt64(state.bytesDone))
        }
        // Ordered by where the record begins in the file: a number that grows, also after a stop.
        var batch = Batch()
        var full: [Batch] = []
        func take(_ item: RegistrySource.Item) {
            switch item.content {
            case .row(let row):
                batch.rows.append(.init(seq: item.end, line: item.line, row: row))
                batch.people += row.members.count + 1
            case .problems(let problems):
                batch.rejected.append(.init(line: item.line, problems: problems, text: item.text))
            }
            batch.end = item.end
            batch.line = item.nextLine
            if batch.isFull {
                full.append(batch)
                batch = Batch()
            }
        }
        var position = state.bytesDone
        var isEnd = false
        while !isEnd {
            try stopIfAsked(state)
            if let piece = try read(file) {
                position += Int64(piece.count)
                try reader.feed(piece, take)
            } else {
                guard position == state.bytes else {
                    try await forget(state.id, andRun: true)
                    throw Failure.changed
                }
                try reader.finish(take)
                batch.end = state.bytes
                full.append(batch)
                isEnd = true
            }
            for (number, batch) in full.enumerated() {
                try await put(batch, isEnd: isEnd && number == full.count - 1, &state)
                progress(Step(phase: .staging, done: state.bytesDone, total: state.bytes))
            }
            full.removeAll()
        }
    }

    private func put(_ batch: Batch, isEnd: Bool, _ state: inout RunState) async throws {
        let run = state.id
        let before = state.bytesDone
        try await database.write { tx in
            let sound = Set(try tx.query(ImportQueries.stage(batch.rows, of: run)).joined().map { try $0.int("seq") })
            let twins = batch.rows.filter { !sound.contains($0.seq) }
            let names = try tx.query(
                ImportQueries.staged(
                    run, externalIDs: twins.map(\.row.externalID), slugs: twins.map(\.row.slug)))
            var ids: [String: Int] = [:]
            var slugs: [String: Int] = [:]
            for row in names.joined() {
                let line = Int(try row.int("line"))
                ids[try row.string("external_id")] = line
                slugs[try row.string("slug")] = line
            }
            var rejected = batch.rejected
            for twin in twins {
                let problems = [
                    ("external_id", twin.row.externalID, ids[twin.row.externalID]),
                    ("slug", twin.row.slug, slugs[twin.row.slug]),
                ].compactMap { column, value, first -> RegistrySource.Problem? in
                    // What came behind it took a name that it did not keep.
                    guard let first, first < twin.line else { return nil }
                    return RegistrySource.Problem(
                        line: twin.line, column: column,
                        sentence: "Line \(twin.line), column \(column): \"\(value)\" stands in line \(first) already.")
                }
                rejected.append(.init(line: twin.line, problems: problems, text: twin.row.json.canonicalText))
            }
            tx.enqueue(ImportQueries.reject(rejected, of: run))
            tx.enqueue(
                ImportQueries.reached(
                    run, from: before, to: batch.end, line: batch.line, staged: sound.count, rejected: rejected.count,
                    problems: rejected.reduce(0) { $0 + $1.problems.count }, isEnd: isEnd, at: tx.now))
        }
        state.bytesDone = batch.end
        state.line = batch.line
    }

    // MARK: Applying

    /// Applies a validated file, from where an earlier attempt was stopped.
    /// - Parameter strict: applies nothing when a row was rejected, and nothing more once one has become wrong.
    @discardableResult
    public func apply(
        _ report: Report, strict: Bool = false, progress: @Sendable (Progress) -> Void = { _ in }
    ) async throws -> Progress {
        let end = try await apply(report, strict: strict, rejectedTo: nil, progress: progress)
        return Progress(done: end.done, total: end.rows, unchanged: end.unchanged)
    }

    /// Applies a validated file, and says what it came to: a row that was sound when the file was checked may have become
    /// wrong since.
    /// - Parameters:
    ///   - strict: applies nothing when a row was rejected before. Where one has become wrong, the batch it is in is not applied,
    ///     nor is anything behind it: the report says that it was stopped, and how much is in.
    ///   - path: where what was rejected is listed anew, before it is forgotten, when it has become more.
    public func apply(
        _ report: Report, strict: Bool, rejectedTo path: String?, progress: @Sendable (Progress) -> Void
    ) async throws -> Report {
        guard report.isApplicable, !strict || report.rejected == 0 else { throw Failure.notApplicable(report) }
        var state = try await state(report.run)
        // Stopped between a batch and what follows from it, it is made up for.
        try await follow(try await applied(state), state)
        while true {
            try stopIfAsked(state)
            let batch = try await rehearse(report.run, after: state.applied, applied: state.applied)
            guard let through = batch.through else { break }
            // What was sound when the file was checked, and is no more.
            if !batch.wrong.isEmpty {
                try await reject(batch.wrong, of: report.run)
                if strict {
                    var stopped = try await outcome(try await self.state(report.run), report, rejectedTo: path)
                    stopped.isStopped = true
                    return stopped
                }
            }
            // A batch that is in already would be refused as changing nothing, and the refusal recorded.
            if batch.changes > 0 {
                do throws(OperationError) {
                    _ = try await pipeline.run(
                        OperationRequest(
                            operation: ImportRegistryBatch.spec.name,
                            input: [
                                "rows": RegistryRows(batch.rows.map(\.row) + batch.ahead).json,
                                "run": .string(report.run), "through": .int(through),
                                "ahead": .bool(!batch.ahead.isEmpty),
                            ],
                            idempotencyKey: "\(report.run)-\(through)"),
                        by: caller)
                } catch {
                    throw Failure.refused(error, Self.progress(state))
                }
            } else {
                do {
                    try await database.write { tx in
                        tx.enqueue(ImportQueries.applied(report.run, through: through, batch.counts, at: tx.now))
                        tx.enqueue(ImportQueries.forgetAhead(report.run))
                    }
                } catch StoreError.rowCount {
                    throw Failure.busy
                }
            }
            state = try await self.state(report.run)
            try await follow(batch.rows.map(\.row) + batch.ahead, state)
            progress(Self.progress(state))
        }
        // Should it fail, the same command comes here again: nothing is forgotten yet.
        let end = try await outcome(state, report, rejectedTo: path)
        try await finish(state, report.digest)
        return end
    }

    /// What applying has come to, with the list of what was rejected where that has become longer.
    private func outcome(_ state: RunState, _ report: Report, rejectedTo path: String?) async throws -> Report {
        let outcome = Report(
            run: state.id, digest: report.digest, rows: state.staged, created: state.counts.created,
            updated: state.counts.updated, unchanged: state.counts.unchanged, drifted: report.drifted,
            rejected: state.rejected,
            problems: try await problems(of: state.id, after: (0, -1), limit: Self.mostShown).map(\.problem),
            problemCount: state.problems, done: state.done)
        if let path, outcome.rejected > report.rejected { try await writeRejected(outcome, to: path) }
        return outcome
    }

    /// What the words of these rows mean for customers that were here before.
    private func follow(_ rows: [RegistryRow], _ state: RunState) async throws {
        do throws(OperationError) {
            try await RegistrySignals.follow(
                rows.map(RegistryRecord.tenant), told: state.updatedAt, by: caller, through: pipeline)
        } catch {
            throw Failure.refused(error, Self.progress(state))
        }
    }

    /// The rows of the last batch that is in, with those it took ahead.
    private func applied(_ state: RunState) async throws -> [RegistryRow] {
        guard state.applied > 0 else { return [] }
        return try await database.read { reader in
            try reader.query([
                ImportQueries.rows(of: state.id, through: state.applied, limit: RegistryRows.most),
                ImportQueries.rowsAhead(of: state.id),
            ]).joined().map { try Self.staged($0).row }
        }
    }

    private func finish(_ state: RunState, _ digest: String) async throws {
        if state.counts.created + state.counts.updated > 0 {
            do throws(OperationError) {
                _ = try await pipeline.run(
                    OperationRequest(
                        operation: FinishImport.spec.name,
                        input: [
                            "digest": .string(digest), "created": .int(Int64(state.counts.created)),
                            "updated": .int(Int64(state.counts.updated)),
                            "unchanged": .int(Int64(state.counts.unchanged)), "rejected": .int(Int64(state.rejected)),
                        ], idempotencyKey: "\(state.id)-finish"), by: caller)
            } catch {
                throw Failure.refused(error, Self.progress(state))
            }
        }
        try await database.write { tx in tx.enqueue(ImportQueries.finished(state.id, at: tx.now)) }
        try await forget(state.id, andRun: false)
    }

    static func progress(_ state: RunState) -> Progress {
        Progress(done: state.done, total: state.staged, unchanged: state.counts.unchanged)
    }

    func stopIfAsked(_ state: RunState) throws {
        if isStopping() { throw Failure.stopped(Self.progress(state)) }
    }

    // MARK: What was rejected

    /// Writes every rejected row with its line and reasons as CSV, for nobody else to read. What is wrong with a row stands
    /// on lines of its own, the row itself on the first.
    public func writeRejected(_ report: Report, to path: String) async throws {
        let temporary = path + ".part"
        guard
            FileManager.default.createFile(
                atPath: temporary, contents: nil, attributes: [.posixPermissions: 0o600]),
            let file = FileHandle(forWritingAtPath: temporary)
        else { throw Failure.unreadable("\(path) can't be written, so what was rejected can't be listed there.") }
        defer { try? file.close() }
        func write(_ text: String) throws {
            do {
                try file.write(contentsOf: Data(text.utf8))
            } catch {
                throw Failure.unreadable("\(path) can't be written: \(error.localizedDescription)")
            }
        }
        try write("line,column,reason,row\r\n")
        var last: (line: Int64, number: Int64) = (0, -1)
        while true {
            let page = try await problems(of: report.run, after: last, limit: 1_000)
            guard let end = page.last else { break }
            try write(
                page.map {
                    CSVText.line(["\($0.problem.line)", $0.problem.column ?? "", $0.problem.sentence, $0.text]) + "\r\n"
                }.joined())
            last = (Int64(end.problem.line), end.number)
        }
        guard rename(temporary, path) == 0 else { throw Failure.unreadable("\(path) can't be written.") }
    }

    func problems(
        of run: String, after last: (line: Int64, number: Int64), limit: Int
    ) async throws -> [(problem: RegistrySource.Problem, number: Int64, text: String)] {
        try await database.read { reader in
            try reader.query(ImportQueries.problems(of: run, after: last.line, last.number, limit: limit)).map { row in
                (
                    RegistrySource.Problem(
                        line: Int(try row.int("line")), column: try row.optionalString("field"),
                        sentence: try row.string("reason")), try row.int("number"), try row.string("source")
                )
            }
        }
    }

    // MARK: Forgetting

    private func forget(_ run: String, andRun: Bool) async throws {
        try await Self.forget(run, andRun: andRun, in: database)
    }

    private static func forget(_ run: String, andRun: Bool, in database: any Database) async throws {
        for statement in [ImportQueries.forgetRows(run), ImportQueries.forgetProblems(run)] {
            while try await database.write({ tx in try !tx.execute(statement).isEmpty }) {}
        }
        if andRun { try await database.write { tx in tx.enqueue(ImportQueries.forgetRun(run)) } }
    }

    /// Forgets what was staged of files that nobody has gone on with for a week.
    public static func forgetAbandoned(in database: any Database) async throws {
        let kept = kept
        let runs = try await database.read { reader in
            try reader.query(ImportQueries.abandoned(before: reader.now - kept)).map { try $0.string("id") }
        }
        for run in runs { try await forget(run, andRun: true, in: database) }
    }

    // MARK: The file

    private func digest(_ progress: @Sendable (Step) -> Void) throws -> (digest: String, bytes: Int64) {
        let file = try openFile()
        defer { try? file.close() }
        let total = Int64((try? file.seekToEnd()) ?? 0)
        try? file.seek(toOffset: 0)
        var hash = RunningDigest()
        var bytes: Int64 = 0
        while let piece = try read(file) {
            if isStopping() { throw Failure.stopped(Progress(done: 0, total: 0, unchanged: 0)) }
            hash.update(piece)
            bytes += Int64(piece.count)
            progress(Step(phase: .reading, done: bytes, total: max(total, bytes)))
        }
        let known: JSON = [
            "file": .string(hash.hex), "format": .string(source.format.rawValue),
            "encoding": .string(source.encoding.rawValue), "mapping": source.mapping?.json ?? .null,
        ]
        return (sha256(known.canonical).hex, bytes)
    }

    private func openFile() throws -> FileHandle {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: source.path, isDirectory: &isDirectory), isDirectory.boolValue {
            throw Failure.unreadable("\(source.path) is a directory.")
        }
        guard let file = FileHandle(forReadingAtPath: source.path) else {
            throw Failure.unreadable("\(source.path) can't be opened; check the path and who may read it.")
        }
        return file
    }

    private func read(_ file: FileHandle) throws -> [UInt8]? {
        do {
            guard let data = try file.read(upToCount: 1 << 18), !data.isEmpty else { return nil }
            return Array(data)
        } catch {
            throw Failure.unreadable("\(source.path) can't be read.")
        }
    }
}
