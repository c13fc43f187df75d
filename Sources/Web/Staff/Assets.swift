import HTML
import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// Stylesheets, script and icons, kept in the program. Their addresses carry a fingerprint, so that browsers may keep
/// them for ever; they are compressed once, at the start.
struct Assets: Sendable {
    private struct File: Sendable {
        let buffer: ByteBuffer
        let compressed: ByteBuffer?
        let type: String
        let fingerprint: String

        init(_ bytes: [UInt8], _ type: String) {
            buffer = ByteBuffer(bytes: bytes)
            compressed = Gzip.compress(bytes).map { ByteBuffer(bytes: $0) }
            self.type = type
            fingerprint = String(sha256(bytes).hex.prefix(12))
        }
    }

    private let files: [String: File]
    let urls: AssetURLs

    init() {
        let files = [
            "tokens.css": File(PackageResources.tokens_css, "text/css; charset=utf-8"),
            "console.css": File(PackageResources.console_css, "text/css; charset=utf-8"),
            "console.js": File(PackageResources.console_js, "text/javascript; charset=utf-8"),
            "stream.js": File(PackageResources.stream_js, "text/javascript; charset=utf-8"),
            "favicon.svg": File(PackageResources.favicon_svg, "image/svg+xml"),
            "icons.svg": File(PackageResources.icons_svg, "image/svg+xml"),
        ]
        self.files = files
        urls = AssetURLs { name in "/assets/\(name)?v=\(files[name]?.fingerprint ?? "")" }
    }

    /// An asset as it is.
    func text(_ name: String) -> String { files[name].map { String(buffer: $0.buffer) } ?? "" }

    func routes() -> [Route] {
        [
            Route(.get, "/assets/{name}", .api) { exchange in
                guard let file = files[exchange.parameters["name"] ?? ""] else {
                    throw Problem(.notFound, "There is no such asset.")
                }
                let compressed = Gzip.isAccepted(exchange.headers[.acceptEncoding]) ? file.compressed : nil
                // Each form is an entity of its own.
                let tag = compressed == nil ? "\"\(file.fingerprint)\"" : "\"\(file.fingerprint)-gzip\""
                var headers: HTTPFields = [
                    .contentType: file.type, .eTag: tag, .vary: "Accept-Encoding",
                    .cacheControl: exchange.first("v") == file.fingerprint
                        ? "public, max-age=31536000, immutable" : "no-cache",
                ]
                if exchange.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
                if compressed != nil { headers[.contentEncoding] = "gzip" }
                return Response(status: .ok, headers: headers, body: .init(byteBuffer: compressed ?? file.buffer))
            },
            Route(.get, "/favicon.ico", .api) { _ in .seeOther(urls.favicon) },
        ]
    }
}
