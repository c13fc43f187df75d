import Foundation

/// RFC 4648 base 64, with and without the URL alphabet.
public enum Base64 {
    public static func encode(_ bytes: some Sequence<UInt8>) -> String { Data(bytes).base64EncodedString() }
    /// `nil` unless the text is exactly what `encode` would write.
    public static func decode(_ text: String) -> [UInt8]? {
        guard let data = Data(base64Encoded: text), data.base64EncodedString() == text else { return nil }
        return Array(data)
    }
    /// The URL alphabet without padding.
    public static func encodeURL(_ bytes: some Sequence<UInt8>) -> String {
        encode(bytes).replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
    public static func decodeURL(_ text: String) -> [UInt8]? {
        guard !text.contains(where: { $0 == "+" || $0 == "/" || $0 == "=" }) else { return nil }
        let padded = text.replacing("-", with: "+").replacing("_", with: "/")
        return decode(padded + String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4))
    }
}
