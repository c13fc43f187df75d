import Kernel

/// Single sign-on and sign-in of a command line by a browser. Nothing here has authority of its own: links to an identity
/// provider are factors.
enum Migration021 {
    static let tables = """
        -- What was taken away may come back: the same account at the provider, linked again.
        DROP INDEX factors_credential;
        CREATE UNIQUE INDEX factors_credential ON factors (credential) WHERE credential IS NOT NULL AND status = 'active';

        -- Ways to the identity provider that were begun, until they are answered.
        CREATE TABLE provider_requests (
            state_hash {bytes} PRIMARY KEY,
            visitor_hash {bytes} NOT NULL,
            purpose {text} NOT NULL,
            session_id {text},
            next {text},
            source {text} NOT NULL,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX provider_requests_expires ON provider_requests (expires_at);
        CREATE INDEX provider_requests_source ON provider_requests (source, expires_at);

        -- Which session of the provider's a session came from, so that it ends with it.
        CREATE TABLE provider_sessions (
            session_id {text} PRIMARY KEY,
            subject {text} NOT NULL,
            sid {text},
            token {text} NOT NULL,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX provider_sessions_subject ON provider_sessions (subject);
        CREATE INDEX provider_sessions_sid ON provider_sessions (sid);
        CREATE INDEX provider_sessions_expires ON provider_sessions (expires_at);

        -- Words of the provider that count once.
        CREATE TABLE provider_tokens (
            jti {bytes} PRIMARY KEY,
            expires_at BIGINT NOT NULL
        );
        CREATE INDEX provider_tokens_expires ON provider_tokens (expires_at);

        -- What the provider said before the second factor is shown here, sealed.
        ALTER TABLE challenges ADD COLUMN provider {text};

        -- Command lines that wait for somebody to let them in.
        CREATE TABLE device_logins (
            id {text} PRIMARY KEY,
            device_hash {bytes} NOT NULL,
            code_hash {bytes} NOT NULL,
            machine {text} NOT NULL,
            client {text} NOT NULL,
            user_agent {text} NOT NULL,
            ip {text} NOT NULL,
            source {text} NOT NULL,
            state {text} NOT NULL,
            staff_id {text},
            session_id {text},
            wait_seconds BIGINT NOT NULL,
            polled_at BIGINT,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL
        );
        CREATE UNIQUE INDEX device_logins_device ON device_logins (device_hash);
        CREATE UNIQUE INDEX device_logins_code ON device_logins (code_hash);
        CREATE INDEX device_logins_expires ON device_logins (expires_at);
        CREATE INDEX device_logins_source ON device_logins (source, expires_at);
        """
}
