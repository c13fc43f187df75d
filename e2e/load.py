"""People who suspend and restore tenants without pause, and write down every acknowledged answer before the next step.

A client behaves as the API's text asks: a request whose answer did not arrive, or was 409 running, 429 or 503, is repeated with
the same key until it is answered."""
import json
import os
import random
import threading
import time

import httpx

import postern


class Load:
    def __init__(self, server, people, path, tenants, seed=1):
        self.server = server
        self.path = path
        self.tenants = tenants
        self.stop_now = threading.Event()
        self.lock = threading.Lock()
        self.file = open(path, "ab", buffering=0)
        self.acknowledged = 0
        self.refused = 0
        self.repeated = 0
        self.unexpected = []
        self.troubles = []  # what a client should never see: cut connections, and that nobody was there
        self.threads = [threading.Thread(target=self.work, args=(person, seed * 1000 + n), daemon=True)
                        for n, person in enumerate(people)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def write_down(self, entry):
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        with self.lock:
            self.file.write(line)
            os.fdatasync(self.file.fileno())
            self.acknowledged += 1

    def work(self, person, seed):
        choose = random.Random(seed)
        client = self.client(person)
        while not self.stop_now.is_set():
            tenant = choose.choice(self.tenants)
            verb, reason = choose.choice([("suspend", "non_payment"), ("restore", "payment_recovered")])
            key = postern.new_key()
            body = {"input": {}, "reason_code": reason, "justification": f"Load, number {choose.random()}"}
            answer = self.insist(client, person, f"/api/v1/tenants/{tenant}/{verb}", body, key)
            if answer is None:
                break
            if answer.status_code == 200:
                self.write_down({"person": person.id, "key": key, "tenant": tenant, "body": answer.json(),
                                 "replayed": "Idempotency-Replayed" in answer.headers})
            elif answer.status_code == 409:
                self.refused += 1
            else:
                self.unexpected.append(f"{answer.status_code} {answer.text[:300]}")
        client.close()

    def client(self, person):
        return httpx.Client(base_url=self.server.url, timeout=20, headers=person.http.headers,
                            transport=self.server.transport())

    def insist(self, client, person, path, body, key, seconds=600):
        """The definite answer; None when the run ends first, which leaves the request among the open ones."""
        end = time.monotonic() + seconds
        while True:
            assert time.monotonic() < end, f"no answer to key {key} within {seconds} s"
            try:
                answer = client.post(path, json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError as error:
                self.repeated += 1
                self.troubles.append(repr(error))
                if self.give_up(person, path, body, key):
                    return None
                time.sleep(0.05)
                continue
            running = answer.status_code == 409 and answer.json().get("type", "").endswith("idempotency-key-running")
            if answer.status_code == 401 and "insufficient_user" in answer.headers.get("WWW-Authenticate", ""):
                try:
                    person.step_up()
                except (httpx.TransportError, AssertionError):
                    time.sleep(0.05)
                if self.give_up(person, path, body, key):
                    return None
                continue
            if running or answer.status_code in (429, 503):
                self.repeated += 1
                if not running:
                    self.troubles.append(f"{answer.status_code} {answer.text[:200]}")
                if self.give_up(person, path, body, key):
                    return None
                time.sleep(0.05)
                continue
            return answer

    def give_up(self, person, path, body, key):
        if not self.stop_now.is_set():
            return False
        with self.lock:
            self.open_requests.append((person, path, body, key))
        return True

    open_requests = None

    def stop(self):
        """Ends the load, then asks once more about everything that got no answer, with its key."""
        self.open_requests = []
        self.stop_now.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"
        self.stop_now.clear()
        for person, path, body, key in self.open_requests:
            with self.client(person) as client:
                answer = self.insist(client, person, path, body, key, seconds=60)
            if answer.status_code == 200:
                self.write_down({"person": person.id, "key": key, "tenant": path.split("/")[4], "body": answer.json(),
                                 "replayed": "Idempotency-Replayed" in answer.headers})
            else:
                assert answer.status_code == 409, answer.text
        self.file.close()
