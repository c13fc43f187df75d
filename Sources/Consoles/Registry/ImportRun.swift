import Foundation
import Kernel

/// The import of one CSV file: validate all of it, then apply it batch by batch.
///
/// Every batch is one operation and one transaction, so a stopped import leaves whole customers. Applying again skips
/// what is registered already with the same content.
public struct ImportRun: Sendable {
    /// What validation found. Nothing is written by it.
    public struct Report: Sendable {
        /// SHA-256 of the file, hexadecimal: only this very file may be applied.
        public let digest: String
        public let rows: Int
        /// Customers the import would create, change, and leave as they are.
        public let created: Int
        public let updated: Int
        public let unchanged: Int
        /// Customers whose owner here is another; the owner here stays.
        public let ownersDiffer: Int
        /// The first 200 problems, in the order of the file.
        public let problems: [TenantCSV.Problem]
        public let problemCount: Int

        public var isApplicable: Bool { problemCount == 0 && rows > 0 }
    }

    /// How far an import is.
    public struct Progress: Sendable, Hashable {
        /// Rows that are in.
        public var done: Int
        public var total: Int
        /// Of those, the rows that were in before.
        public var unchanged: Int
    }

    /// Why an import stopped. What is in stays in; the same command continues.
    public enum Failure: Error, Sendable {
        /// The file can't be opened or read.
        case unreadable(String)
        case notApplicable(Report)
        /// The file is not the one that was validated.
        case changed
        case refused(OperationError, Progress)
    }

    static let mostShown = 200
    /// Members weigh like rows, so that a batch stays a short transaction whatever its customers' size.
    static let mostPeople = 5_000

    let pipeline: Pipeline
    let path: String
    let caller: Caller

    /// - Parameter caller: whoever imports; an actor of the system, `import` by default.
    public init(_ path: String, through pipeline: Pipeline, as caller: Caller? = nil) {
        self.path = path
        self.pipeline = pipeline
        self.caller =
            caller
            ?? Caller(
                actor: .system("import"), person: "import", displayName: "Import", client: .cli,
                requestID: Identifier.mint("req", at: Clock.system.now))
    }

    /// Reads the whole file and compares it with the database; finds every problem in one pass.
    public func validate(progress: (@Sendable (Progress) -> Void)? = nil) async throws -> Report {
        var collector = Collector()
        var lines: [String: Int] = [:]
        var slugs: [String: Int] = [:]
        let digest = try await batches { batch in
            collector.problems(batch.problems)
            // Duplicates within the file, over all batches.
            var sound: [(row: RegistryRow, line: Int)] = []
            for (row, line) in batch.rows {
                var isSound = true
                for (column, value, first) in [
                    ("external_id", row.externalID, lines[row.externalID]), ("slug", row.slug, slugs[row.slug]),
                ] {
                    guard let first else { continue }
                    isSound = false
                    collector.problems([
                        TenantCSV.Problem(
                            line: line, column: column,
                            sentence: "Line \(line), column \(column): \"\(value)\" stands in line \(first) already.")
                    ])
                }
                lines[row.externalID] = lines[row.externalID] ?? line
                slugs[row.slug] = slugs[row.slug] ?? line
                if isSound { sound.append((row, line)) }
            }
            let checked = sound
            let outcome = try await pipeline.database.read { reader in try Self.rehearse(checked, in: reader) }
            collector.add(outcome, rows: batch.rows.count)
            progress?(Progress(done: collector.rows, total: collector.rows, unchanged: collector.unchanged))
        }
        return collector.report(digest)
    }

    /// Applies a validated file. Stops at the first batch that is refused.
    @discardableResult
    public func apply(
        _ report: Report, progress: (@Sendable (Progress) -> Void)? = nil
    ) async throws -> Progress {
        guard report.isApplicable else { throw Failure.notApplicable(report) }
        guard try digest() == report.digest else { throw Failure.changed }
        var state = Progress(done: 0, total: report.rows, unchanged: 0)
        var number = 0
        _ = try await batches { batch in
            guard batch.problems.isEmpty else { throw Failure.changed }
            guard !batch.rows.isEmpty else { return }
            number += 1
            let rows = batch.rows
            let outcome = try await pipeline.database.read { reader in try Self.rehearse(rows, in: reader) }
            // A batch that is in already would be refused as changing nothing, and the refusal recorded.
            if outcome.changes > 0 || !outcome.problems.isEmpty {
                do throws(OperationError) {
                    _ = try await pipeline.run(
                        OperationRequest(
                            operation: ImportRegistryBatch.spec.name,
                            input: ["rows": RegistryRows(rows.map(\.row)).json],
                            idempotencyKey: Identifier.mint("imp", at: Clock.system.now)),
                        by: caller)
                } catch {
                    throw Failure.refused(error, state)
                }
            }
            state.done += rows.count
            state.unchanged += outcome.unchanged
            progress?(state)
        }
        return state
    }

