import Foundation

/// RFC 4648 base 64, with and without the URL alphabet.
public enum Base64 {
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        encode(Array(bytes), standard, padding: true)
    }
    /// `nil` unless the text is exactly what `encode` would write.
    public static func decode(_ text: String) -> [UInt8]? {
        guard let data = Data(base64Encoded: text), data.base64EncodedString() == text else { return nil }
        return Array(data)
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

    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

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
