"""Start a Beam Python worker from the flags of the container contract, as Beam's Go `boot` does.

It asks the provision service for the pipeline options, and becomes the worker. It fetches no staged files: the
package must be installed, or on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
from google.protobuf import json_format

_TIMEOUT_S = 60
_FLAGS = ("id", "logging_endpoint", "artifact_endpoint", "provision_endpoint", "control_endpoint")


def parse(words: list[str]) -> dict[str, str]:
    """Read the flags; Prism puts quotes around the id."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in _FLAGS:
        parser.add_argument(f"--{name}", default="")
    known, _ = parser.parse_known_args(words)
    return {name: value.strip("'") for name, value in vars(known).items()}


def worker_environment(flags: dict[str, str]) -> dict[str, str]:
    """Return the variables that `sdk_worker_main` reads."""
    channel = grpc.insecure_channel(flags["provision_endpoint"])
    stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(
        grpc.intercept_channel(channel, WorkerIdInterceptor(flags["id"]))
    )
    info = stub.GetProvisionInfo(beam_provision_api_pb2.GetProvisionInfoRequest(), timeout=_TIMEOUT_S).info
    control = info.control_endpoint.url or flags["control_endpoint"]
    logging = info.logging_endpoint.url or flags["logging_endpoint"]
    return {
        **os.environ,
        "WORKER_ID": flags["id"],
        "PIPELINE_OPTIONS": json.dumps(json_format.MessageToDict(info.pipeline_options)),
        "SEMI_PERSISTENT_DIRECTORY": tempfile.gettempdir(),
        "CONTROL_API_SERVICE_DESCRIPTOR": str(endpoints_pb2.ApiServiceDescriptor(url=control)),
        "LOGGING_API_SERVICE_DESCRIPTOR": str(endpoints_pb2.ApiServiceDescriptor(url=logging)),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }


if __name__ == "__main__":
    environment = worker_environment(parse(sys.argv[1:]))
    os.execve(sys.executable, [sys.executable, "-m", "apache_beam.runners.worker.sdk_worker_main"], environment)
