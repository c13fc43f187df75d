import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// The published log on the auditor listener, laid out as C2SP tlog-tiles. Hashes are open to everybody; the leaves
/// behind them are only for staff who may look at events.
struct LogRoutes: Sendable {
    let context: WebContext
    init(_ context: WebContext) { self.context = context }

    func routes() -> [Route] {
        [
            Route(.get, "/log/checkpoint", .api) { _ in
                guard let note = try await context.log.checkpoint() else {
                    throw Problem(.notFound, "No checkpoint has been published yet; the first follows the first event.")
                }
                var response = Response.text(note)
                response.headers[.cacheControl] = "no-cache"
                return response
            },
            Route(.get, "/log/key", .api) { _ in .text(context.log.verifierKey + "\n") },
            Route(.get, "/log/tile/entries/{path...}", .api) { exchange in
                let signed = try await StaffAPI(context).authenticate(exchange, cookieDownload: false)
                let (index, width) = try Self.position(exchange)
                try await context.pipeline.read("audit.view", by: signed.caller) { _ in
                    (
                        (),
                        Disclosure(
                            "audit.entries", query: ["tile": .int(index)], count: width ?? 256, ids: ["tile:\(index)"])
                    )
                }
                return try tile(try await context.log.entries(index: index, width: width), isPublic: false)
            },
            Route(.get, "/log/tile/{level}/{path...}", .api) { exchange in
                guard let text = exchange.parameters["level"], let level = Int(text), (0...63).contains(level),
                    String(level) == text
                else { throw Self.noSuchTile }
                let (index, width) = try Self.position(exchange)
                return try tile(try await context.log.tile(level: level, index: index, width: width), isPublic: true)
            },
        ]
    }

    private static var noSuchTile: Problem { Problem(.notFound, "The log has no such tile.") }

    /// `x001/x234/067` → 1234067, with an optional `.p/W`.
    private static func position(_ exchange: Exchange) throws -> (index: Int64, width: Int?) {
        var parts = (exchange.parameters["path"] ?? "").split(separator: "/", omittingEmptySubsequences: false).map(
            String.init)
        var width: Int?
        if parts.count >= 2, parts[parts.count - 2].hasSuffix(".p") {
            let text = parts.removeLast()
            guard let value = Int(text), (1...255).contains(value), String(value) == text else { throw noSuchTile }
            width = value
            parts[parts.count - 1].removeLast(2)
        }
        guard let index = TilePath.index(parts) else { throw noSuchTile }
        return (index, width)
    }

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

/// The index of a tile as tlog-tiles writes it: groups of three digits, all but the last with an `x` before them.
enum TilePath {
    /// `nil` unless the parts are exactly what the specification writes for some index.
    static func index(_ parts: [String]) -> Int64? {
        guard (1...6).contains(parts.count) else { return nil }
        var index: Int64 = 0
        for (position, part) in parts.enumerated() {
            let isLast = position == parts.count - 1
            guard part.hasPrefix("x") != isLast else { return nil }
            let digits = isLast ? Substring(part) : part.dropFirst()
            guard digits.utf8.count == 3, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                let value = Int64(digits)
            else { return nil }
            if position == 0, !isLast, value == 0 { return nil }
            index = index * 1000 + value
        }
        return index
    }
}
