import HTTPTypes
import Hummingbird
import Kernel
import NIOCore
import Synchronization

/// Lists as files: streamed, and recorded when they begin and when they end.
extension StaffAPI {
    func exportRoutes() -> [Route] {
        context.catalog.reads.compactMap { read in
            read.export.map { export in
                signed(.get, read.path + "/export", cookieDownload: true) { exchange, signed in
                    try Self.check(exchange, knows: read.exportParameters.map(\.name))
                    return try await self.export(read, export, exchange, signed)
                }
            }
        } + [
            signed(.get, "/audit-events/export", cookieDownload: true) { exchange, signed in
                try Self.check(exchange, knows: OpenAPI.exportParameters(context.catalog).map(\.name) + ["format"])
                return try await exportEvents(exchange, signed, try Self.format(exchange))
            }
        ]
    }

    /// Whether a client that asks for a list wants it as a file.
    static func wantsCSV(_ exchange: Exchange) -> Bool {
        let first = exchange.headers[.accept]?.split(separator: ",").first?.split(separator: ";").first
        return first?.trimmed.lowercased() == "text/csv"
    }

    private static func format(_ exchange: Exchange) throws -> ExportFormat {
        guard let text = exchange.query["format"]?.first, !text.isEmpty else {
            return wantsCSV(exchange) ? .csv : .jsonl
        }
        guard let format = ExportFormat(rawValue: text) else {
            let known = ExportFormat.allCases.map(\.rawValue).joined(separator: " or ")
            throw Problem.invalid([FieldError(pointer: "?format", detail: "format must be \(known).")])
        }
        return format
    }

    /// A list as comma-separated values, by its own pages.
    func export(_ read: Read, _ export: ListExport, _ exchange: Exchange, _ signed: Signed) async throws -> Response {
        if let permission = read.permission, !signed.caller.permissions.contains(permission) {
            try await context.pipeline.recordDenial(permission, operation: nil, by: signed.caller)
            throw OperationError.forbidden(
                permission: permission,
                detail: "This needs the permission \(permission), which none of your roles holds.")
        }
        let call = ReadCall(
            path: exchange.parameters, query: exchange.query, caller: signed.caller, cursors: context.cursors)
        let slot = try slots.take(signed.caller.person)
        let columns = export.columns
        let name = "\(read.plural).csv"
        guard exchange.request.method != .head else {
            try await context.pipeline.checkExport(export.permission, by: signed.caller) { reader in
                _ = try read.exported(call, after: nil, columns: columns, from: reader)
            }
            return Response(status: .ok, headers: Self.headers(.csv, name))
        }
        // The first portion is read before the answer begins: what is wrong with the request is still a problem then.
        let (first, begun) = try await context.pipeline.beginExport(
            export.permission, format: ExportFormat.csv.rawValue, columns: columns.map(\.name), by: signed.caller
        ) { reader in
            let portion = try read.exported(call, after: nil, columns: columns, from: reader)
            return (portion, try export.disclosure(call, reader))
        }
        let pipeline = context.pipeline
        let holds = [read.permission, export.permission].compactMap { $0 }
        return stream(.csv, name, begun, slot, exchange) {
            try await checkStill(signed, holds: holds, exchange)
        } produce: { give in
            var header: [UInt8] = []
            CSV.append(header: columns.map(\.name), to: &header)
            try await give(header, 0)
            var portion = first
            while true {
                if !portion.bytes.isEmpty { try await give(portion.bytes, portion.rows) }
                guard let next = portion.next else { return }
                portion = try await pipeline.read(export.permission, by: signed.caller) { reader in
                    (try read.exported(call, after: next, columns: columns, from: reader), nil)
                }
            }
        }
    }

    func exportEvents(_ exchange: Exchange, _ signed: Signed, _ format: ExportFormat) async throws -> Response {
        guard let read = context.catalog.eventFilter else {
            throw Problem(.notFound, "This deployment has no audit log to export.")
        }
        let call = ReadCall(path: [:], query: exchange.query, caller: signed.caller, cursors: context.cursors)
        let names = Set(OpenAPI.exportParameters(context.catalog).map(\.name))
        let typed = JSON.object(
            exchange.query.filter { names.contains($0.key) }.compactMapValues { $0.first.map(JSON.string) })
        let slot = try slots.take(signed.caller.person)
        let name = "postern-events.\(format.rawValue)"
        guard exchange.request.method != .head else {
            try await context.pipeline.checkExport("audit.export", by: signed.caller) { reader in
                _ = try read(call, reader)
            }
            return Response(status: .ok, headers: Self.headers(format, name))
        }
        let (filter, begun) = try await context.pipeline.beginExport(
            "audit.export", format: format.rawValue, by: signed.caller
        ) { reader in
            let filter = try read(call, reader)
            // How many events match is known when the last one has left.
            return (
                filter,
                Disclosure(
                    "audit.export", tenant: filter.tenant, query: typed, count: nil,
                    subjects: [filter.actor, filter.tenant, filter.target].compactMap { $0 })
            )
        }
        let log = context.log
        return stream(format, name, begun, slot, exchange) {
            try await checkStill(signed, holds: ["audit.export"], exchange)
        } produce: { give in
            try await log.export(filter, as: format) { try await give($0, $1) }
        }
    }

