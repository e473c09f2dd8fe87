#!/usr/bin/env bash
# What --environment_type=PROCESS starts on a node: a Python worker, without Beam's Go `boot` and without a container.
# MIXTRACE_PYTHON names the interpreter (python3), MIXTRACE_PYTHONPATH further folders to import from.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export PYTHONPATH="${MIXTRACE_PYTHONPATH:+$MIXTRACE_PYTHONPATH:}$here/../..${PYTHONPATH:+:$PYTHONPATH}"
exec "${MIXTRACE_PYTHON:-python3}" "$here/boot.py" "$@"
