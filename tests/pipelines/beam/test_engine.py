"""Stages on an engine: the portable path through the embedded job server, the watchdog, messages, ports."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc
import pytest

from pipelines.beam import engine as engine_module
from pipelines.beam import transforms
from pipelines.beam.engine import EngineExecutor
from pipelines.beam.flags import EngineConfig
from pipelines.contracts import manifest, storage
from pipelines.contracts.errors import StageError
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe, Source
from pipelines.contracts.tasks import Context, MapStage, Progress, ShuffleStage, Task

EMBEDDED = ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK")
RELEASE = threading.Event()


def _nothing(*_: object) -> list[Task]:
    return []


def run_toy(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Write the task's key, or fail, or hang, as the payload says."""
    progress.beat(1, 1)
    if task.payload.get("fault") == "raise":
        raise StageError("toy 7: broken on purpose: got x; expected y")
    if task.payload.get("fault") == "hang":
        RELEASE.wait(60)
    storage.write_bytes(storage.join(context.workspace, "toy", task.key), task.key.encode())
    return TaskManifest("toy", task.key, task.fingerprint, counts={"tasks": 1})


def map_words(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Send every word to the partition of its length."""
    for word in task.payload["text"].split():
        yield len(word) % 5, word.encode()


def reduce_words(context: Context, task: Task, payloads: Iterable[bytes], progress: Progress) -> TaskManifest:
    """Write the sorted words of a partition."""
    words = sorted(payloads)
    storage.write_bytes(storage.join(context.workspace, "words", task.key), b" ".join(words))
    return TaskManifest("words", task.key, task.fingerprint, counts={"words": len(words)})


TOY = MapStage("toy", 1, (), "part", lambda recipe: None, _nothing, run_toy)
WORDS = ShuffleStage("words", 1, (), "whole", lambda recipe: None, _nothing, _nothing, map_words, reduce_words)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(transforms, "STAGES", {"toy": TOY, "words": WORDS})
    recipe = Recipe(name="toy", sources=(Source(name="a", path=("a.txt",), format="text"),))
    return Context(str(tmp_path / "ws"), recipe)


@pytest.fixture
def executor() -> Iterator[EngineExecutor]:
    made = EngineExecutor(EngineConfig("embedded", EMBEDDED, {}, 3.0), lambda stage, markers: None)
    yield made
    made.close()


def test_map_tasks_are_done_and_committed(context: Context, executor: EngineExecutor) -> None:
    tasks = [Task("toy", f"{n:05d}", "f") for n in range(5)]
    executor.run_map(context, TOY, tasks)
    assert sorted(manifest.read_tasks(context.workspace, "toy")) == [task.key for task in tasks]
    assert (Path(context.workspace) / "toy/00004").read_text() == "00004"


def test_a_relative_workspace_is_made_absolute_for_workers(
    context: Context, executor: EngineExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert engine_module._placed(Context("ws", context.recipe)).workspace == context.workspace
    assert engine_module._placed(Context("gs://bucket/ws", context.recipe)).workspace == "gs://bucket/ws"


def test_a_shuffle_groups_by_partition_and_reduces_empty_ones_too(context: Context, executor: EngineExecutor) -> None:
    texts = ["a bb ccc", "dd a ffffff", ""]
    maps = [Task("words", f"{n:05d}", "f", {"text": text}) for n, text in enumerate(texts)]
    reduces = [Task("words", f"{p:05d}", "f", {"partition": p}) for p in range(5) if p != 3]  # 3 is done already
    executor.run_shuffle(context, WORDS, maps, reduces)
    words = {path.name: path.read_text() for path in (Path(context.workspace) / "words").iterdir()}
    assert words == {"00000": "", "00001": "a a ffffff", "00002": "bb dd", "00004": ""}
    counts = Counter(
        {key: done.counts["words"] for key, done in manifest.read_tasks(context.workspace, "words").items()}
    )
    assert counts.total() == 5


def test_a_failing_task_is_named_with_the_log(context: Context, executor: EngineExecutor) -> None:
    tasks = [Task("toy", "00000", "f"), Task("toy", "00001", "f", {"fault": "raise"})]
    with pytest.raises(StageError, match=r"stage toy on embedded.*toy 7: broken on purpose") as caught:
        executor.run_map(context, TOY, tasks)
    log = Path(str(caught.value).split("log is ")[1].split(";")[0])
    assert "broken on purpose" in log.read_text()


def test_the_watchdog_cancels_what_does_not_move(context: Context, executor: EngineExecutor) -> None:
    RELEASE.clear()
    began = time.monotonic()
    try:
        with pytest.raises(StageError, match="no progress for 3 s; cancelled"):
            executor.run_map(context, TOY, [Task("toy", "00000", "f", {"fault": "hang"})])
    finally:
        RELEASE.set()
    assert 3 <= time.monotonic() - began < 20


JAVA_ERROR = """Pipeline mixtrace-ingest failed in state FAILED: java.lang.RuntimeException: Error received from SDK \
harness for instruction 5: Traceback (most recent call last):
  File "transforms.py", line 60, in process
    raise ValueError("bad")
ValueError: bad [while running 'ingest/Do']

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(FnApiControlClient.java:180)
Caused by: java.lang.RuntimeException: Error
\t... 1 more
"""


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (JAVA_ERROR, "ValueError: bad [while running 'ingest/Do']"),
        ("SDK worker disconnected: worker[job], 2 active instructions", "SDK worker disconnected: worker[job], 2 active instructions"),
        ("io.grpc.StatusRuntimeException: CANCELLED: client cancelled\n\tat io.grpc.Status.x(Status.java:1)",
         "io.grpc.StatusRuntimeException: CANCELLED: client cancelled"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_cause_is_found_among_java_stack_traces(text: str, cause: str) -> None:
    assert engine_module._cause(text) == cause


def test_all_stages_share_one_java_job_server() -> None:
    from apache_beam.options.pipeline_options import GoogleCloudOptions, JobServerOptions

    executor = EngineExecutor(EngineConfig("flink", ("--runner=FlinkRunner",), {}, 3.0), lambda *_: None)
    first, second = (executor.options(stage).view_as(JobServerOptions) for stage in ("ingest", "measure"))
    assert first.job_port == second.job_port != 0
    assert first.artifacts_dir == second.artifacts_dir
    assert executor.options("ingest").view_as(GoogleCloudOptions).job_name == "mixtrace-ingest"
    executor.close()


def test_servers_in_this_process_listen_on_loopback(executor: EngineExecutor) -> None:
    import socket

    server = grpc.server(None)
    port = server.add_insecure_port("[::]:0")
    try:
        others = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
        for address in set(others) - {"127.0.0.1", "127.0.1.1"}:
            with socket.socket() as probe:
                assert probe.connect_ex((address, port)) != 0
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) == 0
    finally:
        server.stop(None)
