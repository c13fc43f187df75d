import HTML
import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// Stylesheets, script and icons, kept in the program. Their addresses carry a fingerprint, so that browsers may keep
/// them for ever.
struct Assets: Sendable {
    private struct File: Sendable {
        let buffer: ByteBuffer
        let type: String
        let fingerprint: String
    }

    private let files: [String: File]
    let urls: AssetURLs

    init() {
        func file(_ bytes: [UInt8], _ type: String) -> File {
            File(buffer: ByteBuffer(bytes: bytes), type: type, fingerprint: String(sha256(bytes).hex.prefix(12)))
        }
        let files = [
            "tokens.css": file(PackageResources.tokens_css, "text/css; charset=utf-8"),
            "console.css": file(PackageResources.console_css, "text/css; charset=utf-8"),
            "console.js": file(PackageResources.console_js, "text/javascript; charset=utf-8"),
            "favicon.svg": file(PackageResources.favicon_svg, "image/svg+xml"),
            "icons.svg": file(PackageResources.icons_svg, "image/svg+xml"),
        ]
        self.files = files
        urls = AssetURLs { name in "/assets/\(name)?v=\(files[name]?.fingerprint ?? "")" }
    }

    func routes() -> [Route] {
        [
            Route(.get, "/assets/{name}", .api) { exchange in
                guard let file = files[exchange.parameters["name"] ?? ""] else {
                    throw Problem(.notFound, "There is no such asset.")
                }
                let isCurrent = exchange.first("v") == file.fingerprint
                let tag = "\"\(file.fingerprint)\""
                let headers: HTTPFields = [
                    .contentType: file.type, .eTag: tag,
                    .cacheControl: isCurrent ? "public, max-age=31536000, immutable" : "no-cache",
                ]
                if exchange.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
                return Response(status: .ok, headers: headers, body: .init(byteBuffer: file.buffer))
            },
            Route(.get, "/favicon.ico", .api) { _ in .seeOther(urls.favicon) },
        ]
    }
}
