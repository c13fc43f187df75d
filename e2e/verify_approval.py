"""Verifies the evidence of a request offline, with nothing of Postern's: receipts as verify_receipt.py does, signatures of
passkeys by `cryptography`.

    python verify_approval.py EVIDENCE.json KEY
"""
import base64
import itertools
import json
import sys
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

import verify_receipt
from verify_receipt import Bad, jcs, sha


def need(condition, text):
    if not condition:
        raise Bad(text)


def canonical(value):
    return jcs(value).encode()


def unb64(text):
    return base64.b64decode(text, validate=True)


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(data, at=0):
    """One value of RFC 8949 in definite lengths: enough for a COSE key."""
    kind, small = data[at] >> 5, data[at] & 31
    at += 1
    if small >= 24:
        size = 1 << (small - 24)
        number = int.from_bytes(data[at:at + size], "big")
        at += size
    else:
        number = small
    if kind == 0:
        return number, at
    if kind == 1:
        return -1 - number, at
    if kind == 2:
        return data[at:at + number], at + number
    if kind == 5:
        out = {}
        for _ in range(number):
            name, at = cbor(data, at)
            out[name], at = cbor(data, at)
        return out, at
    raise Bad("the public key is no COSE key")


def verify_signature(cose, signature, signed):
    key, end = cbor(cose)
    need(end == len(cose), "the public key has something behind it")
    try:
        if key.get(3) == -7:
            need(key[1] == 2 and key[-1] == 1, "the public key is not on P-256")
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(key[-2], "big"), int.from_bytes(key[-3], "big"), ec.SECP256R1())
            numbers.public_key().verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        elif key.get(3) == -8:
            ed25519.Ed25519PublicKey.from_public_bytes(key[-2]).verify(signature, signed)
        elif key.get(3) == -257:
            rsa.RSAPublicNumbers(int.from_bytes(key[-2], "big"), int.from_bytes(key[-1], "big")).public_key().verify(
                signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise Bad(f"the algorithm {key.get(3)} is not known")
    except InvalidSignature:
        raise Bad("the passkey's signature is wrong") from None


def event(receipt, key):
    """The leaf of a receipt and its sealed values, once both are proven."""
    body, _ = verify_receipt.verify(receipt, key)
    return body, {name: member["value"] for name, member in receipt["sealed"].items()}


def rows(found, kind):
    """What rows of a type became by an event."""
    body, sealed = found
    return [sealed[f"changes.{number}.after"] for number, change in enumerate(body.get("changes", []))
            if change["type"] == kind and f"changes.{number}.after" in sealed]


def verify_intent(proof, statement):
    """What a passkey signed: this statement, at a place of the site it names, by its owner, who was there."""
    need(proof["action"] == statement, "the passkey signed another statement than is kept")
    client = json.loads(unb64(proof["client_data"]))
    data = unb64(proof["authenticator_data"])
    need(client["type"] == "webauthn.get", "what was signed is of another kind")
    need(unb64url(client["challenge"]) == sha(canonical(statement), unb64(proof["nonce"])),
         "the challenge is not made of this action and nonce")
    site = urlsplit(client["origin"])
    need(site.hostname == statement["rp_id"] or site.hostname.endswith("." + statement["rp_id"]),
         "it was signed at another origin")
    need(site.scheme == "https" or site.hostname == "localhost", "it was signed at an open address")
    need(not client.get("crossOrigin"), "it was signed inside another site's page")
    need(data[:32] == sha(statement["rp_id"].encode()), "the authenticator signed for another site")
    need(data[32] & 1, "nobody was there")
    need(data[32] & 4, "the authenticator did not verify its owner")
    verify_signature(unb64(proof["public_key"]), unb64(proof["signature"]), data + sha(unb64(proof["client_data"])))
    return client["origin"]


def fills(leaf, person):
    if "permission" in leaf:
        return leaf["permission"] in person["as"]["permissions"]
    return not set(leaf["role"]).isdisjoint(person["as"]["roles"])


def ways(demand):
    """The lists of leaves each of which meets a demand."""
    if "all_of" in demand:
        found = [[]]
        for part in demand["all_of"]:
            found = [before + after for before in found for after in ways(part)]
        return found
    if "any_of" in demand:
        return [way for part in demand["any_of"] for way in ways(part)]
    if "n_of" in demand:
        return [way for chosen in itertools.combinations(demand["n_of"], demand["n"]) for way in ways({"all_of": list(chosen)})]
    return [[demand]]


def met(demand, people):
    """Whether every leaf of one way can be given a person of its own."""
    return any(all(fills(leaf, person) for leaf, person in zip(way, chosen))
               for way in ways(demand) for chosen in itertools.permutations(people, len(way)))


def registered(bundle, key):
    """Whose keys are, as the log says: (person, factor, SHA-256 of the key) → where in the log."""
    owners = {}
    for receipt in bundle["registrations"]:
        body, _ = event(receipt, key)
        facts = body.get("facts", {})
        if body["action"] in ("passkey.add", "enrolment.completed") and body["outcome"] == "applied" and "key_sha256" in facts:
            owners[body["actor"]["id"], facts["factor"], facts["key_sha256"]] = receipt["index"]
    return owners


def owned(proof, owners, index):
    at = owners.get((proof["person"], proof["factor"], sha(unb64(proof["public_key"])).hex()))
    need(at is not None and at < index, "the log does not say that the passkey was registered by them before")


def verify(bundle, key):
    """Raises `Bad`, or answers what was proven, a line each."""
    need(bundle["version"] == 1, "the evidence is of an unknown version")
    lines = []
    owners = registered(bundle, key)
    index = {}
    for receipt in bundle["receipts"]:
        index[json.loads(unb64(receipt["leaf"]))["id"]] = receipt["index"]
    found = [event(receipt, key) for receipt in bundle["receipts"]]
    for body, _ in found:
        need(body["approval_id"] == bundle["approval_id"], "an event is about another request")
    asked = next((one for one in found if one[0]["outcome"] == "requested"), None)
    need(asked, "the event that asked is missing")
    request = next((row for row in rows(asked, "approval") if row["id"] == bundle["approval_id"]), None)
    need(request, "the request is missing")
    action = request["action"]
    digest = sha(canonical(action)).hex()
    agreed = []
    if "intent" in asked[0].get("sealed", {}):
        need("intent" in asked[1], "what the passkey signed to ask is missing")
        proof = asked[1]["intent"]
        signed = proof["action"]
        need(proof["person"] == signed["person"] == request["requester"], "the request was signed by somebody else")
        need(signed["operation_id"] == asked[0]["operation_id"] and signed["operation"] == request["operation"]
             and signed.get("target") == action.get("target"), "another request was signed")
        need(signed["plan_digest"] == request["plan_digest"], "another plan was signed")
        need(signed["demands_sha256"] == sha(canonical(request["demands"])).hex(), "other rules were signed")
        need(signed.get("not_before") == action.get("not_before") and signed.get("undoes") == action.get("undoes"),
             "another time was signed")
        owned(proof, owners, index[asked[0]["id"]])
        need(all(asked[0]["sealed"][name] == value for name, value in signed["sealed"].items()), "another reason was signed")
        lines.append(f"request by {proof['person']}: signed with a passkey at {verify_intent(proof, signed)}")
    for one in found:
        for signature in rows(one, "approval_signature"):
            statement = signature["statement"]
            need(one[0]["actor"]["id"] == signature["person"] == statement["person"], "a decision is somebody else's")
            need(statement["approval"] == bundle["approval_id"], "a decision is about another request")
            need(statement["action_sha256"] == digest, "a decision is about another action")
            need(statement["decision"] == signature["decision"], "a decision says two things")
            if "intent" in statement:
                need("intent" in one[1], "what the passkey signed is missing")
                need(statement["action"] == action, "a decision is about another action")
                need(one[1]["intent"]["person"] == signature["person"], "the passkey is somebody else's")
                owned(one[1]["intent"], owners, index[one[0]["id"]])
                origin = verify_intent(one[1]["intent"], statement)
                lines.append(f"{signature['decision']} by {signature['person']}: signed with a passkey at {origin}")
            else:
                lines.append(f"{signature['decision']} by {signature['person']}: method {signature['method']}, not signed")
            if signature["decision"] == "approve":
                agreed.append((index[one[0]["id"]], one[0]["at"], statement))
    for body, sealed in found:
        if body["action"] != request["operation"] or body["outcome"] != "applied":
            continue
        if "target" in action:
            need(body["target"] == action["target"], "what was done is about another target")
        need(body.get("reason_code") == action.get("reason_code"), "what was done has another reason")
        need(body["operation_id"] == action["operation_id"], "what was done is another operation")
        doers = (body["actor"]["id"], body.get("acting_as"), body.get("facts", {}).get("token"))
        need(action["requester"] in doers, "what was done is done in another's name")
        closed = next((row for row in rows((body, sealed), "approval") if row["id"] == bundle["approval_id"]), None)
        need(closed and closed["state"] == "executed" and closed["outcome_event_id"] == body["id"],
             "what was done does not close the request")
        demands = sha(canonical(closed["demands"])).hex()
        # Each person once, between the request and what was done, within the time they signed for.
        binding = list({one["person"]: one for at, time, one in agreed
                        if one["plan_digest"] == closed["plan_digest"] and one["round"] == closed["round"]
                        and one["demands_sha256"] == demands and index[asked[0]["id"]] < at < index[body["id"]]
                        and time <= one["expires_at"]}.values())
        need(binding, "nobody agreed to the plan that was carried out")
        askers = {action["requester"], action.get("holder")}
        need(not askers & {one["person"] for one in binding}, "whoever asked is among those who agreed")
        need(closed["demands"], "nothing was demanded")
        for demand in closed["demands"]:
            need(met(demand["demand"], binding), f"those who agreed are not whom {demand['rule']} demands")
        need(not {one["person"] for one in binding} & set(action.get("barred", [])),
             "somebody whom it is about is among those who agreed")
        lines.append(f"carried out as {body['id']}, as {len(binding)} agreed")
    return lines


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        bundle = json.load(file)
    try:
        print("\n".join(verify(bundle, sys.argv[2])))
    except (Bad, KeyError, ValueError) as error:
        print(f"The evidence does not hold: {error}")
        sys.exit(1)
