/// Reading and writing of percent-encoded text.
enum URLText {
    /// `nil` when an escape is broken, or when the result is not UTF-8 or holds U+0000.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
        let utf8 = text.utf8
        var plain = true
        for byte in utf8 where byte == UInt8(ascii: "%") || (plusIsSpace && byte == UInt8(ascii: "+")) || byte == 0 {
            plain = false
            break
        }
        if plain { return String(text) }
        var out: [UInt8] = []
        out.reserveCapacity(utf8.count)
        var iterator = utf8.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(nibble), let low = iterator.next().flatMap(nibble) else {
                    return nil
                }
                out.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: out.append(UInt8(ascii: " "))
            default: out.append(byte)
            }
        }
        guard !out.contains(0) else { return nil }
        return String(validating: out, as: UTF8.self)
    }

    /// Escapes everything but unreserved characters (RFC 3986).
    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.append(byte)
            default: out.append(contentsOf: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The names and values of a query or of an `application/x-www-form-urlencoded` body; `nil` when an escape is
    /// broken.
    static func fields(_ text: some StringProtocol) -> [String: [String]]? {
        var out: [String: [String]] = [:]
        for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "="))
            let name = text[pair.startIndex..<(equals ?? pair.endIndex)]
            let value = equals.map { text[text.utf8.index(after: $0)..<pair.endIndex] } ?? ""
            guard let name = decode(name, plusIsSpace: true), let value = decode(value, plusIsSpace: true) else {
                return nil
            }
            out[name, default: []].append(value)
        }
        return out
    }

    /// The other way, in name order.
    static func query(_ fields: [String: [String]]) -> String {
        fields.sorted { $0.key < $1.key }
            .flatMap { name, values in values.map { "\(encode(name))=\(encode($0))" } }
            .joined(separator: "&")
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
