"""The environment of the peers: made once per set of pinned requirements, in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipelines.kernels.compile import user_cache_dir

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "oracles.txt"


def peer_python() -> Path:
    """Make the environment if it is not there (minutes, about 700 MB); returns its interpreter."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = (user_cache_dir() or Path(tempfile.gettempdir())) / "peers" / f"oracles-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"setting up the peers in {folder} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement"]
        subprocess.run([str(python), *install, str(REQUIREMENTS)], check=True)
        (folder / "ready").touch()
    return python


def run_peer(folder: Path, command: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give rows to a command of peers.py and return the rows that it gives back."""
    asked, answered = folder / f"{command}.in.jsonl", folder / f"{command}.out.jsonl"
    asked.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    script = str(Path(__file__).with_name("peers.py"))
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    subprocess.run([str(peer_python()), script, command, str(asked), str(answered)], check=True, env=environment)
    return [json.loads(line) for line in answered.read_text("utf-8").splitlines()]
