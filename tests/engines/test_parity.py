"""One corpus, one recipe, the same bytes: on every executor and engine, in any listing order, after any kill."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.data.awkward import make_corpus
from tests.engines import commands

DOCUMENTS = 2000
FOLDERS = ("documents", "signals", "signatures", "match", "components", "resolve", "duplicates", "decisions",
           "dead_letters", "index", "tokenizer", "tokens")  # fmt: skip
STAGES = ("ingest", "index", "measure", "match", "components", "resolve", "decide", "tokenizer", "tokenize")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), documents=DOCUMENTS)


@pytest.fixture(scope="session")
def reference(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of a run on this machine with two workers."""
    workspace = tmp_path_factory.mktemp("reference") / "ws"
    done = commands.curate(recipe, workspace, "--workers", "2")
    assert done.status == 0, done.err
    print(f"local, 2 workers: {done.seconds:.1f} s")
    return commands.data_hashes(workspace)


def check(reference: dict[str, str], done: commands.Finished, workspace: Path, name: str) -> None:
    """Check that a run ended well and wrote exactly the bytes of the reference."""
    assert done.status == 0, done.err
    found = commands.data_hashes(workspace)
    assert found.keys() == reference.keys()
    assert {path: digest for path, digest in found.items() if digest != reference[path]} == {}
    print(f"{name}: {len(found)} files equal, {done.seconds:.1f} s; listens on more than loopback: "
          f"{sorted({program for program, _ in done.exposed}) or 'nothing'}")  # fmt: skip


def test_the_reference_holds_every_table(reference: dict[str, str]) -> None:
    assert {path.partition("/")[0] for path in reference} >= set(FOLDERS)
    assert len(reference) > 40


@pytest.mark.parametrize("workers", ["1", "4"])
def test_local_workers(workers: str, recipe: Path, reference: dict[str, str], tmp_path: Path) -> None:
    done = commands.curate(recipe, tmp_path / "ws", "--engine", "local", "--workers", workers)
    check(reference, done, tmp_path / "ws", f"local, {workers} workers")
    assert done.exposed == frozenset()


def test_embedded_job_server(recipe: Path, reference: dict[str, str], tmp_path: Path) -> None:
    done = commands.curate(recipe, tmp_path / "ws", "--engine", "embedded")
    check(reference, done, tmp_path / "ws", "embedded")
    assert done.exposed == frozenset()


def test_prism(recipe: Path, reference: dict[str, str], tmp_path: Path) -> None:
    if reason := commands.missing_engine("prism"):
        pytest.skip(reason)
    done = commands.curate(recipe, tmp_path / "ws", *commands.engine_flags("prism"))
    check(reference, done, tmp_path / "ws", "Prism")
    assert done.exposed == frozenset()


@pytest.mark.engine
@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_java_engines(engine: str, recipe: Path, reference: dict[str, str], tmp_path: Path) -> None:
    if reason := commands.missing_engine(engine):
        pytest.skip(reason)
    done = commands.curate(recipe, tmp_path / "ws", *commands.engine_flags(engine))
    check(reference, done, tmp_path / "ws", engine)
    # The job servers bind their ports on all interfaces, and no flag changes that (docs/engines.md).
    assert {program for program, _ in done.exposed} <= {"java"}


@pytest.mark.engine
@pytest.mark.timeout(1500)
def test_spark_standalone_cluster(recipe: Path, reference: dict[str, str], tmp_path: Path) -> None:
    if reason := commands.missing_engine("spark"):
        pytest.skip(reason)
    port = 20000 + os.getpid() % 10000
    command = [str(commands.ROOT / "tests/engines/spark_cluster.sh"), str(port), str(tmp_path / "cluster")]
    environment = commands.boot_environment()
    with commands.serving(command, tmp_path / "cluster", environment):
        done = commands.curate(
            recipe,
            tmp_path / "ws",
            *commands.engine_flags("spark-standalone"),
            f"--spark_master_url=spark://127.0.0.1:{port}",
            environment=environment,
            limit_s=1400,  # every stage starts an executor and two Python workers anew: 30 to 50 s
        )
    check(reference, done, tmp_path / "ws", "spark-standalone")


def test_shuffled_listing(recipe: Path, reference: dict[str, str], tmp_path: Path) -> None:
    """Files in another order: in the recipe's patterns, and in what the operating system lists."""
    body = YAML(typ="safe").load(recipe.read_text())
    for source in body["sources"]:
        folder, pattern = source["path"].split("/")
        first, *rest = sorted((path.name for path in (recipe.parent / folder).iterdir()), reverse=True)
        source["path"] = [f"{folder}/{name}" for name in (*rest, first)] if len(rest) < 10 else [f"{folder}/{pattern}"]
    shuffled = recipe.parent / "shuffled.yaml"
    YAML().dump(body, shuffled)
    environment = commands.shim_environment(tmp_path / "shim", MIXTRACE_TEST_SHUFFLE="7")
    done = commands.curate(shuffled, tmp_path / "ws", "--workers", "2", environment=environment)
    check(reference, done, tmp_path / "ws", "shuffled listing")


def test_killed_twice_and_resumed(recipe: Path, reference: dict[str, str], tmp_path: Path) -> None:
    """SIGKILL of the whole process group in two random stages; the same command finishes the job."""
    workspace = tmp_path / "ws"
    order = random.Random(20261123)
    for stage in (order.choice(STAGES[:5]), order.choice(STAGES[5:])):
        process = commands.start(recipe, workspace, "--workers", "2")
        while process.poll() is None and not (workspace / "stages" / stage).exists():
            time.sleep(0.005)
        time.sleep(order.random() * 0.3)
        commands.kill_group(process)
        assert process.returncode == -signal.SIGKILL, f"{stage}: {workspace.with_suffix('.err').read_text()}"
        print(f"killed in {stage}")
    check(reference, commands.curate(recipe, workspace, "--workers", "2"), workspace, "killed twice, resumed")
