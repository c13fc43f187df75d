import CPQ
import Foundation
import Kernel

/// One connection, used by one thread. Everything is sent in libpq's pipeline mode: a list of statements is one round
/// trip, and statements are prepared in the same trip that first uses them.
final class PostgresConnection {
    struct Result {
        var rows: [Row] = []
        var affected = 0
        var tag = ""
    }

    /// A statement is planned once per text and kinds of its values; which values are NULL is part of it.
    private struct PlanKey: Hashable {
        let text: String
        let kinds: ParameterKinds
    }

    /// A prepared statement, and the columns of its rows once they are known.
    private final class Plan {
        let name: String
        var columns: ColumnIndex?
        var types: [Oid] = []
        init(name: String) { self.name = name }
    }

    private enum Awaited {
        case prepare(PlanKey, Plan)
        case execute(Int, Plan?)
    }

    private let settings: PostgresDatabase.Settings
    private var handle: OpaquePointer?
    private var plans: [PlanKey: Plan] = [:]
    private var checked: [CheckedKey: String] = [:]
    private var nextPlan = 0
    private var nextCursor = 0
    /// Counts connects: a lease compares it to learn that its session ended.
    private(set) var generation = 0

    private struct CheckedKey: Hashable {
        let text: String
        let rows: Int
    }

    private var parameters = Parameters()

    private static let planLimit = 400

    init(_ settings: PostgresDatabase.Settings) { self.settings = settings }
    deinit { disconnect() }

    func disconnect() {
        if let handle { PQfinish(handle) }
        handle = nil
        plans.removeAll()
    }

    /// Connects unless there is a connection the server still keeps open.
    func ensureConnected() throws {
        if let handle {
            // Nothing is expected from the server between transactions. What is there to be read is the farewell or the
            // end-of-file of a session it ended (or a notice of changed settings, for which a new one does no harm).
            let isQuiet = !wait(PQsocket(handle), Int32(POLLIN), until: Deadline(after: .seconds(0)))
            if isQuiet, PQstatus(handle) == CONNECTION_OK { return }
            disconnect()
        }
        try connect()
    }

    private func connect() throws {
        let deadline = Deadline(after: settings.connectTimeout)
        // What stands before `dbname` yields to what the URL says of it.
        let keywords =
            Self.aliveness.map(\.keyword) + ["dbname", "fallback_application_name", "client_encoding"]
            + (settings.applicationName == nil ? [] : ["application_name"])
        let values =
            Self.aliveness.map(\.value) + [settings.url, "postern", "UTF8"]
            + (settings.applicationName.map { [$0] } ?? [])
        let connection = withCStringArray(keywords) { keys in
            withCStringArray(values) { PQconnectStartParams(keys, $0, 1) }
        }
        guard let connection else { throw PostgresFailure(lost: "out of memory") }
        var polling = PGRES_POLLING_WRITING
        while polling != PGRES_POLLING_OK {
            guard PQstatus(connection) != CONNECTION_BAD, polling != PGRES_POLLING_FAILED else {
                let message = String(cString: PQerrorMessage(connection))
                PQfinish(connection)
                throw PostgresFailure(lost: message)
            }
            let events = polling == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard wait(PQsocket(connection), Int32(events), until: deadline) else {
                PQfinish(connection)
                throw PostgresFailure(lost: "The database did not accept a connection in time.")
            }
            polling = PQconnectPoll(connection)
        }
        PQsetnonblocking(connection, 1)
        PQenterPipelineMode(connection)
        handle = connection
        generation += 1
        plans.removeAll()
        do {
            // Set for the session: a URL's own options stay in force for everything else.
            var timeouts = [
                ("statement_timeout", settings.statementTimeout), ("lock_timeout", settings.lockTimeout),
                ("idle_in_transaction_session_timeout", settings.transactionIdle),
            ]
            if settings.idleTimeout > .seconds(0) { timeouts.append(("idle_session_timeout", settings.idleTimeout)) }
            var texts =
                timeouts.map { ($0, String($1.microseconds / 1000)) } + [
                    ("bytea_output", "hex"), ("client_min_messages", "warning"),
                    // So that the server too finds out when this process's machine is gone, and lets go of its locks.
                    ("tcp_keepalives_idle", "10"), ("tcp_keepalives_interval", "5"), ("tcp_keepalives_count", "3"),
                ]
            // For what is read without a BEGIN; whoever writes says so in his.
            if settings.isForTransactions {
                texts += [
                    ("default_transaction_isolation", "repeatable read"), ("default_transaction_read_only", "on"),
                    // Everything asked here is answered from an index in portions: starting workers for a portion, or compiling
                    // its plan, costs many times what it saves.
                    ("max_parallel_workers_per_gather", "0"), ("jit", "off"),
                    // What is asked often is in memory, and disks have no heads to move. By the server's own 4.0 the plan of a small
                    // table is to read all of it, and it is kept when the table has grown.
                    ("random_page_cost", "1.1"),
                ]
            }
            _ = try run(
                texts.map { Statement("SELECT set_config($1, $2, false)", [.text($0), .text($1)]) } + [
                    Self.fastCompression
                ])
        } catch {
            disconnect()
            throw error
        }
    }

