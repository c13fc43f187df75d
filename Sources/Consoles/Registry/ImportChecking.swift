import Foundation
import Kernel

// All of a file is looked at before any of it is applied: what would be refused is known, and listed, from the start.
extension ImportRun {
    struct Check: Sendable {
        var counts = RegistryBatch.Counts()
        var drifted = 0
    }

    /// One batch of staged rows, rehearsed.
    struct Rehearsed: Sendable {
        var rows: [(seq: Int64, line: Int, row: RegistryRow)] = []
        /// Rows from further down whose slugs pass to those of the batch. They are applied with it, and looked at again where they
        /// stand.
        var ahead: [RegistryRow] = []
        var wrong: [(seq: Int64, line: Int, row: RegistryRow, problem: RegistrySource.Problem)] = []
        /// Of the batch's own rows.
        var counts = RegistryBatch.Counts()
        var drifted = 0
        var changes = 0
        /// Whom it brings or changes, with the rows from further down.
        var people: [ImportedPeople.Changed] = []
        /// The last row looked at; `nil` when there was none.
        var through: Int64?
    }

    func check(_ state: RunState, _ progress: @Sendable (Step) -> Void) async throws -> Check {
        var check = Check()
        var after = state.applied
        var looked = Int64(state.done)
        var people = ImportedPeople()
        let end = try await self.state(state.id)
        while true {
            try stopIfAsked(end)
            let batch = try await rehearse(state.id, after: after, applied: state.applied, behind: people)
            guard let through = batch.through else { return check }
            if !batch.wrong.isEmpty { try await reject(batch.wrong, of: state.id) }
            people.remember(batch.people)
            check.counts = check.counts + batch.counts
            check.drifted += batch.drifted
            looked += Int64(batch.rows.count + batch.wrong.count)
            after = through
            progress(Step(phase: .checking, done: looked, total: Int64(end.staged)))
        }
    }

    /// - Parameters:
    ///   - seq: the row behind which the batch begins.
    ///   - applied: the row up to which everything is in.
    ///   - people: whom the rows before bring or change, where those are not in yet.
    func rehearse(
        _ run: String, after seq: Int64, applied: Int64, behind people: ImportedPeople = ImportedPeople()
    ) async throws -> Rehearsed {
        try await database.read { reader in
            var found: [StagedRow] = []
            var weight = 0
            for row in try reader.query(ImportQueries.rows(of: run, after: seq, limit: RegistryRows.most)) {
                let staged = try Self.staged(row)
                weight += staged.row.members.count + 1
                found.append(staged)
                if weight >= Self.mostPeople { break }
            }
            var (ahead, isCut) = try Self.ahead(of: found, run, applied, reader)
            if found.count + ahead.count > RegistryRows.most {
                found.removeLast(max(found.count - Self.mostAhead, 0))
                (ahead, isCut) = try Self.ahead(of: found, run, applied, reader)
            }
            var batch = Rehearsed()
            batch.through = found.last?.seq
            guard !found.isEmpty else { return batch }
            let (outcome, problems) = try RegistryBatch.rehearse(
                (found + ahead).map { .tenant($0.row) }, for: "import", isImport: true, after: people, in: reader)
            let wrong = Dictionary(problems.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
            for (index, row) in found.enumerated() {
                if let problem = wrong[index] {
                    let advice =
                        isCut && problem.column == "slug"
                        ? " More than \(Self.mostAhead) customers hand their slugs on one after the other: import the file again for the rest."
                        : ""
                    batch.wrong.append(
                        (
                            row.seq, row.line, row.row,
                            RegistrySource.Problem(
                                line: row.line, column: problem.column,
                                sentence: "Line \(row.line), column \(problem.column): \(problem.sentence)\(advice)")
                        ))
                } else {
                    batch.rows.append(row)
                    guard let taken = outcome.outcomes[index] else { continue }
                    batch.counts.count(taken.result)
                    batch.drifted += taken.drift.count
                }
            }
            batch.ahead = ahead.enumerated().filter { wrong[found.count + $0.offset] == nil }.map(\.element.row)
            batch.changes = outcome.changes.count
            batch.people = outcome.changes.compactMap { change in
                (change.after as? User).map { (before: change.before as? User, after: $0) }
            }
            return batch
        }
    }

    typealias StagedRow = (seq: Int64, line: Int, row: RegistryRow)

    static func staged(_ row: Row) throws -> StagedRow {
        guard let content = try? RegistryRow(try row.json("content")) else { throw StoreError.shape(column: "content") }
        return (try row.int("seq"), Int(try row.int("line")), content)
    }

    /// Rows outside of the batch of customers whose slugs it takes, and of those whose slugs these take: they are only right
    /// together. A file may swap the slugs of its first and its last row.
    private static func ahead(
        of found: [StagedRow], _ run: String, _ applied: Int64, _ reader: any Reader
    ) throws -> (rows: [StagedRow], isCut: Bool) {
        var known = Set(found.map(\.row.externalID))
        var wanted = found.map(\.row.slug)
        var ahead: [StagedRow] = []
        while !wanted.isEmpty {
            let holders = try reader.query(TenantQueries.holders(of: wanted)).map { try $0.string("external_id") }
                .filter { known.insert($0).inserted }
            guard !holders.isEmpty else { break }
            let rows = try reader.query(ImportQueries.rows(of: run, naming: holders, after: applied)).map(staged)
            if ahead.count + rows.count > mostAhead { return (ahead, true) }
            ahead += rows
            wanted = rows.map(\.row.slug)
        }
        return (ahead, false)
    }

    func reject(
        _ rows: [(seq: Int64, line: Int, row: RegistryRow, problem: RegistrySource.Problem)], of run: String
    ) async throws {
        do {
            try await database.write { tx in
                tx.enqueue(
                    ImportQueries.reject(
                        rows.map { .init(line: $0.line, problems: [$0.problem], text: $0.row.json.canonicalText) },
                        of: run))
                tx.enqueue(ImportQueries.unstage(run, rows: rows.map(\.seq), problems: rows.count))
            }
        } catch StoreError.rowCount {
            // Another process began the file anew.
            throw Failure.busy
        }
    }
}
