import CFido2
import Kernel

/// Signatures of authenticators, checked by libfido2 (on OpenSSL). It sees each challenge only as a part of the client data;
/// challenge, origin and counter are the ceremony's to check.
public struct FidoCryptography: PasskeyCryptography {
    /// Once for the process; libfido2 asks for it before anything else.
    private static let isReady: Bool = {
        fido_init(0)
        return true
    }()

    public init() { _ = Self.isReady }

    public func isSigned(_ assertion: PasskeyAssertion, by key: PasskeyKey, at site: PasskeySite) -> Bool {
        guard let statement = fido_assert_new() else { return false }
        defer {
            var statement: OpaquePointer? = statement
            fido_assert_free(&statement)
        }
        guard fido_assert_set_clientdata(statement, assertion.clientData, assertion.clientData.count) == FIDO_OK,
            fido_assert_set_rp(statement, site.id) == FIDO_OK,
            fido_assert_set_up(statement, FIDO_OPT_TRUE) == FIDO_OK,
            fido_assert_set_uv(statement, FIDO_OPT_TRUE) == FIDO_OK,
            fido_assert_set_count(statement, 1) == FIDO_OK,
            fido_assert_set_authdata_raw(
                statement, 0, assertion.authenticatorData, assertion.authenticatorData.count) == FIDO_OK,
            fido_assert_set_sig(statement, 0, assertion.signature, assertion.signature.count) == FIDO_OK
        else { return false }
        switch key.algorithm {
        case .es256:
            var material = es256_pk_new()
            defer { es256_pk_free(&material) }
            guard let known = material, es256_pk_from_ptr(known, key.raw, key.raw.count) == FIDO_OK else {
                return false
            }
            return fido_assert_verify(statement, 0, COSE_ES256, UnsafeRawPointer(known)) == FIDO_OK
        case .eddsa:
            var material = eddsa_pk_new()
            defer { eddsa_pk_free(&material) }
            guard let known = material, eddsa_pk_from_ptr(known, key.raw, key.raw.count) == FIDO_OK else {
                return false
            }
            return fido_assert_verify(statement, 0, COSE_EDDSA, UnsafeRawPointer(known)) == FIDO_OK
        case .rs256:
            var material = rs256_pk_new()
            defer { rs256_pk_free(&material) }
            guard let known = material, rs256_pk_from_ptr(known, key.raw, key.raw.count) == FIDO_OK else {
                return false
            }
            return fido_assert_verify(statement, 0, COSE_RS256, UnsafeRawPointer(known)) == FIDO_OK
        }
    }

    public func isAttested(
        format: String, statement: [UInt8], authenticatorData: [UInt8], clientData: [UInt8],
        algorithm: PasskeyKey.Algorithm, at site: PasskeySite
    ) -> Bool {
        guard let credential = fido_cred_new() else { return false }
        defer {
            var credential: OpaquePointer? = credential
            fido_cred_free(&credential)
        }
        guard fido_cred_set_type(credential, Int32(algorithm.rawValue)) == FIDO_OK,
            fido_cred_set_clientdata(credential, clientData, clientData.count) == FIDO_OK,
            fido_cred_set_rp(credential, site.id, nil) == FIDO_OK,
            fido_cred_set_fmt(credential, format) == FIDO_OK,
            fido_cred_set_authdata_raw(credential, authenticatorData, authenticatorData.count) == FIDO_OK,
            fido_cred_set_attstmt(credential, statement, statement.count) == FIDO_OK
        else { return false }
        // U2F has no way to say that the owner was verified; that flag is the ceremony's to demand.
        if format == "packed", fido_cred_set_uv(credential, FIDO_OPT_TRUE) != FIDO_OK { return false }
        // With certificates the maker signed; without, the credential's own key did.
        return fido_cred_x5c_ptr(credential) != nil
            ? fido_cred_verify(credential) == FIDO_OK : fido_cred_verify_self(credential) == FIDO_OK
    }
}
