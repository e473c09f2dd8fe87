"""The Dataflow job request, built offline: what the service would be asked for. It shows translation, no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pipelines.beam.engine import EngineExecutor
from pipelines.beam.flags import EngineConfig, check_flags, load_engine
from pipelines.beam.sweep import Sweep, SweepWork
from pipelines.beam.transforms import MapTasks, RunTask, ShuffleTasks
from pipelines.contracts.recipe import Recipe, Source
from pipelines.contracts.tasks import Context, Task

apiclient = pytest.importorskip(
    "apache_beam.runners.dataflow.internal.apiclient", reason="apache-beam[gcp] is not installed"
)

IMAGE = "us-docker.pkg.dev/my-project/mixtrace/worker:1"
ACCELERATOR = "type:nvidia-l4;count:1;install-nvidia-driver"
ROOT = Path(__file__).parents[3]


@dataclass
class Request:
    """What would have been sent and staged."""

    job: dict[str, Any] = field(default_factory=dict)
    pipeline: Any = None
    staged: dict[str, bytes] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, Any]:
        return self.job["environment"]

    @property
    def pool(self) -> dict[str, Any]:
        return self.environment["workerPools"][0]


@contextmanager
def offline(request: Request) -> Iterator[None]:
    """Catch what goes to the service and to Cloud Storage; no credential and no network is used."""

    def submit(self: Any, job: Any) -> Any:
        return apiclient.dataflow.Job(id="offline", name=job.proto.name, project_id="my-project")

    def stage(self: Any, folder: str, name: str, stream: Any, *_: Any, **__: Any) -> None:
        request.staged[f"{folder}/{name}"] = stream.read()

    client = apiclient.DataflowApplicationClient
    warn = "apache_beam.options.pipeline_options.GoogleCloudOptions._warn_if_soft_delete_policy_enabled"
    with (
        mock.patch.object(client, "submit_job_description", submit),
        mock.patch.object(client, "stage_file", stage),
        mock.patch(warn, return_value=None),
    ):
        yield


def build(transform: Any, tmp_path: Path, *flags: str) -> Request:
    """Build the request for one stage with our engine file and executor."""
    import apache_beam as beam
    from apache_beam.portability.api import beam_runner_api_pb2

    engine = load_engine(str(ROOT / "conf/runners/dataflow.toml"))
    place = ("--project=my-project", "--region=us-central1", "--temp_location=gs://my-bucket/tmp",
             f"--sdk_container_image={IMAGE}")  # fmt: skip
    check_flags((*engine.flags, *place, *flags))
    offline_flags = ("--no_auth", f"--dataflow_job_file={tmp_path / 'job.json'}")
    everything = EngineConfig("dataflow", (*engine.flags, *place, *flags, *offline_flags), {}, engine.stall_s)
    executor = EngineExecutor(everything, lambda *_: None)
    request = Request()
    with offline(request):
        pipeline = beam.Pipeline(options=executor.options("ingest"))
        pipeline | "ingest" >> transform
        pipeline.run()
    executor.close()
    found = {name.rpartition("/")[2]: data for name, data in request.staged.items()}
    request.job = json.loads(next(data for name, data in found.items() if name.endswith("job.json")))
    proto = next(data for name, data in found.items() if name.endswith("pipeline.pb"))
    request.pipeline = beam_runner_api_pb2.Pipeline.FromString(proto)
    return request


@pytest.fixture
def context() -> Context:
    recipe = Recipe(name="demo", sources=(Source(name="a", path=("gs://my-bucket/a.jsonl",), format="jsonl"),))
    return Context("gs://my-bucket/workspace", recipe)


@pytest.fixture
def map_tasks(context: Context) -> MapTasks:
    return MapTasks(RunTask(context, "run"), [Task("ingest", f"{n:05d}", "f", {"part": n}) for n in range(3)])


def test_machines_image_and_names_are_asked_for(map_tasks: MapTasks, tmp_path: Path) -> None:
    request = build(map_tasks, tmp_path)
    assert request.job["name"] == "mixtrace-ingest"
    assert request.job["type"] == "JOB_TYPE_BATCH"
    pool = request.pool
    assert pool["machineType"] == "n2-highmem-4"
    assert pool["diskSizeGb"] == 100
    assert pool["numWorkers"] == 2
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 50
    assert pool["autoscalingSettings"]["algorithm"] == "AUTOSCALING_ALGORITHM_BASIC"
    assert pool["numThreadsPerWorker"] == 1
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert [image["containerImage"] for image in pool["sdkHarnessContainerImages"]] == [IMAGE]
    options = request.environment["sdkPipelineOptions"]["options"]
    assert options["save_main_session"] is False


def test_resource_hints_and_an_accelerator_reach_the_steps(map_tasks: MapTasks, tmp_path: Path) -> None:
    request = build(map_tasks, tmp_path, f"--resource_hint=accelerator={ACCELERATOR}")
    doing = [t for t in request.pipeline.components.transforms.values() if t.unique_name == "ingest/Do"]
    environments = {name: request.pipeline.components.environments[name] for name in {t.environment_id for t in doing}}
    assert len(environments) == 1
    (environment,) = environments.values()
    assert environment.urn == "beam:env:docker:v1"
    hints = {urn: value.decode() for urn, value in environment.resource_hints.items()}
    assert hints == {
        "beam:resources:min_ram_bytes:v1": "6000000000",
        "beam:resources:accelerator:v1": ACCELERATOR,
    }


def test_runs_of_a_sweep_ask_for_the_accelerator_of_their_step(tmp_path: Path) -> None:
    jobs = [f"run {n}" for n in range(60)]
    request = build(
        Sweep(SweepWork(len, jobs, lambda: (0, None), {"accelerator": ACCELERATOR, "min_ram": "30GB"})), tmp_path
    )
    components = request.pipeline.components
    hints = {
        name: {
            urn: value.decode() for urn, value in components.environments[step.environment_id].resource_hints.items()
        }
        for name in ("ingest/Train", "ingest/Spread/AddRandomKeys")
        for step in components.transforms.values()
        if step.unique_name == name
    }
    assert hints["ingest/Train"] == {
        "beam:resources:min_ram_bytes:v1": "30000000000",
        "beam:resources:accelerator:v1": ACCELERATOR,
    }
    assert "beam:resources:accelerator:v1" not in hints["ingest/Spread/AddRandomKeys"]
    assert sum(map(len, request.staged.values())) < 10_000_000  # the service takes job requests up to 10 MB


def test_an_accelerator_for_all_workers_is_a_service_option(map_tasks: MapTasks, tmp_path: Path) -> None:
    option = f"worker_accelerator={ACCELERATOR}"
    request = build(map_tasks, tmp_path, f"--dataflow_service_options={option}")
    assert option in request.environment["serviceOptions"]


def test_the_package_is_staged_for_workers(map_tasks: MapTasks, tmp_path: Path) -> None:
    wheel = tmp_path / "mixtrace-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"the bytes of a wheel")
    request = build(map_tasks, tmp_path, f"--extra_package={wheel}")
    staged = {name.rpartition("/")[2]: data for name, data in request.staged.items()}
    assert staged[wheel.name] == b"the bytes of a wheel"
    assert staged["extra_packages.txt"].decode().split() == [wheel.name]
    names = [package["name"] for package in request.pool["packages"]]
    assert wheel.name in names


def test_tasks_travel_inside_the_pipeline_not_in_options(map_tasks: MapTasks, tmp_path: Path) -> None:
    request = build(map_tasks, tmp_path)
    steps = {t.unique_name for t in request.pipeline.components.transforms.values()}
    assert {"ingest/Tasks", "ingest/Spread", "ingest/Do"} <= steps
    assert "gs://my-bucket/workspace" not in json.dumps(request.environment["sdkPipelineOptions"]["options"])


def test_a_shuffle_is_a_group_by_key_over_ints_and_bytes(context: Context, tmp_path: Path) -> None:
    maps = [Task("match", f"{n:05d}", "f", {"part": n}) for n in range(3)]
    reduces = [Task("match", f"{n:05d}", "f", {"partition": n}) for n in range(2)]
    request = build(ShuffleTasks(context, maps, reduces), tmp_path)
    components = request.pipeline.components
    (group,) = [t for t in components.transforms.values() if t.unique_name == "ingest/Group"]
    assert group.spec.urn == "beam:transform:group_by_key:v1"
    (coder_id,) = {components.pcollections[p].coder_id for p in group.inputs.values()}
    parts = components.coders[coder_id].component_coder_ids
    assert [components.coders[part].spec.urn for part in parts] == ["beam:coder:varint:v1", "beam:coder:bytes:v1"]