    /// Storing the sealed members of a decision takes PostgreSQL a third less than by its own pglz, in as much room. A server that was built
    /// without lz4 keeps its own way.
    private static let fastCompression = Statement(
        "SELECT set_config(name, 'lz4', false) FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
    )

    /// A peer that vanished without a word is found out by TCP itself: an idle one after 25 s, one that takes no bytes after
    /// 15 s. A proxy in between may hide it; then only the deadlines of answers help.
    private static let aliveness: [(keyword: String, value: String)] = [
        ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
        ("tcp_user_timeout", "15000"),
    ]

    /// Sends all statements in one round trip and waits for all answers. The first error ends the list; the server
    /// skips what follows it.
    func run(_ statements: [Statement]) throws -> [Result] {
        guard let handle else { throw PostgresFailure(lost: "not connected") }
        if plans.count > Self.planLimit { try forgetPlans(handle) }
        return try exchange(statements, handle)
    }

    /// The statement with its number of rows checked by the server, for sending it together with the commit.
    func checked(_ text: String, expecting rows: Int) -> String {
        let key = CheckedKey(text: text, rows: rows)
        if let known = checked[key] { return known }
        let returning = text.range(of: "RETURNING", options: .caseInsensitive) != nil
        let whole =
            "WITH written AS (\(text)\(returning ? "" : " RETURNING 1")) "
            + "SELECT postern_expect_rows(count(*), \(rows)) FROM written"
        if checked.count >= Self.planLimit { checked = [:] }
        checked[key] = whole
        return whole
    }

    private func forgetPlans(_ handle: OpaquePointer) throws {
        plans.removeAll()
        // Unnamed, so that it is not itself kept.
        _ = try exchange([Statement("DEALLOCATE ALL")], handle, keep: false)
    }

    private func exchange(_ statements: [Statement], _ handle: OpaquePointer, keep: Bool = true) throws -> [Result] {
        var awaited: [Awaited] = []
        var coming: [PlanKey: Plan] = [:]
        for (index, statement) in statements.enumerated() {
            try parameters.lay(statement.values)
            var sent: Int32
            var plan: Plan?
            if keep, statement.values.count <= Parameters.keptValues {
                let key = PlanKey(text: statement.text, kinds: parameters.kinds)
                let used: Plan
                if let known = plans[key] ?? coming[key] {
                    used = known
                } else {
                    used = Plan(name: "p\(nextPlan)")
                    nextPlan += 1
                    coming[key] = used
                    awaited.append(.prepare(key, used))
                    sent = parameters.types.withUnsafeBufferPointer {
                        PQsendPrepare(
                            handle, used.name, PostgresType.text(of: statement), Int32($0.count), $0.baseAddress)
                    }
                    guard sent == 1 else { throw lose(handle) }
                }
                sent = parameters.withPointers { count, _, values, lengths, formats in
                    PQsendQueryPrepared(handle, used.name, count, values, lengths, formats, 0)
                }
                plan = used
            } else {
                sent = parameters.withPointers { count, types, values, lengths, formats in
                    PQsendQueryParams(
                        handle, PostgresType.text(of: statement), count, types, values, lengths, formats, 0)
                }
            }
            guard sent == 1 else { throw lose(handle) }
            awaited.append(.execute(index, plan))
        }
        guard PQpipelineSync(handle) == 1 else { throw lose(handle) }
        return try collect(awaited, count: statements.count, handle)
    }