    /// Refuses to go on with a file for somebody whose session ended meanwhile, or who no longer holds what it takes. That they
    /// are asked after is no use of their session.
    func checkStill(_ signed: Signed, holds permissions: [String], _ exchange: Exchange) async throws(OperationError) {
        let found: Caller?
        switch signed.means {
        case .session:
            found = try await context.authenticate(signed.token, exchange, exchange.apiSource, isUse: false)?.0
        case .account:
            guard let door = context.accountDoor else { throw .unauthenticated }
            found = try await context.authenticate(signed.token, at: door, exchange)?.caller
        }
        guard let caller = found else { throw .unauthenticated }
        for permission in permissions {
            if let sentence = caller.emergency?.refusal(on: nil) {
                throw .forbidden(permission: permission, detail: sentence)
            }
            guard caller.permissions.contains(permission) else {
                throw .forbidden(
                    permission: permission,
                    detail: "This needs the permission \(permission), which none of your roles holds any more.")
            }
        }
    }

    /// All that HEAD is answered: nothing leaves, so nothing is recorded as begun.
    private static func headers(_ format: ExportFormat, _ name: String) -> HTTPFields {
        [
            .contentType: format.contentType, .cacheControl: "no-store",
            .contentDisposition: "attachment; filename=\"\(name)\"",
        ]
    }

    private typealias Give = @Sendable (_ piece: [UInt8], _ rows: Int64) async throws -> Void

    /// Streams a file: a piece is made only when the one before it has been taken. When something fails on the way the
    /// connection is cut, so that a client never takes half a file for a whole one; so it is for whoever may not have the rest
    /// of it, or does not read on. The end is recorded before the client sees it, and one for each file.
    /// - Parameter checkStill: throws when whoever takes the file may no longer; asked now and then, also within a piece.
    private func stream(
        _ format: ExportFormat, _ name: String, _ begun: BegunExport, _ slot: ExportSlots.Slot, _ exchange: Exchange,
        checkStill: @escaping @Sendable () async throws -> Void,
        produce: @escaping @Sendable (@escaping Give) async throws -> Void
    ) -> Response {
        let lookTime = Duration.microseconds(context.configuration.exportLookTime.microseconds)
        // It runs from here: the head of the answer, too, waits for a reader.
        let deadline = ReadingDeadline(
            .microseconds(context.configuration.exportPieceTime.microseconds), cut: exchange.cut)
        let running = RunningExport(begun, context.pipeline) { deadline.wasMissed ? .notRead : .connectionLost }
        return Response(
            status: .ok, headers: Self.headers(format, name),
            body: .init { writer in
                defer { slot.free() }
                deadline.end()
                let handoff = Handoff()
                let producer = Task {
                    do {
                        try await produce { try await handoff.give(($0, $1)) }
                        await handoff.finish(nil)
                    } catch {
                        await handoff.finish(error)
                    }
                }
                var tally = ExportTally()
                var lookedAt = ContinuousClock.now
                var isWriting = false
                do {
                    while let (bytes, rows) = try await handoff.take() {
                        for start in stride(from: 0, to: bytes.count, by: Self.sliceBytes) {
                            if ContinuousClock.now - lookedAt >= lookTime {
                                // What it takes to look is not the reader's time.
                                deadline.end()
                                isWriting = false
                                try await checkStill()
                                lookedAt = ContinuousClock.now
                            }
                            let slice = Array(bytes[start..<min(start + Self.sliceBytes, bytes.count)])
                            tally.take(slice)
                            isWriting = true
                            deadline.begin()
                            try await writer.write(ByteBuffer(bytes: slice))
                        }
                        deadline.end()
                        isWriting = false
                        // A row is counted when all of its piece has left.
                        tally.rows += rows
                    }
                    try await running.end(tally)
                    isWriting = true
                    deadline.begin()
                    try await writer.finish(nil)
                    deadline.end()
                } catch {
                    deadline.end()
                    await handoff.close()
                    producer.cancel()
                    let left = tally
                    let failure: ExportFailure =
                        deadline.wasMissed ? .notRead : isWriting ? .connectionLost : ExportFailure(error)
                    await running.breakOff(left, failure)
                    throw error
                }
            })
    }

    /// What is written at once, so that a slow reader is told from one that does not read.
    private static let sliceBytes = 1 << 16
}

/// An export that began, until its end is recorded: once, whatever becomes of it. Dropped without an end, as when the client went
/// away before the answer began, it records that nothing of it left.
final class RunningExport: Sendable {
    private let begun: BegunExport
    private let pipeline: Pipeline
    private let whyDropped: @Sendable () -> ExportFailure
    private let isEnded = Atomic(false)

