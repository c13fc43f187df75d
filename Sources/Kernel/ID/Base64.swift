/// RFC 4648 base 64, with and without the URL alphabet.
public enum Base64 {
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        encode(Array(bytes), standard, padding: true)
    }
    /// `nil` unless the text is exactly what `encode` would write.
    public static func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8(decode)
    }
    /// The URL alphabet without padding.
    public static func encodeURL(_ bytes: some Sequence<UInt8>) -> String {
        encode(Array(bytes), url, padding: false)
    }
    public static func decodeURL(_ text: String) -> [UInt8]? {
        guard !text.contains(where: { $0 == "+" || $0 == "/" || $0 == "=" }) else { return nil }
        let padded = text.replacing("-", with: "+").replacing("_", with: "/")
        return decode(padded + String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4))
    }

    /// The value of each character of the standard alphabet; 255 for every other byte.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, character) in standard.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    private static func decode(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        guard !text.isEmpty else { return [] }
        let padding = text[text.count - 1] != UInt8(ascii: "=") ? 0 : text[text.count - 2] != UInt8(ascii: "=") ? 1 : 2
        let count = text.count / 4 * 3 - padding
        var isExact = true
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { out, initialized in
            values.withUnsafeBufferPointer { values in
                var end = 0
                for start in stride(from: 0, to: text.count, by: 4) {
                    let taken = start + 4 == text.count ? 4 - padding : 4
                    var group: UInt32 = 0
                    for place in 0..<4 {
                        let value = place < taken ? values[Int(text[start + place])] : 0
                        if value > 63 { isExact = false }
                        group = group << 6 | UInt32(value & 63)
                    }
                    for place in 0..<taken - 1 {
                        out[end] = UInt8(truncatingIfNeeded: group >> UInt32(16 - 8 * place))
                        end += 1
                    }
                    // Bits beyond the last byte are zero in what `encode` writes.
                    if taken < 4, group & (taken == 3 ? 0xFF : 0xFFFF) != 0 { isExact = false }
                }
                initialized = end
            }
        }
        return isExact ? bytes : nil
    }

    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The two characters of every 12 bits, as they stand in memory.
    private static let pairs: [UInt16] = (0..<4096).map { bits in
        UInt16(littleEndian: UInt16(standard[bits >> 6]) | UInt16(standard[bits & 63]) << 8)
    }

    /// Writes what `encode` answers to the end of `out`.
    static func append(_ bytes: UnsafeRawBufferPointer, to out: inout [UInt8]) {
        let whole = bytes.count / 3 * 3
        withUnsafeTemporaryAllocation(byteCount: (bytes.count + 2) / 3 * 4, alignment: 4) { text in
            pairs.withUnsafeBufferPointer { pairs in
                var end = 0
                var index = 0
                while index < whole {
                    let group = Int(bytes[index]) << 16 | Int(bytes[index + 1]) << 8 | Int(bytes[index + 2])
                    text.storeBytes(of: pairs[group >> 12], toByteOffset: end, as: UInt16.self)
                    text.storeBytes(of: pairs[group & 4095], toByteOffset: end + 2, as: UInt16.self)
                    end += 4
                    index += 3
                }
                guard whole < bytes.count else { return }
                let isOne = bytes.count - whole == 1
                let group = Int(bytes[whole]) << 16 | (isOne ? 0 : Int(bytes[whole + 1]) << 8)
                text.storeBytes(of: pairs[group >> 12], toByteOffset: end, as: UInt16.self)
                text[end + 2] = isOne ? UInt8(ascii: "=") : standard[group >> 6 & 63]
                text[end + 3] = UInt8(ascii: "=")
            }
            out.append(contentsOf: text)
        }
    }

    private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8], padding: Bool) -> String {
        String(unsafeUninitializedCapacity: (bytes.count + 2) / 3 * 4) { out in
            var end = 0
            var index = 0
            while index < bytes.count {
                let count = min(3, bytes.count - index)
                var group = UInt32(bytes[index]) << 16
                if count > 1 { group |= UInt32(bytes[index + 1]) << 8 }
                if count > 2 { group |= UInt32(bytes[index + 2]) }
                for place in 0..<4 {
                    if place <= count {
                        out[end] = alphabet[Int(group >> UInt32(18 - 6 * place) & 63)]
                    } else if padding {
                        out[end] = UInt8(ascii: "=")
                    } else {
                        break
                    }
                    end += 1
                }
                index += 3
            }
            return end
        }
    }
}
