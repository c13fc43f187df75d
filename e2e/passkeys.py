"""Authenticators: Chromium's virtual ones for browsers, and one made here whose every byte a test may choose."""
import base64
import hashlib
import json
import os
import struct

import browser
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class VirtualAuthenticator:
    """A device the browser finds, which agrees to everything at once."""

    def __init__(self, window, transport="internal", protocol="ctap2", verifies=True, **options):
        modern = protocol == "ctap2"
        self.window = window
        self.options = {
            "protocol": protocol, "transport": transport, "hasResidentKey": modern, "hasUserVerification": modern,
            "isUserVerified": modern and verifies, "automaticPresenceSimulation": True, **options}
        self.plug_in()

    def plug_in(self):
        self.cdp = self.window.context.new_cdp_session(self.window.page)
        self.cdp.send("WebAuthn.enable", {"enableUI": False})
        self.id = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": self.options})["authenticatorId"]

    def audit(self, what):
        """Looks at the page. The end of axe's session takes virtual devices away, so this one is plugged in again."""
        if not browser.examines:
            return self.window.audit(what)
        kept = self.credentials()
        self.window.audit(what)
        self.plug_in()
        for credential in kept:
            self.put(credential)

    def credentials(self):
        return self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"]

    def put(self, credential):
        self.cdp.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential})

    def forget(self, credential):
        self.cdp.send("WebAuthn.removeCredential", {"authenticatorId": self.id, "credentialId": credential["credentialId"]})

    def agree(self, agrees=True):
        """Whether somebody touches it as soon as it is asked."""
        self.options["automaticPresenceSimulation"] = agrees
        self.cdp.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": self.id, "enabled": agrees})

    def verify(self, is_verified):
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": is_verified})

    def remove(self):
        self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.id})


class Passkey:
    """An ES256 passkey in software. What it answers is made of its attributes, so that a test can make any of them wrong."""

    def __init__(self, rp="localhost"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(32)
        self.rp = rp
        self.flags = 0x05
        self.counter = 0
        self.handle = None

    def cose(self):
        point = self.key.public_key().public_numbers()
        return b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + point.x.to_bytes(32, "big") \
            + b"\x22\x58\x20" + point.y.to_bytes(32, "big")

    def data(self, attested=False):
        self.counter += 1 if self.counter else 0
        head = hashlib.sha256(self.rp.encode()).digest() + bytes([self.flags | (0x40 if attested else 0)]) \
            + struct.pack(">I", self.counter)
        return head + (bytes(16) + struct.pack(">H", len(self.id)) + self.id + self.cose() if attested else b"")

    @staticmethod
    def client(kind, options, origin, **more):
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": False, **more},
                          separators=(",", ":")).encode()

    def make(self, options, origin, **more):
        self.handle = options["user"]["id"]
        data = self.data(attested=True)
        attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
        return {"id": b64(self.id), "client_data": b64(self.client("webauthn.create", options, origin, **more)),
                "attestation": b64(attestation), "transports": ["internal"]}

    def use(self, options, origin, **more):
        data = self.data()
        client = self.client("webauthn.get", options, origin, **more)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return {"id": b64(self.id), "client_data": b64(client), "authenticator_data": b64(data), "signature": b64(signature),
                "user_handle": self.handle}
