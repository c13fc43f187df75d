import Kernel

/// The `Idempotency-Key` field: a structured-field string (RFC 9651) or, as most clients send it, the bare text.
enum IdempotencyKey {
    /// - Returns: `nil` when the field is absent.
    static func read(_ text: String?) throws(OperationError) -> String? {
        guard let text = text?.trimmed else { return nil }
        var key = text.utf8[...]
        if key.first == UInt8(ascii: "\"") {
            guard key.count >= 2, key.last == UInt8(ascii: "\"") else {
                throw .keyMalformed("Idempotency-Key opens a quoted string and does not close it.")
            }
            key = key.dropFirst().dropLast()
            var unescaped: [UInt8] = []
            var bytes = key.makeIterator()
            while let byte = bytes.next() {
                if byte == UInt8(ascii: "\"") {
                    throw .keyMalformed("Idempotency-Key must be one quoted string without parameters.")
                }
                if byte == UInt8(ascii: "\\") {
                    guard let next = bytes.next(), next == UInt8(ascii: "\"") || next == UInt8(ascii: "\\") else {
                        throw .keyMalformed("In the quoted Idempotency-Key a backslash may only stand before \" or \\.")
                    }
                    unescaped.append(next)
                } else {
                    unescaped.append(byte)
                }
            }
            return try checked(unescaped)
        }
        return try checked(Array(key))
    }

    private static func checked(_ bytes: [UInt8]) throws(OperationError) -> String {
        guard (1...255).contains(bytes.count) else {
            throw .keyMalformed("Idempotency-Key must have 1 to 255 characters; it has \(bytes.count).")
        }
        guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .keyMalformed("Idempotency-Key must be visible ASCII characters without spaces.")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