    // MARK: Reading

    private struct Batch: Sendable {
        var rows: [(row: RegistryRow, line: Int)] = []
        var problems: [TenantCSV.Problem] = []
        var people = 0
        var isFull: Bool { rows.count >= RegistryRows.most || people >= ImportRun.mostPeople || problems.count >= 1000 }
    }

    /// Reads the file in pieces and hands out batches; answers the file's digest.
    private func batches(_ body: (Batch) async throws -> Void) async throws -> String {
        let file = try open()
        defer { try? file.close() }
        var csv = TenantCSV()
        var hash = RunningDigest()
        var batch = Batch()
        var full: [Batch] = []
        func take(_ line: TenantCSV.Line) {
            switch line {
            case .problems(let problems): batch.problems += problems
            case .row(let row, let line):
                batch.rows.append((row, line))
                batch.people += row.members.count + 1
            }
            if batch.isFull {
                full.append(batch)
                batch = Batch()
            }
        }
        do {
            while let piece = try read(file) {
                hash.update(piece)
                try csv.feed(piece, take)
                for batch in full { try await body(batch) }
                full.removeAll()
            }
            try csv.finish(take)
        } catch let problem as TenantCSV.Problem {
            batch.problems.append(problem)
        }
        full.append(batch)
        for batch in full { try await body(batch) }
        return hash.hex
    }

    private func digest() throws -> String {
        let file = try open()
        defer { try? file.close() }
        var hash = RunningDigest()
        while let piece = try read(file) { hash.update(piece) }
        return hash.hex
    }

    private func open() throws -> FileHandle {
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw Failure.unreadable("\(path) can't be opened; check the path and who may read it.")
        }
        return file
    }

    private func read(_ file: FileHandle) throws -> [UInt8]? {
        do {
            guard let data = try file.read(upToCount: 1 << 18), !data.isEmpty else { return nil }
            return Array(data)
        } catch {
            throw Failure.unreadable("\(path) can't be read.")
        }
    }

    // MARK: Rehearsing

    private struct Rehearsal: Sendable {
        var changes = 0
        var created = 0
        var updated = 0
        var unchanged = 0
        var drifted = 0
        var problems: [TenantCSV.Problem] = []
    }

    private static func rehearse(_ rows: [(row: RegistryRow, line: Int)], in reader: any Reader) throws -> Rehearsal {
        guard !rows.isEmpty else { return Rehearsal() }
        let facts = try RegistryFacts.gather(rows.map(\.row), from: reader)
        var batch = RegistryBatch(facts, now: reader.now, person: "import", event: "", id: { "\($0)_\($1)" })
        var rehearsal = Rehearsal()
        for (index, (row, line)) in rows.enumerated() {
            do throws(RegistryBatch.Problem) {
                try batch.add(row, at: index)
            } catch {
                rehearsal.problems.append(
                    TenantCSV.Problem(
                        line: line, column: error.column,
                        sentence: "Line \(line), column \(error.column): \(error.sentence)"))
            }
        }
        rehearsal.changes = batch.changes.count
        rehearsal.created = batch.created
        rehearsal.updated = batch.updated
        rehearsal.unchanged = batch.unchanged
        rehearsal.drifted = batch.drifted
        return rehearsal
    }

    private struct Collector {
        var rows = 0
        var created = 0
        var updated = 0
        var unchanged = 0
        var drifted = 0
        var shown: [TenantCSV.Problem] = []
        var problemCount = 0

        mutating func problems(_ problems: [TenantCSV.Problem]) {
            problemCount += problems.count
            shown += problems.prefix(max(0, 4 * ImportRun.mostShown - shown.count))
        }

        mutating func add(_ rehearsal: Rehearsal, rows: Int) {
            self.rows += rows
            created += rehearsal.created
            updated += rehearsal.updated
            unchanged += rehearsal.unchanged
            drifted += rehearsal.drifted
            problems(rehearsal.problems)
        }

        func report(_ digest: String) -> Report {
            Report(
                digest: digest, rows: rows, created: created, updated: updated, unchanged: unchanged,
                ownersDiffer: drifted, problems: Array(shown.sorted { $0.line < $1.line }.prefix(ImportRun.mostShown)),
                problemCount: problemCount)
        }
    }
}
