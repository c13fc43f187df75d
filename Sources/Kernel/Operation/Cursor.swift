import Crypto
import Foundation

/// Opaque, signed page cursors: `base64url(JCS(position)).base64url(HMAC-SHA256, 16 bytes)`.
///
/// A cursor names the list and the filters it belongs to, so one from another list or another filter is refused instead
/// of answering a wrong page.
public struct CursorCodec: Sendable {
    private let key: SymmetricKey
    /// - Parameter key: at least 32 bytes, shared by all servers of one deployment.
    public init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    public func encode(scope: String, _ position: [JSON]) -> String {
        let payload = JSON.object(["s": .string(scope), "p": .array(position)]).canonical
        return Base64.encodeURL(payload) + "." + Base64.encodeURL(mac(payload))
    }

    public func decode(_ text: String, scope: String) throws(OperationError) -> [JSON] {
        let bad = OperationError.invalid([
            FieldError(
                pointer: "?cursor",
                detail: "cursor is not one this list gave out; leave it away to start at the first page.")
        ])
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let payload = Base64.decodeURL(String(parts[0])),
            let given = Base64.decodeURL(String(parts[1])),
            constantTimeEqual(given, mac(payload)), let json = try? JSON(parsing: payload),
            json["s"]?.string == scope, let position = json["p"]?.array
        else { throw bad }
        return position
    }

    private func mac(_ payload: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: payload, using: key).prefix(16))
    }
}
