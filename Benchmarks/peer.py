"""The Django admin that pages are measured beside: a directory of its own, named by POSTERN_BENCH_PEER.

It must have been set up and loaded with as many tenants (`./setup`, `./load N`). It has its own server, its own PostgreSQL and its own
load generator; here it is only asked in turns with ours."""
import json
import os
import signal
import subprocess
from pathlib import Path

from machine import HERE, SECONDS, say


class Peer:
    def __init__(self, directory, log):
        self.directory = Path(directory)
        self.log = open(log, "wb")
        env = os.environ | {"SECONDS_PER_RUN": str(SECONDS), "WARM_SECONDS": "2", "RUNS": "1"}
        self.process = subprocess.Popen(
            ["bash", "-c", '. ./env.sh && exec "$PY" "$0"', str(HERE / "peer_driver.py")], cwd=self.directory, env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)
        self.about = self.read()
        say(f"the peer has {self.about['tenants']:,} tenants")

    @classmethod
    def named(cls, log):
        directory = os.environ.get("POSTERN_BENCH_PEER")
        if not directory:
            say("POSTERN_BENCH_PEER names no peer: only Postern is measured")
            return None
        return cls(directory, log)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            raise SystemExit(f"bench: the peer ended; see {self.log.name}. Has it been set up and loaded (./setup, ./load)?")
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write("|".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self):
        """The driver stops its server when its input ends; what is left after that is ended with its process group."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
