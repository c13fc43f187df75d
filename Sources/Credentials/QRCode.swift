import CQREncode
import Foundation
import Kernel

/// A QR code as a path, to be drawn by the page as inline SVG.
public struct QRCode: Sendable, Hashable {
    /// Modules along one side, without the quiet zone.
    public let size: Int
    /// Dark modules, row by row.
    public let modules: [Bool]

    /// Encodes text as bytes with error correction level M (15 %). Throws when the text is too long for any version.
    public init(_ text: String) throws(OperationError) {
        let bytes = Array(text.utf8)
        guard
            let code = bytes.withUnsafeBufferPointer({
                QRcode_encodeData(Int32($0.count), $0.baseAddress, 0, QR_ECLEVEL_M)
            })
        else { throw .internalError("text of \(bytes.count) bytes does not fit a QR code") }
        defer { QRcode_free(code) }
        let width = Int(code.pointee.width)
        let data = code.pointee.data!
        size = width
        modules = (0..<(width * width)).map { data[$0] & 1 == 1 }
    }

    /// The side of the square `viewBox`, with a quiet zone of four modules around the code.
    public var side: Int { size + 8 }

    /// SVG path data for a `viewBox="0 0 side side"`: one rectangle for each run of dark modules. Holds only the letters
    /// M, h, v, z and digits.
    public var path: String {
        var out = ""
        for y in 0..<size {
            var x = 0
            while x < size {
                guard modules[y * size + x] else {
                    x += 1
                    continue
                }
                var end = x
                while end < size, modules[y * size + end] { end += 1 }
                out += "M\(x + 4) \(y + 4)h\(end - x)v1h-\(end - x)z"
                x = end
            }
        }
        return out
    }

    /// The whole picture: black on white whatever the theme, so that every camera reads it.
    public func svg(label: String) -> String {
        let safe = label.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing("\"", with: "&quot;")
        return """
            <svg viewBox="0 0 \(side) \(side)" role="img" aria-label="\(safe)" class="qr">\
            <path fill="#fff" d="M0 0h\(side)v\(side)H0z"/><path fill="#000" d="\(path)"/></svg>
            """
    }
}
