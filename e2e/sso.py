"""An identity provider on loopback: oidc-provider-mock, which can go away and change its key, and a command line that waits to be
let in."""
import datetime
import ipaddress
import logging
import re
import subprocess
import ssl
import threading
import time

import httpx
import oidc_provider_mock
import werkzeug.serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import g
from joserfc import jwt
from joserfc.jwk import RSAKey

import postern

logging.getLogger("werkzeug").setLevel(logging.ERROR)


class Authority:
    """An authority of one's own, and a certificate of localhost that it signed."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.chain, self.key = folder / "ca.pem", folder / "localhost.pem", folder / "localhost.key"
        authority = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Postern tests {postern.new_key()}"[:60])])
        made = self.certificate(name, name, authority.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(authority, hashes.SHA256())
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        signed = self.certificate(leaf, name, key.public_key()).add_extension(x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False).sign(
                authority, hashes.SHA256())
        self.chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    @staticmethod
    def certificate(subject, issuer, key):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=2)))

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class Provider:
    """Whoever is put in says to everybody who asks what their claims are."""

    def __init__(self, authority=None):
        (self.port,) = postern.free_ports(1)
        self.authority = authority
        self.url = f"{'https' if authority else 'http'}://localhost:{self.port}"
        self.trust = ssl.create_default_context(cafile=authority.file) if authority else True
        self.users = {}
        self.server = None
        self.jwk = None
        self.start()

    def start(self):
        """Begins, with the key it had."""
        app = oidc_provider_mock.app()
        app.secret_key = b"only for tests"

        @app.before_request
        def keep():
            if self.jwk is None:
                self.jwk = g.oidc_provider_mock_storage.jwk
            g.oidc_provider_mock_storage.jwk = self.jwk

        self.server = werkzeug.serving.make_server(
            "localhost", self.port, app, threaded=True, ssl_context=self.authority.context() if self.authority else None)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        for sub, claims in self.users.items():
            self.put(sub, **claims)
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join(10)
            self.server = None

    def change_keys(self):
        self.stop()
        self.jwk = None
        return self.start()

    def put(self, sub, **claims):
        self.users[sub] = claims
        answer = httpx.put(f"{self.url}/users/{sub}", json=claims, verify=self.trust)
        assert answer.status_code == 204, answer.text

    def person(self, sub, person, **more):
        """Somebody of the demo, as a provider with a second factor would say it."""
        claims = {"email": person["email"], "email_verified": True, "amr": ["pwd", "mfa"], "auth_time": int(time.time())}
        self.put(sub, **{k: v for k, v in {**claims, **more}.items() if v is not None})

    def settings(self, **more):
        return {"POSTERN_OIDC_ISSUER": self.url, "POSTERN_OIDC_CLIENT_ID": "postern",
                "POSTERN_OIDC_CLIENT_SECRET": "only-for-tests", "POSTERN_OIDC_NAME": "Acme SSO", **more}

    def sign(self, claims, **header):
        """A token with the provider's own key."""
        httpx.get(f"{self.url}/jwks", verify=self.trust)
        return jwt.encode({"alg": "RS256", **header}, claims, RSAKey.import_key(self.jwk.as_dict(is_private=True)))

    def logout_token(self, **claims):
        now = int(time.time())
        return self.sign({
            "iss": self.url, "aud": "postern", "iat": now, "exp": now + 120, "jti": postern.new_key(),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}}, **claims}, typ="logout+jwt")


class WaitingLogin:
    """`postern login` by a browser, in a directory of its own."""

    def __init__(self, server, home):
        self.env = postern.clean_environment(XDG_CONFIG_HOME=home, HOME=home, POSTERN_URL=server.url)
        self.server = server
        self.home = home
        self.process = subprocess.Popen([str(server.binary), "login", "--browser"], cwd=home, env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        shown = ""
        while "Ctrl-C" not in shown:
            line = self.process.stderr.readline()
            assert line, shown
            shown += line
        self.shown = shown
        self.address = re.search(r"http\S+", shown).group()
        self.code = re.search(r"[A-Z]{4}-[A-Z]{4}", shown).group()

    def end(self):
        """What it said, and how it ended."""
        out, error = self.process.communicate(timeout=30)
        return self.process.returncode, out, error

    def run(self, *words):
        return subprocess.run([str(self.server.binary), *words], cwd=self.home, env=self.env, capture_output=True, text=True,
                              timeout=60)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
