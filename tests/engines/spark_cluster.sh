#!/usr/bin/env bash
# A Spark standalone master and one worker (2 cores, 4 GB) on loopback, from the jars of tests/engines/setup.sh spark.
# Runs until it gets SIGTERM or its standard input ends; logs in FOLDER.
#
#   tests/engines/spark_cluster.sh MASTER_PORT FOLDER
set -euo pipefail
port="$1" folder="$2"
home="${MIXTRACE_ENGINES:-${XDG_CACHE_HOME:-$HOME/.cache}/mixtrace/engines}/spark/home"
# Without the Scala version every executor dies at once ("Cannot find any build directories"): these jars have no
# RELEASE file to read it from, and the job only says that its SparkContext was shut down.
export SPARK_SCALA_VERSION=2.12 SPARK_LOCAL_IP=127.0.0.1 SPARK_HOME="$home" SPARK_WORKER_DIR="$folder/work"
open=()
for package in java.base/sun.nio.ch java.base/java.nio java.base/java.util java.base/java.lang java.base/java.lang.invoke; do
  open+=("--add-opens=$package=ALL-UNNAMED")
done
mkdir -p "$folder"
java "${open[@]}" -Xmx512m -cp "$home/jars/*" org.apache.spark.deploy.master.Master \
  --host 127.0.0.1 --port "$port" --webui-port 0 >"$folder/master.log" 2>&1 &
master=$!
worker=
trap 'kill $master $worker 2>/dev/null; wait' EXIT
trap 'exit 0' TERM INT
for _ in $(seq 120); do
  if grep -q 'I have been elected leader' "$folder/master.log"; then break; fi
  sleep 0.5
done
java "${open[@]}" -Xmx512m -cp "$home/jars/*" org.apache.spark.deploy.worker.Worker "spark://127.0.0.1:$port" \
  --host 127.0.0.1 --cores 2 --memory 4g --webui-port 0 >"$folder/worker.log" 2>&1 &
worker=$!
for _ in $(seq 120); do
  if grep -q 'Successfully registered with master' "$folder/worker.log"; then break; fi
  sleep 0.5
done
echo ready
read -r _ || true
