import Kernel

/// The staging tables of an import.
enum ImportQueries {
    private static let chunk = 100

    static let runColumns = """
        id, digest, state, bytes_total, bytes_done, line, staged, rejected, problems, applied, created, updated, unchanged
        """
    private static let selectedRun = "SELECT \(runColumns), updated_at FROM import_runs"

    static func run(digest: String) -> Statement {
        Statement("\(selectedRun) WHERE digest = $1", [.text(digest)])
    }

    static func run(id: String) -> Statement {
        Statement("\(selectedRun) WHERE id = $1", [.text(id)])
    }

    static func begin(_ id: String, digest: String, bytes: Int64, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO import_runs (\(runColumns), created_at, updated_at)
            VALUES ($1, $2, 'staging', $3, 0, 1, 0, 0, 0, 0, 0, 0, 0, $4, $4)
            """, [.text(id), .text(digest), .int(bytes), Value(now)])
    }

    /// Staged rows of these names: `external_id`, `slug`, `line`. Few at once: of a table that was just filled the planner knows
    /// nothing, and for many it would read the whole run.
    static func staged(_ run: String, externalIDs: [String], slugs: [String]) -> [Statement] {
        func find(_ column: String, _ values: [String]) -> [Statement] {
            stride(from: 0, to: values.count, by: 50).map { start in
                let part = Array(values[start..<min(start + 50, values.count)])
                return Statement(
                    """
                    SELECT external_id, slug, line FROM import_rows
                    WHERE run_id = $1 AND \(column) IN (\(placeholders(part.count, from: 2)))
                    """, [.text(run)] + part.map(Value.text))
            }
        }
        return find("external_id", externalIDs) + find("slug", slugs)
    }

    struct StagedRow {
        let seq: Int64
        let line: Int
        let row: RegistryRow
    }

    /// Stages rows in their order and answers `seq` of each that is staged now; one whose name stands before is left out.
    static func stage(_ rows: [StagedRow], of run: String) -> [Statement] {
        insert(
            "import_rows (run_id, seq, line, external_id, slug, content)",
            rows.map {
                [
                    .text(run), .int($0.seq), .int(Int64($0.line)), .text($0.row.externalID), .text($0.row.slug),
                    Value($0.row.json),
                ]
            }, ending: " ON CONFLICT DO NOTHING RETURNING seq")
    }

    struct RejectedRow {
        let line: Int
        let problems: [RegistrySource.Problem]
        let text: String
    }

    static func reject(_ rows: [RejectedRow], of run: String) -> [Statement] {
        insert(
            "import_problems (run_id, line, number, field, reason, source)",
            rows.flatMap { row in
                row.problems.enumerated().map { number, problem in
                    [
                        .text(run), .int(Int64(row.line)), .int(Int64(number)), Value(problem.column),
                        .text(problem.sentence), .text(number == 0 ? row.text : ""),
                    ]
                }
            })
    }

    /// Fails when another process moved the run on meanwhile.
    static func reached(
        _ run: String, from before: Int64, to bytes: Int64, line: Int, staged: Int, rejected: Int, problems: Int,
        isEnd: Bool, at now: Instant
    ) -> Statement {
        Statement(
            """
            UPDATE import_runs SET bytes_done = $3, line = $4, staged = staged + $5, rejected = rejected + $6,
                problems = problems + $7, state = $8, updated_at = $9
            WHERE id = $1 AND bytes_done = $2 AND state = 'staging'
            """,
            [
                .text(run), .int(before), .int(bytes), .int(Int64(line)), .int(Int64(staged)), .int(Int64(rejected)),
                .int(Int64(problems)), .text(isEnd ? "staged" : "staging"), Value(now),
            ], expectedRows: 1)
    }

    /// Takes rows back that can't be applied. When the last batch was applied stays as it is.
    static func unstage(_ run: String, rows: [Int64], problems: Int) -> [Statement] {
        stride(from: 0, to: rows.count, by: 500).map { start in
            let part = rows[start..<min(start + 500, rows.count)]
            return Statement(
                "DELETE FROM import_rows WHERE run_id = $1 AND seq IN (\(placeholders(part.count, from: 2)))",
                [.text(run)] + part.map(Value.int))
        } + [
            Statement(
                """
                UPDATE import_runs SET staged = staged - $2, rejected = rejected + $2, problems = problems + $3
                WHERE id = $1
                """, [.text(run), .int(Int64(rows.count)), .int(Int64(problems))], expectedRows: 1)
        ]
    }

    /// Staged rows behind one, in order.
    static func rows(of run: String, after seq: Int64, limit: Int) -> Statement {
        Statement(
            "SELECT seq, line, content FROM import_rows WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT \(limit)",
            [.text(run), .int(seq)])
    }

    /// The last staged rows up to one, the last first.
    static func rows(of run: String, through seq: Int64, limit: Int) -> Statement {
        Statement(
            """
            SELECT seq, line, content FROM import_rows WHERE run_id = $1 AND seq > 0 AND seq <= $2
            ORDER BY seq DESC LIMIT \(limit)
            """, [.text(run), .int(seq)])
    }

    /// Rows that the last batch took before their turn.
    static func rowsAhead(of run: String) -> Statement {
        Statement(
            "SELECT seq, line, content FROM import_rows WHERE run_id = $1 AND seq < 0 ORDER BY seq", [.text(run)])
    }

    /// Staged rows of these customers, behind one. `externalIDs` MUST NOT be empty.
    static func rows(of run: String, naming externalIDs: [String], after seq: Int64) -> Statement {
        Statement(
            """
            SELECT seq, line, content FROM import_rows
            WHERE run_id = $1 AND seq > $2 AND external_id IN (\(placeholders(externalIDs.count, from: 3))) ORDER BY seq
            """, [.text(run), .int(seq)] + externalIDs.map(Value.text))
    }

    /// Takes out of the file what was applied before its turn. It stays aside until the next batch is in: what its words lead to
    /// comes after the batch.
    static func appliedAhead(_ run: String, _ externalIDs: [String], after seq: Int64) -> Statement {
        Statement(
            """
            UPDATE import_rows SET seq = -seq
            WHERE run_id = $1 AND seq > $2 AND external_id IN (\(placeholders(externalIDs.count, from: 3)))
            """, [.text(run), .int(seq)] + externalIDs.map(Value.text))
    }

    /// Forgets what the batch before took ahead.
    static func forgetAhead(_ run: String) -> Statement {
        Statement("DELETE FROM import_rows WHERE run_id = $1 AND seq < 0", [.text(run)])
    }

    /// A batch is in; never counted twice.
    static func applied(
        _ run: String, through seq: Int64, _ counts: RegistryBatch.Counts, at now: Instant
    ) -> Statement {
        Statement(
            """
            UPDATE import_runs SET applied = $2, created = created + $3, updated = updated + $4,
                unchanged = unchanged + $5, state = 'applying', updated_at = $6
            WHERE id = $1 AND applied < $2
            """,
            [
                .text(run), .int(seq), .int(Int64(counts.created)), .int(Int64(counts.updated)),
                .int(Int64(counts.unchanged)), Value(now),
            ], expectedRows: 1)
    }

    static func finished(_ run: String, at now: Instant) -> Statement {
        Statement(
            "UPDATE import_runs SET state = 'applied', updated_at = $2 WHERE id = $1", [.text(run), Value(now)],
            expectedRows: 1)
    }

    /// What was wrong, in the order of the file, behind one line and number.
    static func problems(of run: String, after line: Int64, _ number: Int64, limit: Int) -> Statement {
        Statement(
            """
            SELECT line, number, field, reason, source FROM import_problems
            WHERE run_id = $1 AND (line, number) > ($2, $3) ORDER BY line, number LIMIT \(limit)
            """, [.text(run), .int(line), .int(number)])
    }

    // MARK: Forgetting

    /// Removes up to 5,000 staged rows; answers a row for each. A stretch of them: whatever the planner
    /// knows of a table that was just filled, it has one way to do this.
    static func forgetRows(_ run: String) -> Statement {
        Statement(
            """
            DELETE FROM import_rows WHERE run_id = $1 AND seq <= (
                SELECT max(seq) FROM (
                    SELECT seq FROM import_rows WHERE run_id = $1 ORDER BY seq LIMIT 5000) AS first)
            RETURNING seq
            """, [.text(run)])
    }

    static func forgetProblems(_ run: String) -> Statement {
        Statement(
            """
            DELETE FROM import_problems WHERE run_id = $1 AND (line, number) <= (
                SELECT line, number FROM (
                    SELECT line, number FROM import_problems WHERE run_id = $1 ORDER BY line, number LIMIT 5000) AS first
                ORDER BY line DESC, number DESC LIMIT 1)
            RETURNING line
            """, [.text(run)])
    }

    static func forgetRun(_ run: String) -> Statement {
        Statement("DELETE FROM import_runs WHERE id = $1", [.text(run)])
    }

    /// Runs nobody has touched since a time.
    static func abandoned(before time: Instant) -> Statement {
        Statement(
            "SELECT id FROM import_runs WHERE updated_at < $1 ORDER BY updated_at, id LIMIT 100", [Value(time)])
    }

    private static func insert(_ head: String, _ rows: [[Value]], ending: String = "") -> [Statement] {
        stride(from: 0, to: rows.count, by: chunk).map { start in
            let part = rows[start..<min(start + chunk, rows.count)]
            let width = part.first?.count ?? 0
            let tuples = part.indices.map { index in
                "(\(placeholders(width, from: (index - start) * width + 1)))"
            }
            return Statement(
                "INSERT INTO \(head) VALUES \(tuples.joined(separator: ", "))\(ending)", part.flatMap { $0 })
        }
    }
}
