"""A pool of Python workers for --environment_type=EXTERNAL that listens on loopback only.

Beam's own `worker_pool_main` listens on all interfaces, and whoever reaches it can run code.

Usage: worker_pool.py PORT BOOT, then --environment_type=EXTERNAL --environment_config=localhost:PORT
"""

from __future__ import annotations

import signal
import sys
import threading

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker import worker_pool_main
from apache_beam.utils import thread_pool_executor


def serve(port: int, boot: str) -> None:
    """Serve until SIGTERM; then end the workers."""
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    server.add_insecure_port(f"127.0.0.1:{port}")
    pool = worker_pool_main.BeamFnExternalWorkerPoolServicer(
        use_process=True, container_executable=boot, data_buffer_time_limit_ms=-1
    )
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    server.start()
    print("ready", flush=True)
    stopped.wait()
    for process in list(pool._worker_processes.values()):
        worker_pool_main.kill_process_gracefully(process)
    server.stop(1).wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
