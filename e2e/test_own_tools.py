"""The tests' own arithmetic against published vectors, so that a test that passes means something."""
import base64

import merkle
import pytest
import totp


@pytest.mark.parametrize(
    "moment, digits",
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_codes_are_those_of_rfc_6238_appendix_b(moment, digits):
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp.code(secret, moment // 30) == digits


def test_an_authenticator_never_repeats_a_code_and_uses_the_three_steps_at_hand(monkeypatch):
    now = [1_000_000 * 30 + 3.0]
    monkeypatch.setattr(totp.time, "time", lambda: now[0])
    monkeypatch.setattr(totp.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    app = totp.Authenticator(base64.b32encode(b"12345678901234567890").decode())
    steps = []
    for _ in range(5):
        app.next()
        steps.append(app.last)
    assert steps == [999_999, 1_000_000, 1_000_001, 1_000_002, 1_000_003]
    assert now[0] >= 1_000_002 * 30


def test_an_authenticator_waits_for_nothing_where_the_server_forgets(monkeypatch):
    now, forgotten = [1_000_000 * 30 + 3.0], []
    monkeypatch.setattr(totp.time, "time", lambda: now[0])
    monkeypatch.setattr(totp.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    # The database is away the second time it is asked.
    app = totp.Authenticator(base64.b32encode(b"12345678901234567890").decode(),
                             forget=lambda: forgotten.append(len(forgotten)) or len(forgotten) != 2)
    steps = []
    for _ in range(7):
        app.next()
        steps.append(app.last)
    assert steps == [999_999, 1_000_000, 1_000_001, 999_999, 1_000_000, 1_000_001, 1_000_002] and forgotten == [0, 1]
    assert 1_000_001 * 30 <= now[0] < 1_000_002 * 30


# The leaves and roots of certificate-transparency-go's reference tests.
LEAVES = [bytes.fromhex(x) for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                     "606162636465666768696a6b6c6d6e6f")]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_reference_ones(size):
    assert merkle.root([merkle.leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size - 1]


def test_tile_paths_are_those_of_the_c2sp_text():
    assert merkle.tile_path(1234067) == "x001/x234/067"
    assert merkle.tile_path(0) == "000"
    assert merkle.tile_path(256) == "256"


def test_canonical_json_sorts_by_utf_16_and_escapes_little():
    value = {"\u20ac": 1, "\r": [True, None], "\U0001f600": "\x0f\n\"\\/é", "1": 2**53, "a": {}}
    assert merkle.canonical(value) == (
        '{"\\r":[true,null],"1":"9007199254740992","a":{},"€":1,"😀":"\\u000f\\n\\"\\\\/é"}'
    )
