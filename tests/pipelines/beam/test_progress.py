"""Progress markers survive a SIGKILL and name the record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.beam.progress import Marker, open_progress, read_markers

ROOT = Path(__file__).parents[3]


def test_a_marker_says_what_was_done_and_where(tmp_path: Path) -> None:
    progress = open_progress(str(tmp_path), "ingest", "00003")
    progress.beat(10, 2000)
    progress.at("web/ä.warc.gz", 12345)
    assert read_markers(str(tmp_path), "ingest") == {"00003": Marker(2, 10, 2000, "web/ä.warc.gz", 12345)}
    progress.close()


def test_no_count_is_taken_for_something_else(tmp_path: Path) -> None:
    progress = open_progress(str(tmp_path), "ingest", "00000")
    for beats in range(1, 300):
        progress.beat(1, 1)
        assert read_markers(str(tmp_path), "ingest")["00000"].sequence == beats
    progress.close()


def test_a_killed_process_leaves_its_last_record(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pipelines.beam.progress import open_progress\n"
        "p = open_progress(sys.argv[1], 'ingest', '00000')\n"
        "p.at('a.jsonl', 7); p.at('a.jsonl', 99)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    marker = read_markers(str(tmp_path), "ingest")["00000"]
    assert (marker.path, marker.offset) == ("a.jsonl", 99)


def test_object_stores_get_a_json_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = "memory://markers"
    progress = open_progress(workspace, "measure", "00001")
    progress.beat(5, 10)
    progress.close()
    assert read_markers(workspace, "measure")["00001"].documents == 5
