import Crypto
import Foundation
import Kernel

/// Seals what a browser carries for us between two requests (AES-256-GCM): it can neither read nor change it.
struct FormSeal: Sendable {
    private let key: SymmetricKey
    private let clock: Clock

    /// What a sealed text is for; one sealed for one purpose is not accepted for another.
    enum Purpose: String {
        /// The fields of a form that was posted after its session had ended.
        case form
        /// The secret of an enrolment that is not finished.
        case enrolment
        /// The same of an authenticator app that is set up later.
        case authenticator
    }

    init(key: [UInt8], clock: Clock) {
        precondition(key.count >= 32, "the form key needs at least 32 bytes")
        self.key = SymmetricKey(
            data: HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: key), info: Data("postern forms v1".utf8), outputByteCount: 32))
        self.clock = clock
    }

    func seal(_ value: JSON, for purpose: Purpose, lasting span: Span) -> String {
        let payload = JSON.object(["u": .int((clock.now + span).microseconds), "v": value]).canonical
        // Sealing fails only for a key of a wrong size, which the initialiser excludes.
        guard
            let box = try? AES.GCM.seal(payload, using: key, authenticating: Array(purpose.rawValue.utf8)),
            let combined = box.combined
        else { preconditionFailure("AES-GCM refused to seal") }
        return Base64.encodeURL(combined)
    }

    /// `nil` when it was not sealed here for this purpose, or its time is over.
    func open(_ text: String, for purpose: Purpose) -> JSON? {
        guard let bytes = Base64.decodeURL(text), let box = try? AES.GCM.SealedBox(combined: bytes),
            let payload = try? AES.GCM.open(box, using: key, authenticating: Array(purpose.rawValue.utf8)),
            let json = try? JSON(parsing: Array(payload)), let until = json["u"]?.int,
            clock.now < Instant(microseconds: until)
        else { return nil }
        return json["v"]
    }

    /// Names a person in a form to this server alone: it tells later whose text the form holds.
    func author(_ person: String) -> String {
        Base64.encodeURL(HMAC<SHA256>.authenticationCode(for: Array("author:\(person)".utf8), using: key).prefix(18))
    }

    /// A token derived from `value`, to compare with one a form carries.
    func token(for value: String) -> String {
        Base64.encodeURL(HMAC<SHA256>.authenticationCode(for: Array("form:\(value)".utf8), using: key).prefix(18))
    }
}
