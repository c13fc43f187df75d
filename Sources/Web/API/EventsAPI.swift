import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

extension StaffAPI {
    /// What can be done with recorded events beside reading them.
    func eventRoutes() -> [Route] {
        [
            signed(.post, "/audit-events/{id}/undo") { exchange, signed in
                let key = try IdempotencyKey.read(exchange.headers[.idempotencyKey])
                let ifMatch = try ETag.version(ifMatch: exchange.headers[.ifMatch])
                var body = try await BodyReader(exchange)
                let reasonCode = body.text("reason_code")
                let justification = body.text("justification")
                let ticket = body.text("ticket")
                try body.finish()
                let id = exchange.parameters["id"] ?? ""
                var request = try await context.pipeline.undoOffer(for: id, by: signed.caller, checked: false).request
                request.undoes = id
                request.idempotencyKey = key
                request.ifMatch = ifMatch ?? request.ifMatch
                request.reasonCode = reasonCode ?? request.reasonCode
                request.justification = justification ?? request.justification
                request.ticket = ticket ?? request.ticket
                guard let operation = context.catalog[request.operation] else {
                    throw OperationError.unknownOperation(request.operation)
                }
                return try await answer(request, operation, exchange, signed.caller)
            },
            signed(.get, "/audit-events/{id}/receipt", cookieDownload: true) { exchange, signed in
                let id = exchange.parameters["id"] ?? ""
                let isThere = try await context.pipeline.read("audit.view", by: signed.caller) { reader in
                    guard Identifier.isValid(id, prefix: "evt") else {
                        throw OperationError.notFound("There is no event \(id.prefix(60)).")
                    }
                    // What was typed into the address never reaches the log: only an event that exists is named there.
                    let isThere = try reader.first(context.pipeline.records.event(id)) != nil
                    return (
                        isThere,
                        isThere
                            ? Disclosure("audit.receipt", target: (type: "event", id: id), count: 1, ids: [id]) : nil
                    )
                }
                // Of an event that left for the archive it says so.
                let receipt = try await context.log.receipt(event: id, wait: .seconds(2))
                guard isThere else { throw OperationError.notFound("There is no event \(id).") }
                var response = Response.json(receipt)
                response.headers[.contentDisposition] = "attachment; filename=\"\(Self.fileName(id)).receipt.json\""
                return response
            },
            signed(.get, "/audit-events/export", cookieDownload: true) { exchange, signed in
                try Self.check(exchange, knows: OpenAPI.exportParameters(context.catalog).map(\.name))
                let call = ReadCall(
                    path: [:], query: exchange.query, caller: signed.caller, cursors: context.cursors)
                let typed = JSON.object(exchange.query.compactMapValues { $0.first.map(JSON.string) })
                guard let read = context.catalog.eventFilter else {
                    throw Problem(.notFound, "This deployment has no audit log to export.")
                }
                let filter = try await context.pipeline.read("audit.export", by: signed.caller) { reader in
                    let filter = try read(call, reader)
                    // How many events match is known when the last one has left.
                    return (
                        filter,
                        Disclosure(
                            "audit.export", tenant: filter.tenant, query: typed, count: nil,
                            subjects: [filter.actor, filter.tenant, filter.target].compactMap { $0 })
                    )
                }
                return export(filter)
            },
        ]
    }

    /// Streams the export: a chunk is made only when the one before it has been taken. When something fails on the way
    /// the connection is cut, so that a client never takes half an export for a whole one.
    private func export(_ filter: EventFilter) -> Response {
        let log = context.log
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/jsonl", .cacheControl: "no-store",
                .contentDisposition: "attachment; filename=\"postern-events.jsonl\"",
            ],
            body: .init { writer in
                let handoff = Handoff()
                let producer = Task {
                    do {
                        try await log.export(filter) { try await handoff.give($0) }
                        await handoff.finish(nil)
                    } catch {
                        await handoff.finish(error)
                    }
                }
                do {
                    while let bytes = try await handoff.take() { try await writer.write(ByteBuffer(bytes: bytes)) }
                    try await writer.finish(nil)
                } catch {
                    await handoff.close()
                    producer.cancel()
                    throw error
                }
            })
    }

    private static func fileName(_ id: String) -> String {
        String(id.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }.prefix(64))
    }
}

/// Passes chunks from one task to another, one at a time: giving waits until the chunk was taken.
private actor Handoff {
    private struct Closed: Error {}
    private var chunk: [UInt8]?
    private var isFinished = false
    private var isClosed = false
    private var failure: (any Error)?
    private var giver: CheckedContinuation<Void, Never>?
    private var taker: CheckedContinuation<Void, Never>?

    func give(_ bytes: [UInt8]) async throws {
        while chunk != nil, !isClosed { await withCheckedContinuation { giver = $0 } }
        guard !isClosed else { throw Closed() }
        chunk = bytes
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
    func take() async throws -> [UInt8]? {
        while true {
            if let bytes = chunk {
                chunk = nil
                wakeGiver()
                return bytes
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
