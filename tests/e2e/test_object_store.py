"""A whole job with every format, from an S3-compatible server and into it, against the same job on local disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.awkward import make_corpus, write_recipe
from tests.data.formats import compress
from tests.data.sentences import Writer

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Start the server; its address."""
    code = (
        "from moto.server import ThreadedMotoServer as S\n"
        "s = S(ip_address='127.0.0.1', port=0, verbose=False); s.start(); print(s.get_host_and_port()[1], flush=True); input()"
    )
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    yield f"http://127.0.0.1:{port}"
    server.communicate("\n", timeout=30)


def _corpus(folder: Path) -> None:
    """Add the formats that have columns to the made corpus."""
    make_corpus(folder, documents=60, seed=4)
    writer = Writer(17)
    texts = [writer.document("en", 8) for _ in range(90)]
    table = pa.table({"id": [str(n) for n in range(90)], "text": texts})
    for name in ("parquet", "arrow", "csv", "tsv"):
        (folder / name).mkdir()
    pq.write_table(table.slice(0, 30), folder / "parquet/a.parquet", row_group_size=10)
    with pa.ipc.new_stream(folder / "arrow/a.arrow", table.schema) as file:
        file.write_table(table.slice(30, 30), max_chunksize=10)
    quoted = [text.replace('"', '""') for text in texts[60:]]
    rows = "".join(f'{n},"{text}"\n' for n, text in enumerate(quoted[:15]))
    (folder / "csv/a.csv.gz").write_bytes(compress(("id,text\n" + rows).encode(), ".gz"))
    (folder / "tsv/a.tsv").write_text("".join(f'{n}\t"{text}"\n' for n, text in enumerate(quoted[15:])))


def _recipe(folder: Path, base: str) -> Path:
    paths = {"lines": "*.jsonl*", "notes": "*", "web": "*.warc*", "wiki": "*.xml*", "parquet": "*", "arrow": "*"}
    formats = {"lines": "jsonl", "notes": "text", "web": "warc", "wiki": "mediawiki"}
    sources = [
        {"name": name, "path": f"{base}/{name}/{glob}", "format": formats.get(name, name)}
        for name, glob in (paths | {"csv": "*", "tsv": "*"}).items()
    ]
    sources[-1]["csv"] = {"columns": ["id", "text"]}
    folder.mkdir()
    return write_recipe(folder, sources=sources)


def _curate(recipe: Path, out: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "beam_runner.py", "curate", str(recipe), "--out", out, "--workers", "2"]
    done = subprocess.run(command, cwd=_ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_whole_job_in_and_out_of_an_object_store(tmp_path: Path, s3: str) -> None:
    environment = {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONWARNINGS": "ignore",
    }
    _corpus(tmp_path / "raw")
    store = fsspec.filesystem("s3", key="k", secret="s", endpoint_url=s3, skip_instance_cache=True)
    store.mkdir("corpus")
    store.put(f"{tmp_path}/raw/", "corpus/raw/", recursive=True)
    _curate(_recipe(tmp_path / "local", str(tmp_path / "raw")), str(tmp_path / "ws"), {})
    _curate(_recipe(tmp_path / "remote", "s3://corpus/raw"), "s3://corpus/ws", environment)
    local = {str(p.relative_to(tmp_path / "ws")): p for p in (tmp_path / "ws").rglob("*") if p.is_file()}
    remote = {name.removeprefix("corpus/ws/") for name in store.find("corpus/ws")}
    data = {name for name in local if name.endswith((".parquet", ".arrow"))}
    assert len(data) > 30
    assert {name for name in remote if name.endswith((".parquet", ".arrow"))} == data
    assert all(store.cat(f"corpus/ws/{name}") == local[name].read_bytes() for name in sorted(data))
    rows = pq.read_table(tmp_path / "ws/documents").column("source").value_counts().to_pylist()
    counts = {row["values"]: row["counts"] for row in rows}
    assert (counts["parquet"], counts["arrow"], counts["csv"], counts["tsv"]) == (30, 30, 15, 15)