    /// - Parameter whyDropped: asked when it is dropped without an end.
    init(_ begun: BegunExport, _ pipeline: Pipeline, whyDropped: @escaping @Sendable () -> ExportFailure) {
        self.begun = begun
        self.pipeline = pipeline
        self.whyDropped = whyDropped
    }

    deinit {
        guard !isEnded.load(ordering: .relaxed) else { return }
        let failure = whyDropped()
        Task { [begun, pipeline] in try? await pipeline.endExport(begun, ExportTally(), failure: failure) }
    }

    /// Records that it is whole.
    func end(_ tally: ExportTally) async throws(OperationError) {
        try await pipeline.endExport(begun, tally)
        isEnded.store(true, ordering: .relaxed)
    }

    /// Records that it was broken off, unless its end is recorded already.
    func breakOff(_ tally: ExportTally, _ failure: ExportFailure) async {
        guard !isEnded.exchange(true, ordering: .relaxed) else { return }
        // Of its own, because the request's task is cancelled when the client went away.
        await Task { [begun, pipeline] in try? await pipeline.endExport(begun, tally, failure: failure) }.value
    }
}

/// Cuts a connection whose reader does not take what it is given in time. It runs from its making until it is ended.
private final class ReadingDeadline: Sendable {
    private final class Missed: Sendable { let flag = Atomic(false) }
    private let limit: Duration
    private let cut: @Sendable () -> Void
    private let missed = Missed()
    private let watch = Mutex<Task<Void, Never>?>(nil)

    init(_ limit: Duration, cut: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.cut = cut
        begin()
    }

    deinit { end() }

    var wasMissed: Bool { missed.flag.load(ordering: .relaxed) }

    /// Counts from now.
    func begin() {
        let next = Task<Void, Never> { [limit, cut, missed] in
            do { try await Task.sleep(for: limit) } catch { return }
            missed.flag.store(true, ordering: .relaxed)
            cut()
        }
        watch.withLock { watch in
            watch?.cancel()
            watch = next
        }
    }

    func end() {
        watch.withLock { watch in
            watch?.cancel()
            watch = nil
        }
    }
}

/// How many exports run at once: each keeps a connection to the database busy.
final class ExportSlots: Sendable {
    private static let most = 4
    private static let mostOfOne = 2
    private let running = Mutex<[String: Int]>([:])

    /// A place that is given back when the export is over, or its answer is dropped before it began.
    final class Slot: Sendable {
        private let slots: ExportSlots
        private let person: String
        private let isHeld = Mutex(true)

        fileprivate init(_ slots: ExportSlots, _ person: String) {
            self.slots = slots
            self.person = person
        }

        deinit { free() }

        func free() {
            let wasHeld = isHeld.withLock { held in
                defer { held = false }
                return held
            }
            guard wasHeld else { return }
            slots.running.withLock { running in
                let left = (running[person] ?? 1) - 1
                running[person] = left > 0 ? left : nil
            }
        }
    }

    func take(_ person: String) throws -> Slot {
        let isFree = running.withLock { running in
            guard running.values.reduce(0, +) < Self.most, running[person] ?? 0 < Self.mostOfOne else { return false }
            running[person, default: 0] += 1
            return true
        }
        guard isFree else {
            var problem = Problem(
                .tooManyRequests,
                "\(Self.mostOfOne) exports of one person and \(Self.most) in all run at a time. Wait until one is done."
            )
            problem.retryAfter = 10
            throw problem
        }
        return Slot(self, person)
    }
}

/// Passes pieces from one task to another, one at a time: giving waits until the piece was taken.
private actor Handoff {
    typealias Piece = (bytes: [UInt8], rows: Int64)
    private struct Closed: Error {}
    private var piece: Piece?
    private var isFinished = false
    private var isClosed = false
    private var failure: (any Error)?
    private var giver: CheckedContinuation<Void, Never>?
    private var taker: CheckedContinuation<Void, Never>?

    func give(_ given: Piece) async throws {
        while piece != nil, !isClosed { await withCheckedContinuation { giver = $0 } }
        guard !isClosed else { throw Closed() }
        piece = given
        wakeTaker()
    }

    func finish(_ error: (any Error)?) {
        isFinished = true
        failure = error
        wakeTaker()
    }

    func close() {
        isClosed = true
        wakeGiver()
    }

    /// `nil` at the end.
    func take() async throws -> Piece? {
        while true {
            if let taken = piece {
                piece = nil
                wakeGiver()
                return taken
            }
            if isFinished {
                if let failure { throw failure }
                return nil
            }
            await withCheckedContinuation { taker = $0 }
        }
    }

    private func wakeGiver() {
        giver?.resume()
        giver = nil
    }

    private func wakeTaker() {
        taker?.resume()
        taker = nil
    }
}
