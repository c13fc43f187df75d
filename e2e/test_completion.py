"""Completion as people meet it: each shell itself, with Tab."""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time

import postern
import pytest


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The script of each shell, and a folder with files that could be meant."""
    home = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        made = subprocess.run([postern.BINARY, "completion", shell], capture_output=True, text=True, check=True, timeout=60)
        (home / f"postern.{shell}").write_text(made.stdout)
    files = home / "files"
    files.mkdir()
    (files / "customers.csv").touch()
    (files / "more of them.csv").touch()
    return home


def need(shell):
    path = shutil.which(shell)
    return path or postern.lacking(f"{shell} is not installed")


class Terminal:
    """A shell with somebody in front of it. Ctrl-X Ctrl-F hands over what stands in the line and empties it."""

    READY, DONE = b"READY> ", b"HANDED-OVER"

    def __init__(self, command, setup, home):
        self.line = home / "line"
        (home / "setup").write_text(setup.replace("@OUT@", str(self.line)))
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(home / "files")
            os.environ.update(TERM="dumb", HOME=str(home), ZDOTDIR=str(home), LC_ALL="C.UTF-8")
            os.execv(command[0], command)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 80, 160, 0, 0))
        os.write(self.fd, f"source {home}/setup\n".encode())
        self.until(self.READY)

    def until(self, mark, seconds=30):
        seen, end = b"", time.monotonic() + seconds
        while mark not in seen:
            left = end - time.monotonic()
            assert left > 0, seen.decode(errors="replace")[-2000:]
            if select.select([self.fd], [], [], left)[0]:
                seen += os.read(self.fd, 1 << 16)
        return seen.decode(errors="replace")

    def types(self, text, tabs=1):
        """What the line is after `text` and Tab, and what was on the screen."""
        os.write(self.fd, text.encode() + b"\t" * tabs + b"\x18\x06")
        screen = self.until(self.DONE)
        return self.line.read_text().rstrip("\n"), screen

    def close(self):
        os.write(self.fd, b"exit\n")
        os.close(self.fd)
        os.waitpid(self.pid, 0)


BASH = """
source {home}/postern.bash
hand_over() {{ printf '%s\\n' "$READLINE_LINE" > @OUT@; READLINE_LINE=; READLINE_POINT=0; echo HANDED-''OVER; }}
bind -x '"\\C-x\\C-f": hand_over'
bind 'set bell-style none'
bind 'set completion-query-items 10000'
bind 'set page-completions off'
PS1='READ''Y> '
"""

ZSH = """
unsetopt beep
LISTMAX=10000
{load}
hand_over() {{ print -r -- "$BUFFER" > @OUT@; BUFFER=; zle -I; print HANDED-''OVER }}
zle -N hand_over
bindkey '^X^F' hand_over
PS1='READ''Y> '
"""

LINES = [
    ("postern ten", "postern tenant "),
    ("postern tenant sus", "postern tenant suspend "),
    ("postern tenant suspend acme --just", "postern tenant suspend acme --justification "),
    ("postern tenant suspend acme --reason-code non", "postern tenant suspend acme --reason-code non_payment "),
    ("postern tenant suspend acme --reason-code=non", "postern tenant suspend acme --reason-code=non_payment "),
    # A value is no command, whatever it says.
    ("postern tenant suspend --ticket list --reason-code ab", "postern tenant suspend --ticket list --reason-code abuse "),
    ("postern tenant list --plan show --stat", "postern tenant list --plan show --status "),
    ("postern help exi", "postern help exit-codes "),
    ("postern import csv cust", "postern import csv customers.csv "),
    ("postern import csv more", "postern import csv more\\ of\\ them.csv "),
    ("postern audit export --out=cust", "postern audit export --out=customers.csv "),
    ("postern serve --listen au", "postern serve --listen auditor "),
    # Nothing a shell could know.
    ("postern tenant suspend acme", "postern tenant suspend acme"),
]


def test_bash_completes_what_is_typed(scripts):
    terminal = Terminal([need("bash"), "--norc", "--noprofile", "-i"], BASH.format(home=scripts), scripts)
    try:
        for typed, line in LINES:
            assert terminal.types(typed)[0] == line
        _, screen = terminal.types("postern tenant suspend acme --reason-code ", tabs=2)
        assert re.search(r"abuse +legal_hold +non_payment +support_investigation", screen), screen
    finally:
        terminal.close()


@pytest.mark.parametrize("way", ["sourced", "from fpath"])
def test_zsh_completes_what_is_typed_and_says_what_it_is(scripts, way):
    zsh = need("zsh")
    if way == "sourced":
        load = f"autoload -Uz compinit; compinit -u -D\nsource {scripts}/postern.zsh"
    else:
        (scripts / "functions").mkdir()
        shutil.copy(scripts / "postern.zsh", scripts / "functions/_postern")
        load = f"fpath=({scripts}/functions $fpath); autoload -Uz compinit; compinit -u -D"
    terminal = Terminal([zsh, "-f", "-i"], ZSH.format(load=load), scripts)
    try:
        for typed, line in LINES:
            assert terminal.types(typed)[0] == line
        _, screen = terminal.types("postern tenant s", tabs=2)
        assert re.search(r"suspend +-- Locks every member out", screen) and re.search(r"show +-- Show one tenant", screen), screen
        _, screen = terminal.types("postern tenant suspend acme --reason-code ", tabs=2)
        assert re.search(r"abuse +legal_hold +non_payment +support_investigation", screen), screen
    finally:
        terminal.close()


def test_zsh_without_its_completion_system_is_told(scripts):
    done = subprocess.run([need("zsh"), "-f", "-c", f"source {scripts}/postern.zsh"], capture_output=True, text=True, timeout=30)
    assert "compinit" in done.stderr and done.stdout == ""


def test_fish_completes_what_is_typed_and_says_what_it_is(scripts):
    fish = need("fish")

    def offered(line):
        done = subprocess.run([fish, "--no-config", "-c", f"source {scripts}/postern.fish; complete -C $argv", line],
                              cwd=scripts / "files", capture_output=True, text=True, check=True, timeout=30,
                              env={**os.environ, "HOME": str(scripts)})
        assert done.stderr == ""
        return dict(found.split("\t") if "\t" in found else (found, "") for found in done.stdout.splitlines())

    for typed, line in LINES[:-1]:
        found = offered(typed)
        # fish offers the last word, unquoted; a file after --out= with it.
        assert list(found) == [line.removesuffix(" ").replace("\\ ", "\0").split(" ")[-1].replace("\0", " ")], (typed, found)
    assert offered("postern tenant s")["suspend"].startswith("Locks every member out")
    assert set(offered("postern tenant suspend acme --reason-code ")) == {
        "abuse", "legal_hold", "non_payment", "support_investigation"}
    assert offered("postern tenant suspend acme ") == {}
    assert {"--justification", "--dry-run", "--help"} <= set(offered("postern tenant suspend acme --"))
