"""Any Beam engine (Spark, Flink, Prism, Dataflow, PortableRunner): one pipeline per stage.

A watchdog reads the progress markers and manifests that tasks write: an engine that hangs (Spark in local
mode does for ever when a worker is killed) is cancelled, and its log is named.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.beam.flags import EngineConfig, flag_value
from pipelines.beam.progress import Marker, read_markers
from pipelines.contracts import manifest, storage
from pipelines.contracts.errors import MixtraceError, StageError, message
from pipelines.contracts.tasks import Context, MapStage, ShuffleStage, Task

if TYPE_CHECKING:
    import apache_beam as beam

_POLL_S = 0.5
_CANCEL_S = 10.0
_JAVA_RUNNERS = ("FlinkRunner", "SparkRunner")
_PYTHON_ERROR = re.compile(
    r"^(?!java\.|org\.|io\.|com\.|scala\.|Caused by)[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b"
)


class EngineExecutor:
    """Run stages on an engine.

    Args:
        engine: flags, environment and stall time.
        show: called about twice a second with (stage, markers).
    """

    def __init__(self, engine: EngineConfig, show: Callable[[str, dict[str, Marker]], None]) -> None:
        os.environ.update(engine.environment)
        self._engine, self._show = engine, show
        self._log = Path(tempfile.gettempdir()) / f"mixtrace-engine-{os.getpid()}.log"
        self._scratch = tempfile.TemporaryDirectory(prefix="mixtrace-engine-", ignore_cleanup_errors=True)
        self._job_port = _free_port()
        self._thread_failed, threading.excepthook = threading.excepthook, _log_thread_failure
        _listen_on_loopback()

    def close(self) -> None:
        """Remove staged artifacts; Beam ends the job servers that it started when the process ends."""
        self._scratch.cleanup()
        threading.excepthook = self._thread_failed

    def run_map(self, context: Context, stage: MapStage, tasks: list[Task]) -> None:
        """Run the tasks of a map stage as one pipeline."""
        from pipelines.beam.transforms import MapTasks, RunTask

        self._run(context, stage.name, MapTasks(RunTask(_placed(context), "run"), tasks))

    def run_shuffle(self, context: Context, stage: ShuffleStage, maps: list[Task], reduces: list[Task]) -> None:
        """Run a shuffle as one pipeline with a GroupByKey."""
        from pipelines.beam.transforms import ShuffleTasks

        self._run(context, stage.name, ShuffleTasks(_placed(context), maps, reduces))

    def _run(self, context: Context, stage: str, transform: beam.PTransform) -> None:
        def observe() -> object:
            markers = read_markers(context.workspace, stage)
            self._show(stage, markers)
            parts = storage.join(manifest.stage_folder(context.workspace, stage), "_parts")
            return markers, len(storage.list_files(parts))

        self.run_transform(stage, transform, observe)

    def run_transform(self, stage: str, transform: beam.PTransform, observe: Callable[[], object]) -> None:
        """Run one pipeline.

        Args:
            stage: names the job.
            transform: applied to the pipeline.
            observe: returns something that changes while the job moves; asked twice a second.

        Raises:
            StageError: if the engine fails, or nothing moves for the stated time.
        """
        import apache_beam as beam

        with self._logged(stage):
            pipeline = beam.Pipeline(options=self.options(stage))
            pipeline | stage >> transform
            try:
                result = pipeline.run()
                self._watch(stage, result, observe)
            except MixtraceError:
                raise
            except Exception as error:
                raise self._failure(stage, error) from error

    def options(self, stage: str) -> Any:
        """Return Beam's options for one stage: the engine's flags and a name for the job.

        Beam starts a job server (a JVM: 8 s, .5 GB) per Flink pipeline and keeps them all; it takes the one
        that runs if it would be started by the same command, so port and folder are the same for all stages.
        """
        from apache_beam.options.pipeline_options import PipelineOptions

        flags = self._engine.flags
        added = {"job_name": f"mixtrace-{stage.replace('_', '-')}"}
        if (flag_value(flags, "runner") or "").rpartition(".")[2] in _JAVA_RUNNERS:
            added |= {"job_port": str(self._job_port), "artifacts_dir": self._scratch.name}
        missing = [f"--{name}={value}" for name, value in added.items() if flag_value(flags, name) is None]
        return PipelineOptions([*flags, *missing, "--no_save_main_session"])

    def _failure(self, stage: str, error: Exception) -> StageError:
        return StageError(
            message(
                f"stage {stage} on {self._engine.name}",
                "the engine failed",
                _cause(str(error)) or repr(error),
                "a finished job",
                f"The engine's log is {self._log}; the same command resumes.",
            )
        )

    def _watch(self, stage: str, result: Any, observe: Callable[[], object]) -> None:
        """Wait for the job; cancel it if nothing has moved for the stated time.

        Raises:
            StageError: if it stalls. Whatever the engine raises is raised as it is.
        """
        from apache_beam.runners.runner import PipelineState

        seen: object = None
        moved = time.monotonic()
        while not PipelineState.is_terminal(result.state):
            now = observe()
            if now != seen:
                seen, moved = now, time.monotonic()
            elif time.monotonic() - moved > self._engine.stall_s:
                _cancel(result)
                raise self._failure(stage, TimeoutError(f"no progress for {self._engine.stall_s:.0f} s; cancelled"))
            time.sleep(_POLL_S)
        result.wait_until_finish()

    @contextlib.contextmanager
    def _logged(self, stage: str) -> Iterator[None]:
        """Send Beam's and the engine's log to a file instead of the terminal."""
        root, beam_logger = logging.getLogger(), logging.getLogger("apache_beam")
        beam_level = beam_logger.level
        beam_logger.setLevel(logging.NOTSET)
        handler = logging.FileHandler(self._log, "a", "utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        before, level = root.handlers[:], root.level
        root.handlers[:] = [handler]
        root.setLevel(logging.INFO)
        root.info("stage %s on %s", stage, self._engine.name)
        try:
            yield
        finally:
            root.handlers[:] = before
            root.setLevel(level)
            beam_logger.setLevel(beam_level)
            handler.close()


def _placed(context: Context) -> Context:
    """Return the context with an absolute workspace: workers of a cluster start in other folders."""
    if not storage.is_local(context.workspace):
        return context
    return dataclasses.replace(context, workspace=os.path.abspath(context.workspace.removeprefix("file://")))


def _cause(text: str) -> str:
    """Find what failed in an engine's error: the end of a Python traceback if there is one, else its last words."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    python = [line for line in lines if _PYTHON_ERROR.match(line)]
    spoken = [line for line in lines if not line.startswith(("at ", "... "))]
    return (python or spoken or [""])[-1][:300]


def _cancel(result: Any) -> None:
    """Cancel a job that hangs; an engine that does not even answer is left behind."""
    import grpc

    def ask() -> None:
        with contextlib.suppress(grpc.RpcError, RuntimeError):  # the stall is what is reported
            result.cancel()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_CANCEL_S)


def _log_thread_failure(args: threading.ExceptHookArgs) -> None:
    """Keep the tracebacks of Beam's reader threads, which end in one when a job ends, out of the terminal."""
    name = args.thread.name if args.thread else "?"
    logging.getLogger(__name__).info(
        "thread %s ended", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@functools.cache
def _listen_on_loopback() -> None:
    """Make the gRPC servers that Beam starts in this process listen on loopback only.

    They serve code execution without authentication and ask for all interfaces (`[::]`); no option changes that.
    """
    import grpc

    make = grpc.server

    def server(*args: Any, **kwargs: Any) -> grpc.Server:
        made = make(*args, **kwargs)
        add = made.add_insecure_port
        made.add_insecure_port = lambda address: add(address.replace("[::]:", "127.0.0.1:"))
        return made

    grpc.server = server
