"""What Postern tells beside webhooks, as peers on loopback: a Slack that takes no message Slack would refuse, and a mail server
with STARTTLS and authentication."""
import datetime
import email
import email.policy
import http.server
import ipaddress
import json
import ssl
import threading
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import postern


class Slack:
    """`answer(number, message)` says how the message is answered: `None` as Slack would, or a status, headers and body."""

    TOKEN = "xoxb-only-for-tests"
    HOOK = "/services/T000/B000/only-for-tests"

    def __init__(self, answer=lambda number, message: None):
        self.messages = []  # what was taken, with its time
        self.attempts = []  # everything that was posted
        self.wrong = []     # why a message was refused
        self.posted = []    # the `ts` of each message
        self.changed = []   # what messages were changed to
        self.answer = answer
        lock = threading.Lock()
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    status, headers, text = peer.take(self.path, self.headers, body)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, headers, body):
        assert headers["content-type"].startswith("application/json")
        message = json.loads(body)
        is_bot = path.startswith("/api/")
        if is_bot and headers["authorization"] != f"Bearer {self.TOKEN}":
            return 200, {}, b'{"ok":false,"error":"invalid_auth"}'
        if path == "/api/auth.test":
            return 200, {}, b'{"ok":true}'
        if path not in ("/api/chat.postMessage", "/api/chat.update", self.HOOK):
            return 404, {}, b"no_service"
        if not message:
            return 400, {}, b"no_text"
        self.attempts.append((time.monotonic(), message))
        said = self.answer(len(self.attempts), message)
        if said is not None:
            return said
        if path == "/api/chat.update":
            assert message.pop("ts") in self.posted
            self.changed.append(message)
        problem = self.problem(message, is_bot)
        if problem:
            self.wrong.append((problem, message))
            return (200, {}, b'{"ok":false,"error":"invalid_blocks"}') if is_bot else (400, {}, b"invalid_blocks")
        self.messages.append((time.monotonic(), message))
        self.posted.append(f"{1700000000 + len(self.messages)}.000100")
        return (200, {}, b'{"ok":true,"ts":"%s"}' % self.posted[-1].encode()) if is_bot else (200, {}, b"ok")

    @staticmethod
    def problem(message, is_bot):
        """Block Kit's rules, as far as they concern sections, contexts and their texts."""
        if set(message) - ({"channel", "unfurl_links", "unfurl_media"} if is_bot else set()) != {"text", "blocks"}:
            return f"members {sorted(message)}"
        if is_bot and message["channel"] != "C0STAFF":
            return "another channel"
        if not message["text"] or len(message["text"]) > 4000:
            return "text"
        blocks = message["blocks"]
        if not 1 <= len(blocks) <= 50:
            return f"{len(blocks)} blocks"
        for block in blocks:
            if block["type"] == "section":
                texts, most = [block["text"]], 3000
                if set(block) != {"type", "text"}:
                    return "members of a section"
            elif block["type"] == "context":
                texts, most = block["elements"], 3000
                if set(block) != {"type", "elements"} or not 1 <= len(texts) <= 10:
                    return "members of a context"
            elif block["type"] == "actions":
                buttons = block["elements"]
                if set(block) != {"type", "elements"} or not 1 <= len(buttons) <= 25:
                    return "members of actions"
                if len({button["action_id"] for button in buttons}) != len(buttons):
                    return "two actions of one name"
                for button in buttons:
                    if set(button) != {"type", "action_id", "url", "text"} or button["type"] != "button":
                        return "members of a button"
                    if button["text"]["type"] != "plain_text" or not button["url"].startswith("http"):
                        return "a button"
                texts, most = [button["text"] for button in buttons], 75
            else:
                return f"a block of type {block['type']}"
            for text in texts:
                if set(text) != {"type", "text"} or text["type"] not in ("mrkdwn", "plain_text"):
                    return "members of a text"
                if not 1 <= len(text["text"]) <= most:
                    return f"a text of {len(text['text'])} characters"
        return None

    def texts(self):
        """Everything that was taken, as one text a message."""
        return ["\n".join(t["text"] for b in m["blocks"] if b["type"] != "actions"
                          for t in b.get("elements", [b.get("text")])) for _, m in self.messages]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Authority:
    """Signs certificates of servers. `file` is what those who trust it are given."""

    def __init__(self, folder, name="mail-ca"):
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Postern tests {name}")])
        made = self.build(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(self.key, hashes.SHA256())
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def build(self, subject, key, days=2):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days)))

    def certify(self, context, names=("localhost", "127.0.0.1"), days=2):
        """Gives `context` a certificate for these names; connections from now on are shown it."""
        key = ec.generate_private_key(ec.SECP256R1())
        numbers = [name for name in names if name[0].isdigit()]
        made = (
            self.build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key, days)
            .add_extension(x509.SubjectAlternativeName(
                [x509.DNSName(name) for name in names if name not in numbers]
                + [x509.IPAddress(ipaddress.ip_address(number)) for number in numbers]), critical=False)
            .sign(self.key, hashes.SHA256()))
        file = self.folder / "mail-server.pem"
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        context.load_cert_chain(file)


class Mail:
    """Takes mail from who knows the password: after STARTTLS, or over TLS from the first byte (`implicit`). `answer(number, address)`
    may answer RCPT with another reply, and `data(number)` DATA."""

    USER, PASSWORD = "postern", "only-for-tests: ä"

    def __init__(self, folder, rcpt=lambda address: None, data=lambda number: None, tls=True, implicit=False):
        self.mails = []
        self.tries = 0
        self.signed_in = 0
        self.folder = folder
        self.scheme = "smtps" if implicit else "smtp"
        self.authority = Authority(folder)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.certify(self.context)
        peer = self

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                reply = rcpt(address)
                if reply:
                    return reply
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, server, session, envelope):
                peer.tries += 1
                reply = data(peer.tries)
                if reply:
                    return reply
                assert session.authenticated and (implicit or session.ssl is not None)
                peer.mails.append((envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)))
                return "250 OK"

        def knows(server, session, envelope, mechanism, data):
            peer.signed_in += 1
            right = (data.login, data.password) == (self.USER.encode(), self.PASSWORD.encode())
            return AuthResult(success=right, handled=False)

        (self.port,) = postern.free_ports(1)
        # What aiosmtpd requires of TLS is STARTTLS; the other kind it does not see.
        starts = tls and not implicit
        self.controller = Controller(
            Handler(), hostname="127.0.0.1", port=self.port, authenticator=knows, auth_required=tls, decode_data=False,
            auth_require_tls=starts, require_starttls=starts, tls_context=self.context if starts else None,
            ssl_context=self.context if implicit else None, ready_timeout=20)
        self.controller.start()

    def settings(self, **more):
        """The server's environment; the password in a file of its own."""
        secret = self.folder / "smtp.password"
        secret.write_text(self.PASSWORD)
        secret.chmod(0o600)
        return {"POSTERN_SMTP_URL": f"{self.scheme}://localhost:{self.port}", "POSTERN_SMTP_USER": self.USER,
                "POSTERN_SMTP_PASSWORD_FILE": str(secret), "POSTERN_SMTP_CA_FILE": str(self.authority.file),
                "POSTERN_MAIL_FROM": "Postern <postern@console.example>", **more}

    def to(self, address, subject=None):
        return [m for _, m in self.mails if m["to"] == address and (subject is None or m["subject"] == subject)]

    def close(self):
        self.controller.stop()