    private func collect(_ awaited: [Awaited], count: Int, _ handle: OpaquePointer) throws -> [Result] {
        var results = [Result](repeating: Result(), count: count)
        var failure: PostgresFailure?
        var position = 0
        // The server enforces its own timeout; this one is for a server or network that went silent. Each answer
        // starts it again.
        var deadline = Deadline(after: settings.answerTimeout)
        while true {
            while PQisBusy(handle) == 1 {
                let unsent = PQflush(handle)
                guard unsent >= 0 else { throw lose(handle) }
                guard
                    wait(PQsocket(handle), Int32(unsent == 1 ? POLLIN | POLLOUT : POLLIN), until: deadline)
                else {
                    var silent = lose(handle, "The database did not answer in time.")
                    silent.isSilent = true
                    throw silent
                }
                guard PQconsumeInput(handle) == 1 else { throw failure ?? lose(handle) }
            }
            guard let result = PQgetResult(handle) else {
                // Separates the answers of two statements.
                if PQstatus(handle) == CONNECTION_BAD { throw failure ?? lose(handle) }
                continue
            }
            defer { PQclear(result) }
            deadline = Deadline(after: settings.answerTimeout)
            let status = PQresultStatus(result)
            switch status {
            case PGRES_PIPELINE_SYNC:
                if let failure {
                    if failure.isConnectionLost { disconnect() }
                    throw failure
                }
                return results
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
                guard position < awaited.count else { throw lose(handle, "unexpected answer") }
                switch awaited[position] {
                case .prepare(let key, let plan): plans[key] = plan
                case .execute(let index, let plan): results[index] = Self.decode(result, plan)
                }
                position += 1
            case PGRES_PIPELINE_ABORTED:
                position += 1
            default:
                if failure == nil { failure = PostgresFailure(result) }
                if PQstatus(handle) == CONNECTION_BAD {
                    disconnect()
                    var lost = failure ?? PostgresFailure(lost: "The connection ended.")
                    lost.isConnectionLost = true
                    throw lost
                }
                position += 1
            }
        }
    }

    /// Calls `body` for each row, a thousand at a time.
    func forEach(_ statement: Statement, _ body: (Row) throws -> Void) throws {
        nextCursor += 1
        let name = "c\(nextCursor)"
        let fetch = Statement("FETCH FORWARD 1000 FROM \(name)")
        func batch(_ statements: [Statement]) throws -> [Row] {
            guard let handle else { throw PostgresFailure(lost: "not connected") }
            return try exchange(statements, handle, keep: false).last?.rows ?? []
        }
        var rows = try batch([
            Statement("DECLARE \(name) NO SCROLL CURSOR FOR \(statement.text)", statement.values), fetch,
        ])
        while !rows.isEmpty {
            for row in rows { try body(row) }
            rows = rows.count == 1000 ? try batch([fetch]) : []
        }
        _ = try batch([Statement("CLOSE \(name)")])
    }

