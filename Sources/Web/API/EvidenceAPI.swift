import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

extension StaffAPI {
    /// Packages of evidence, as consoles declare them: recorded when they begin and when they end.
    func evidenceRoutes() -> [Route] {
        context.catalog.evidence.map { source in
            signed(.get, source.path, cookieDownload: true) { exchange, signed in
                try Self.check(exchange, knows: [])
                return try await evidence(source, exchange, signed)
            }
        }
    }

    private func evidence(_ source: EvidenceSource, _ exchange: Exchange, _ signed: Signed) async throws -> Response {
        let call = ReadCall(
            path: exchange.parameters, query: [:], caller: signed.caller, cursors: context.cursors)
        let slot = try slots.take(signed.caller.person)
        defer { slot.free() }
        guard exchange.request.method != .head else {
            let name = try await context.pipeline.checkExport(source.permission, by: signed.caller) { reader in
                try source.gather(call, reader).0.fileName
            }
            return Response(status: .ok, headers: Self.headers(name))
        }
        let (contents, begun) = try await context.pipeline.beginExport(
            source.permission, format: "tar", by: signed.caller
        ) { reader in try source.gather(call, reader) }
        var tally = ExportTally()
        do {
            var receipts: [(event: String, receipt: JSON)] = []
            for event in contents.events {
                receipts.append((event, try await context.log.receipt(event: event, wait: .seconds(2))))
            }
            let archive = EvidencePack.archive(
                contents, receipts: receipts, log: context.log.verifierKey, by: signed.caller.person,
                at: context.clock.now)
            tally.take(archive)
            tally.rows = Int64(contents.rows.count)
            // Receipts of events that are not published yet are waited for.
            try await checkStill(signed, holds: [source.permission], exchange)
            try await context.pipeline.endExport(begun, tally)
            return Response(
                status: .ok, headers: Self.headers(contents.fileName),
                body: .init(byteBuffer: ByteBuffer(bytes: archive)))
        } catch {
            try? await context.pipeline.endExport(begun, tally, failure: ExportFailure(error))
            throw error
        }
    }

    /// All that HEAD is answered.
    private static func headers(_ name: String) -> HTTPFields {
        [
            .contentType: "application/x-tar", .cacheControl: "no-store",
            .contentDisposition: "attachment; filename=\"\(name)\"",
        ]
    }
}
