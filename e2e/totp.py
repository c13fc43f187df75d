"""Time-based one-time codes, written from RFC 6238 and RFC 4226; shares nothing with the server."""
import base64
import hashlib
import hmac
import struct
import time

STEP = 30


def code(secret, step):
    """The six digits of a base32 secret at a time step."""
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return "%06d" % ((struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6)


class Authenticator:
    """One person's app. The server takes each code once and looks one step back and one ahead, so three codes are there at
    once and then one every 30 seconds. No code is given out twice, unless the server can be made to forget which it took."""

    def __init__(self, secret, last=0, forget=None):
        """`forget` makes the server forget, and answers whether it did."""
        self.secret = secret
        self.last = last
        self.forget = forget

    def next(self):
        while True:
            now = time.time()
            here = int(now // STEP)
            # The step before is about to leave the window near the end of this one.
            first = here - 1 if now % STEP < STEP - 5 else here
            step = max(first, self.last + 1)
            if step <= here + 1:
                self.last = step
                return code(self.secret, step)
            if self.forget and self.forget():
                self.last = 0
                continue
            time.sleep((step - 1) * STEP - now + 0.05)
