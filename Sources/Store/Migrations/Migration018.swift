import Kernel

/// Passkeys: which factor a credential is, and which of the server's questions were answered already.
enum Migration018 {
    static let tables = """
        -- The id an authenticator gave its credential; nobody else's may be the same.
        ALTER TABLE factors ADD COLUMN credential {text};
        CREATE UNIQUE INDEX factors_credential ON factors (credential) WHERE credential IS NOT NULL;

        -- Questions that were answered, until they would be too old anyway (not governed: state of use).
        CREATE TABLE passkey_answers (
            nonce {bytes} PRIMARY KEY,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX passkey_answers_expires ON passkey_answers (expires_at);
        """
}
