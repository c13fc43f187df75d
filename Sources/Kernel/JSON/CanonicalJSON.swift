/// RFC 8785 (JCS) canonical form: the only bytes Postern hashes or signs.
///
/// Floating point numbers do not occur. Integers beyond ±(2⁵³−1) and decimals are written as strings, because a
/// JavaScript verifier could not read them back exactly.
extension JSON {
    public static let largestExactInteger: Int64 = 9_007_199_254_740_991

    /// The canonical UTF-8 bytes of this value.
    public var canonical: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(256)
        appendCanonical(to: &out)
        return out
    }

    public var canonicalText: String { String(decoding: canonical, as: UTF8.self) }

    private func appendCanonical(to out: inout [UInt8]) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
        case .int(let value):
            if value > Self.largestExactInteger || value < -Self.largestExactInteger {
                Self.appendString(String(value), to: &out)
            } else {
                out.append(contentsOf: String(value).utf8)
            }
        case .decimal(let text): Self.appendString(text, to: &out)
        case .string(let text): Self.appendString(text, to: &out)
        case .array(let elements):
            out.append(UInt8(ascii: "["))
            for (offset, element) in elements.enumerated() {
                if offset > 0 { out.append(UInt8(ascii: ",")) }
                element.appendCanonical(to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            Self.appendMembers(Array(members), to: &out)
            out.append(UInt8(ascii: "}"))
        }
    }

    /// RFC 8785 §3.2.3 sorts names by UTF-16 code units. There are few, and their first bytes nearly always tell: what is moved while
    /// they are put in order is their places, not the members.
    private static func appendMembers(_ members: [(key: String, value: JSON)], to out: inout [UInt8]) {
        let heads = members.map { head(of: $0.key) }
        func precedes(_ a: Int, _ b: Int) -> Bool {
            heads[a] == heads[b] || max(heads[a], heads[b]) == .max
                ? Self.precedes(members[a].key, members[b].key) : heads[a] < heads[b]
        }
        var places = Array(members.indices)
        if places.count <= 32 {
            for end in places.indices.dropFirst() {
                let place = places[end]
                var hole = end
                while hole > 0, precedes(place, places[hole - 1]) {
                    places[hole] = places[hole - 1]
                    hole -= 1
                }
                places[hole] = place
            }
        } else {
            places.sort(by: precedes)
        }
        for (offset, place) in places.enumerated() {
            if offset > 0 { out.append(UInt8(ascii: ",")) }
            appendString(members[place].key, to: &out)
            out.append(UInt8(ascii: ":"))
            members[place].value.appendCanonical(to: &out)
        }
    }

    /// A name's first eight bytes as a number: those of two names differ as the names do, where all of them are ASCII. The greatest there
    /// is where one is not.
    private static func head(of name: String) -> UInt64 {
        var head: UInt64 = 0
        var count: UInt64 = 0
        for byte in name.utf8 {
            guard byte < 0x80 else { return .max }
            head = head << 8 | UInt64(byte)
            count += 1
            if count == 8 { break }
        }
        return head << (8 * (8 - count))
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// Order by UTF-16 code units. Bytes of UTF-8 give the same order as long as what differs lies below U+E000, where the
    /// surrogates of UTF-16 end.
    static func precedes(_ a: String, _ b: String) -> Bool {
        var left = a.utf8.makeIterator()
        var right = b.utf8.makeIterator()
        while true {
            guard let next = right.next() else { return false }
            guard let byte = left.next() else { return true }
            if byte == next { continue }
            if byte < 0xEE, next < 0xEE { return byte < next }
            return a.utf16.lexicographicallyPrecedes(b.utf16)
        }
    }

    static func appendString(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { bytes in
            // Whole runs between characters that must be escaped.
            var start = 0
            for index in bytes.indices {
                let byte = bytes[index]
                if byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { continue }
                out.append(contentsOf: bytes[start..<index])
                start = index + 1
                appendEscaped(byte, to: &out)
            }
            out.append(contentsOf: bytes[start...])
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func appendEscaped(_ byte: UInt8, to out: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""): out.append(contentsOf: "\\\"".utf8)
        case UInt8(ascii: "\\"): out.append(contentsOf: "\\\\".utf8)
        case 0x08: out.append(contentsOf: "\\b".utf8)
        case 0x09: out.append(contentsOf: "\\t".utf8)
        case 0x0A: out.append(contentsOf: "\\n".utf8)
        case 0x0C: out.append(contentsOf: "\\f".utf8)
        case 0x0D: out.append(contentsOf: "\\r".utf8)
        default:
            out.append(contentsOf: "\\u00".utf8)
            out.append(hexDigits[Int(byte >> 4)])
            out.append(hexDigits[Int(byte & 15)])
        }
    }
}
