"""Run `mixtrace curate` as a process of its own, and compare workspaces."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LIMIT_S = 400.0
_POLL_S = 0.2
_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}

# What a shim puts into worker processes: the faults happen in the process that reads a magic record.
_SHIM = """
import importlib.abc, importlib.machinery, os, signal, sys, time

FAULT = os.environ.get("MIXTRACE_TEST_FAULT", "")
MAGIC = b"MAGIC-RECORD"


def faulty(extract):
    def extract_or_fail(record, options):
        if FAULT == "slow":
            time.sleep(0.02)
        if MAGIC in record.content:
            if FAULT == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if FAULT == "hang":
                time.sleep(3600)
        return extract(record, options)
    return extract_or_fail


def raising(document_id):
    def document_id_or_raise(*args):
        if FAULT == "raise":
            raise ValueError("a fault on purpose")
        return document_id(*args)
    return document_id_or_raise


PATCHES = {"pipelines.ops.extract": ("extract", faulty), "pipelines.contracts.ids": ("document_id", raising)}


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            attribute, wrap = PATCHES[name]
            setattr(module, attribute, wrap(getattr(module, attribute)))

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())

if os.environ.get("MIXTRACE_TEST_SHUFFLE"):
    import random
    order = random.Random(int(os.environ["MIXTRACE_TEST_SHUFFLE"]))
    listdir, scandir = os.listdir, os.scandir

    def shuffled(names):
        names = list(names)
        order.shuffle(names)
        return names

    class Scan:
        def __init__(self, path):
            with scandir(path) as found:
                self.entries = iter(shuffled(found))
        def __iter__(self):
            return self.entries
        def __next__(self):
            return next(self.entries)
        def __enter__(self):
            return self
        def __exit__(self, *_):
            pass
        def close(self):
            pass

    os.listdir = lambda path=".": shuffled(listdir(path))
    os.scandir = lambda path=".": Scan(path)
"""


@dataclass(frozen=True)
class Finished:
    """What became of a command.

    Attributes:
        status: exit status (negative: killed by that signal).
        out: standard output.
        err: standard error.
        seconds: wall time.
        exposed: (program, port) that listened on more than loopback while it ran.
    """

    status: int
    out: str
    err: str
    seconds: float
    exposed: frozenset[tuple[str, int]] = frozenset()


def shim_environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return variables that make every Python process of a command load the shim.

    Args:
        folder: where the shim is written.
        variables: MIXTRACE_TEST_FAULT (kill, hang, slow, raise) or MIXTRACE_TEST_SHUFFLE (a seed).
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SHIM)
    return {"PYTHONPATH": str(folder), **variables}


def start(recipe: Path, workspace: Path, *flags: str, environment: Mapping[str, str] = {}) -> subprocess.Popen:
    """Start `curate` in a process group of its own; its output goes to files beside the workspace."""
    workspace.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "beam_runner.py"), "curate", str(recipe), "--out", str(workspace), *flags]
    out, err = (workspace.with_suffix(suffix) for suffix in (".out", ".err"))
    with out.open("w") as out_file, err.open("w") as err_file:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            start_new_session=True,
        )


def finish(process: subprocess.Popen, workspace: Path, limit_s: float) -> Finished:
    """Wait for a command; kill its whole group after the limit.

    Raises:
        TimeoutError: with what it said, if it had to be killed.
    """
    began = time.monotonic()
    exposed: set[tuple[str, int]] = set()
    try:
        while process.poll() is None:
            if time.monotonic() - began > limit_s:
                err = workspace.with_suffix(".err").read_text()
                raise TimeoutError(f"not finished after {limit_s:.0f} s:\n{err[-2000:]}")
            exposed |= exposed_ports(process.pid)
            time.sleep(_POLL_S)
    finally:
        kill_group(process)
    out, err = (workspace.with_suffix(suffix).read_text() for suffix in (".out", ".err"))
    return Finished(process.returncode, out, err, time.monotonic() - began, frozenset(exposed))


def curate(
    recipe: Path,
    workspace: Path,
    *flags: str,
    environment: Mapping[str, str] = {},
    limit_s: float = LIMIT_S,
) -> Finished:
    """Run `curate` to its end."""
    process = start(recipe, workspace, *flags, environment=environment)
    return finish(process, workspace, limit_s)


def kill_group(process: subprocess.Popen) -> None:
    """SIGKILL the process group of a command, and wait for the command."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def exposed_ports(pid: int) -> set[tuple[str, int]]:
    """Return (program, port) of every process under `pid` that listens on more than loopback."""
    found = set()
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return found
    for member in family:
        try:
            for connection in member.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.ip not in _LOOPBACK:
                    found.add((member.name(), connection.laddr.port))
        except psutil.Error:
            continue
    return found


def data_hashes(workspace: Path) -> dict[str, str]:
    """Return the sha256 of every data file of a workspace, by relative path.

    Manifests (`stages/`) state versions and are exempt; `recipe.json` states places.
    """
    found = {}
    for path in sorted(workspace.rglob("*")):
        name = path.relative_to(workspace).as_posix()
        if path.is_file() and name != "recipe.json" and not name.startswith("stages/"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def engines_folder() -> Path:
    """Return where tests/engines/setup.sh puts engines."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MIXTRACE_ENGINES") or cache / "mixtrace" / "engines")


def missing_engine(name: str) -> str | None:
    """Return why an engine cannot be tested, or None."""
    if not (engines_folder() / name / "ready").exists():
        return f"{name} is not set up (tests/engines/setup.sh {name})"
    if name != "prism" and shutil.which("java") is None:
        return "no java on this machine"
    return None


def engine_flags(name: str) -> list[str]:
    """Return the flags that run an engine that setup.sh has made."""
    folder = engines_folder()
    places = {
        "prism": f"--prism_location={folder / 'prism' / 'prism'}",
        "flink": f"--flink_job_server_jar={folder / 'flink' / 'job-server.jar'}",
        "spark": f"--spark_job_server_jar={folder / 'spark' / 'job-server.jar'}",
    }
    return ["--engine", name, places[name.partition("-")[0]]]


def boot_environment() -> dict[str, str]:
    """Return the variables of tests/engines/boot.sh."""
    return {"MIXTRACE_WORKER_BOOT": str(ROOT / "tests/engines/boot.sh"), "MIXTRACE_PYTHON": sys.executable}


@contextmanager
def serving(command: list[str], folder: Path, environment: Mapping[str, str] = {}) -> Iterator[None]:
    """Run a server that prints "ready"; end its process group afterwards.

    Raises:
        RuntimeError: if it ends before it is ready.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            if server.stdout.readline().strip() != b"ready":
                raise RuntimeError(f"{command[0]} did not start; see {folder / 'server.log'}")
            yield
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(10)
            kill_group(server)
            server.stdout.close()
            server.stdin.close()


def engine_log(err: str) -> Path:
    """Return the engine log that an error message names."""
    at = err.index(f"{tempfile.gettempdir()}/mixtrace-engine-")
    return Path(err[at:].split(";")[0].strip())