    /// Calls `body` with each row of a statement as it comes, in the server's binary form. Planned for its values: what is
    /// worth scanning is worth a plan.
    func scan(_ statement: Statement, _ body: ([RawValue]) throws -> Void) throws {
        guard let handle else { throw PostgresFailure(lost: "not connected") }
        try parameters.lay(statement.values)
        let sent = parameters.withPointers { count, types, values, lengths, formats in
            PQsendQueryParams(handle, PostgresType.text(of: statement), count, types, values, lengths, formats, 1)
        }
        guard sent == 1, PQsetSingleRowMode(handle) == 1, PQpipelineSync(handle) == 1 else { throw lose(handle) }
        var columns: [RawValue] = []
        var failure: (any Error)?
        while true {
            let result = try nextPipelined(handle)
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_SINGLE_TUPLE:
                // What `body` throws ends it; the rest of the answer is still to be taken.
                guard failure == nil else { continue }
                do {
                    try Self.read(result, into: &columns)
                    try body(columns)
                } catch { failure = error }
            case PGRES_TUPLES_OK: continue
            case PGRES_PIPELINE_SYNC:
                if let failure { throw failure }
                return
            default:
                var refusal = PostgresFailure(result)
                if PQstatus(handle) == CONNECTION_BAD {
                    disconnect()
                    refusal.isConnectionLost = true
                    throw refusal
                }
                if failure == nil { failure = refusal }
            }
        }
    }

    /// The next result in pipeline mode; what separates the answers of two statements is passed over.
    private func nextPipelined(_ handle: OpaquePointer) throws -> OpaquePointer {
        let deadline = Deadline(after: settings.answerTimeout)
        while true {
            while PQisBusy(handle) == 1 {
                let unsent = PQflush(handle)
                guard unsent >= 0 else { throw lose(handle) }
                guard wait(PQsocket(handle), Int32(unsent == 1 ? POLLIN | POLLOUT : POLLIN), until: deadline) else {
                    throw lose(handle, "The database did not answer in time.")
                }
                guard PQconsumeInput(handle) == 1 else { throw lose(handle) }
            }
            if let result = PQgetResult(handle) { return result }
            if PQstatus(handle) == CONNECTION_BAD { throw lose(handle) }
        }
    }

    /// The first row of a result in binary form.
    private static func read(_ result: OpaquePointer, into columns: inout [RawValue]) throws {
        columns.removeAll(keepingCapacity: true)
        for column in 0..<PQnfields(result) {
            guard PQgetisnull(result, 0, column) == 0 else {
                columns.append(.null)
                continue
            }
            let bytes = UnsafeRawBufferPointer(
                start: PQgetvalue(result, 0, column), count: Int(PQgetlength(result, 0, column)))
            columns.append(try PostgresType.raw(bytes, PQftype(result, column)))
        }
    }

    // MARK: COPY

    /// How much is handed to libpq at a time.
    private static let copyPiece = 1 << 18

    /// Sends rows by COPY. It does not travel in pipeline mode, which can be left because nothing is under way between two
    /// exchanges.
    func copy(_ rows: RowLoad) throws {
        guard let handle else { throw PostgresFailure(lost: "not connected") }
        guard PQexitPipelineMode(handle) == 1 else { throw lose(handle) }
        guard PQsendQuery(handle, "COPY \(rows.table) (\(rows.columns)) FROM STDIN (FORMAT binary)") == 1 else {
            throw lose(handle)
        }
        let begun = try answer(handle)
        let isOpen = PQresultStatus(begun) == PGRES_COPY_IN
        let refusal = isOpen ? nil : PostgresFailure(begun)
        PQclear(begun)
        if isOpen {
            var encoder = CopyRows(rows)
            while let piece = encoder.next(Self.copyPiece) { try put(piece, handle) }
            while PQputCopyEnd(handle, nil) == 0 { try flush(handle) }
        }
        let failure = try end(handle) ?? refusal
        guard PQenterPipelineMode(handle) == 1 else { throw lose(handle) }
        if let failure {
            if failure.isConnectionLost { disconnect() }
            throw failure
        }
    }

    private func put(_ piece: [UInt8], _ handle: OpaquePointer) throws {
        try piece.withUnsafeBytes { bytes in
            let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            while true {
                let taken = PQputCopyData(handle, start, Int32(bytes.count))
                guard taken >= 0 else { throw lose(handle) }
                try flush(handle)
                if taken == 1 { return }
            }
        }
    }

    /// Waits until the server has taken everything.
    private func flush(_ handle: OpaquePointer) throws {
        let deadline = Deadline(after: settings.answerTimeout)
        while true {
            let unsent = PQflush(handle)
            guard unsent >= 0 else { throw lose(handle) }
            if unsent == 0 { return }
            guard wait(PQsocket(handle), Int32(POLLIN | POLLOUT), until: deadline) else {
                throw lose(handle, "The database did not take the rows in time.")
            }
            guard PQconsumeInput(handle) == 1 else { throw lose(handle) }
        }
    }

    /// The next result outside of pipeline mode.
    private func answer(_ handle: OpaquePointer) throws -> OpaquePointer {
        guard let result = try nextAnswer(handle) else { throw lose(handle) }
        return result
    }

    private func nextAnswer(_ handle: OpaquePointer) throws -> OpaquePointer? {
        try flush(handle)
        let deadline = Deadline(after: settings.answerTimeout)
        while PQisBusy(handle) == 1 {
            guard wait(PQsocket(handle), Int32(POLLIN), until: deadline) else {
                throw lose(handle, "The database did not answer in time.")
            }
            guard PQconsumeInput(handle) == 1 else { throw lose(handle) }
        }
        return PQgetResult(handle)
    }

    /// Takes what is left of a command; answers its failure.
    private func end(_ handle: OpaquePointer) throws -> PostgresFailure? {
        var failure: PostgresFailure?
        while let result = try nextAnswer(handle) {
            if PQresultStatus(result) != PGRES_COMMAND_OK, failure == nil { failure = PostgresFailure(result) }
            PQclear(result)
        }
        return failure
    }

    private func lose(_ handle: OpaquePointer, _ message: String? = nil) -> PostgresFailure {
        let text = message ?? String(cString: PQerrorMessage(handle))
        disconnect()
        return PostgresFailure(lost: text)
    }

    private static func decode(_ result: OpaquePointer, _ plan: Plan?) -> Result {
        let count = Int(PQntuples(result))
        let width = Int(PQnfields(result))
        var decoded = Result()
        decoded.tag = String(cString: PQcmdStatus(result))
        decoded.affected = Int(strtol(PQcmdTuples(result), nil, 10))
        guard width > 0, count > 0 else { return decoded }
        // A prepared statement's columns never change: the server refuses it then.
        let columns: ColumnIndex
        let types: [Oid]
        if let plan, let known = plan.columns {
            (columns, types) = (known, plan.types)
        } else {
            columns = ColumnIndex((0..<width).map { String(cString: PQfname(result, Int32($0))) })
            types = (0..<width).map { PQftype(result, Int32($0)) }
            plan?.columns = columns
            plan?.types = types
        }
        decoded.rows.reserveCapacity(count)
        for row in 0..<count {
            var values: [Value] = []
            values.reserveCapacity(width)
            for column in 0..<width {
                let (row, column) = (Int32(row), Int32(column))
                guard PQgetisnull(result, row, column) == 0 else {
                    values.append(.null)
                    continue
                }
                let bytes = UnsafeRawBufferPointer(
                    start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
                values.append(PostgresType.decode(bytes, types[Int(column)]))
            }
            decoded.rows.append(Row(columns: columns, values: values))
        }
        return decoded
    }
}

