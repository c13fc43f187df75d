import CZlib

/// Compression of what is sent as it is for ever (RFC 1952).
enum Gzip {
    /// The bytes compressed as far as zlib goes; `nil` when that makes them no smaller.
    static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        var stream = z_stream()
        // 15 bits of window; 16 more ask for gzip's frame.
        guard
            deflateInit2_(
                &stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size)) == Z_OK
        else { return nil }
        defer { deflateEnd(&stream) }
        var input = bytes
        let isDone = input.withUnsafeMutableBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: bytes.count) { output, count in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                // One step: with less room than it needs it is not worth it.
                count = deflate(&stream, Z_FINISH) == Z_STREAM_END ? Int(stream.total_out) : 0
            }
        }
        return isDone.isEmpty ? nil : isDone
    }

    /// Whether `Accept-Encoding` allows gzip (RFC 9110).
    static func isAccepted(_ field: String?) -> Bool {
        var others = false
        for part in (field ?? "").split(separator: ",") {
            let words = part.split(separator: ";").map(\.trimmed)
            let isRefused = words.dropFirst().contains { word in
                guard word.lowercased().hasPrefix("q=") else { return false }
                return Double(word.dropFirst(2)) == 0
            }
            switch words.first?.lowercased() {
            case "gzip", "x-gzip": return !isRefused
            case "*": others = !isRefused
            default: continue
            }
        }
        return others
    }
}
