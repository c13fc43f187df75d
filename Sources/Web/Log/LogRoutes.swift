import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// The published log on the auditor listener, laid out as C2SP tlog-tiles. Hashes are open to everybody; the leaves
/// behind them are only for staff who may look at events.
struct LogRoutes: Sendable {
    let context: WebContext
    init(_ context: WebContext) { self.context = context }

    /// The public key, also on the staff listener: a browser there checks receipts by itself.
    var key: Route { Route(.get, "/log/key", .api) { _ in .text(context.log.verifierKey + "\n") } }

    func routes() -> [Route] {
        let api = StaffAPI(context)
        return [
            Route(.get, "/log/checkpoint", .api) { exchange in
                try await context.requests.limiting(exchange.client.source) {
                    guard let note = try await context.log.checkpoint() else {
                        throw Problem(
                            .notFound, "No checkpoint has been published yet; the first follows the first event.")
                    }
                    var response = Response.text(note)
                    response.headers[.cacheControl] = "no-cache"
                    return response
                }
            },
            key,
            Route(.get, "/log/tile/entries/{path...}", .api) { exchange in
                // The listener is for everybody, but a staff token is no better here than on the staff listener.
                try context.configuration.checkStaffNetwork(exchange.client)
                return try await api.serve(exchange) { exchange, signed in
                    try await leaves(exchange, by: signed.caller)
                }
            },
            Route(.get, "/log/tile/{level}/{path...}", .api) { exchange in
                try await context.requests.limiting(exchange.client.source) {
                    let text = "\(exchange.parameters["level"] ?? "")/\(exchange.parameters["path"] ?? "")"
                    guard let path = TilePath(text), case .hashes(let level) = path.kind else { throw Self.noSuchTile }
                    return try tile(
                        try await context.log.tile(level: level, index: path.index, width: path.width), isPublic: true)
                }
            },
        ]
    }

    /// The leaves of a bundle that is there: only what was found is recorded as shown, before it is.
    private func leaves(_ exchange: Exchange, by caller: Caller) async throws -> Response {
        try await context.pipeline.read("audit.view", by: caller) { _ in ((), nil) }
        guard let path = TilePath("entries/" + (exchange.parameters["path"] ?? "")) else { throw Self.noSuchTile }
        let (index, width) = (path.index, path.width)
        switch try await context.log.entries(index: index, width: width) {
        case .leaves(let bytes)?:
            try await context.pipeline.disclose(
                Disclosure(
                    "audit.entries", query: ["tile": .int(index)], count: width ?? 256, ids: ["tile:\(index)"]),
                to: caller)
            return try tile(bytes, isPublic: false)
        case .pruned(let bundle)?: throw Problem(bundle)
        case nil: throw Self.noSuchTile
        }
    }

    private static var noSuchTile: Problem { Problem(.notFound, "The log has no such tile.") }

    private func tile(_ bytes: [UInt8]?, isPublic: Bool) throws -> Response {
        guard let bytes else { throw Self.noSuchTile }
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/octet-stream",
                .cacheControl: isPublic ? "public, max-age=31536000, immutable" : "private, no-store",
            ], body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

extension Problem {
    /// A bundle that retention has made holes in.
    init(_ bundle: PrunedBundle) {
        self.init(
            .archived,
            "Leaves of this bundle are in the archive: their retention has ended. Their hashes stay in the tiles, and every bundle from entry \(bundle.minimumIndex) on is whole."
        )
        more = [
            ("minimum_index", .int(bundle.minimumIndex)),
            (
                "archived",
                .array(
                    bundle.archived.map { run in
                        [
                            "first": .int(run.entries.lowerBound), "last": .int(run.entries.upperBound),
                            "pruned_by": .string(run.by),
                        ]
                    })
            ),
        ]
    }
}