/// A moment of the monotonic clock after which waiting ends.
struct Deadline {
    private let nanoseconds: UInt64
    init(after span: Span) {
        nanoseconds = DispatchTime.now().uptimeNanoseconds &+ UInt64(max(0, span.microseconds)) &* 1000
    }
    var remainingMilliseconds: Int32 {
        let now = DispatchTime.now().uptimeNanoseconds
        guard nanoseconds > now else { return 0 }
        return Int32(min((nanoseconds - now + 999_999) / 1_000_000, 3_600_000))
    }
}

/// Waits until the socket is ready; false when the deadline passed first.
private func wait(_ socket: Int32, _ events: Int32, until deadline: Deadline) -> Bool {
    while true {
        var descriptor = pollfd(fd: socket, events: Int16(events), revents: 0)
        let ready = poll(&descriptor, 1, deadline.remainingMilliseconds)
        if ready > 0 { return true }
        if ready == 0 { return false }
        // A signal: wait again for the rest. Anything else is seen by the next libpq call.
        if errno != EINTR { return true }
    }
}

private func withCStringArray<R>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> R) -> R {
    let copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
    defer { for copy in copies { free(copy) } }
    return copies.map { UnsafePointer($0) }.withUnsafeBufferPointer { body($0.baseAddress!) }
}
