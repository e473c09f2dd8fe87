#!/usr/bin/env bash
# Set up Beam engines for the tests, outside the checkout, in ${MIXTRACE_ENGINES:-~/.cache/mixtrace/engines}.
#
#   tests/engines/setup.sh                  all of them
#   tests/engines/setup.sh prism            Prism alone: 2 to 3 minutes, 70 MB kept (1.5 GB while it is built)
#   tests/engines/setup.sh flink spark      job servers of the Beam 2.62.0 libraries: 1 to 3 minutes each,
#                                           160 MB (Flink) and 100 MB + 320 MB of Spark's own jars kept
#
# What is there already is not made again. An engine that cannot be set up prints the reason, and the others go on;
# the exit status is always 0, because the tests skip what is missing, with the reason.
set -uo pipefail
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export MIXTRACE_ENGINES="${MIXTRACE_ENGINES:-${XDG_CACHE_HOME:-$HOME/.cache}/mixtrace/engines}"
PYTHON="${PYTHON:-python3}"
PRISM_VERSION=v2.77.0        # that of apache-beam in pyproject.toml
PYSPARK='pyspark>=3.5,<3.6'  # beam-runners-spark-3 is built for Spark 3.5
LOGS="$MIXTRACE_ENGINES/logs"
WORK="$(mktemp -d)"
trap 'chmod -R u+w "$WORK" 2>/dev/null; rm -rf "$WORK"' EXIT
mkdir -p "$LOGS"

# try NAME COST COMMAND...: run it unless NAME/ready exists; print how long it took, or why it failed.
try() {
  local name="$1" cost="$2" started=$SECONDS
  shift 2
  if [[ -e "$MIXTRACE_ENGINES/$name/ready" ]]; then
    echo "$name: there already"
    return
  fi
  echo "$name: setting up ($cost) ..."
  rm -rf "${MIXTRACE_ENGINES:?}/$name"
  mkdir -p "$MIXTRACE_ENGINES/$name"
  if ("$@") >"$LOGS/$name.log" 2>&1; then
    touch "$MIXTRACE_ENGINES/$name/ready"
    echo "$name: ready after $((SECONDS - started)) s, $(du -sh "$MIXTRACE_ENGINES/$name" | cut -f1)"
  else
    echo "$name: not set up: $(tail -n 1 "$LOGS/$name.log" | cut -c-200) (log: $LOGS/$name.log)"
    rm -rf "${MIXTRACE_ENGINES:?}/$name"
  fi
}

need() {
  command -v "$1" >/dev/null || { echo "no $1 on this machine"; return 1; }
}

# Prism listens on all interfaces, and no flag changes that: that one line is changed to "localhost" before the build.
build_prism() {
  need go || return 1
  export GOPATH="$WORK/go" GOCACHE="$WORK/go-cache"
  local downloaded server=go/pkg/beam/runners/prism/internal/jobservices/server.go
  downloaded="$(go mod download -json "github.com/apache/beam/sdks/v2@$PRISM_VERSION" |
    sed -n 's/.*"Dir": "\(.*\)".*/\1/p')"
  cp -r "$downloaded" "$WORK/beam" && chmod -R u+w "$WORK/beam" && cd "$WORK/beam" || return 1
  sed -i 's/net.Listen("tcp", fmt.Sprintf(":%d", port))/net.Listen("tcp", fmt.Sprintf("localhost:%d", port))/' "$server"
  grep -q '"localhost:%d"' "$server" || { echo "Prism $PRISM_VERSION listens elsewhere than expected"; return 1; }
  go build -o "$MIXTRACE_ENGINES/prism/prism" ./go/cmd/prism
}

# copy_libraries NAME: the libraries named in pom-NAME.xml, into NAME/lib
copy_libraries() {
  need java && need mvn || return 1
  mvn --batch-mode --quiet --settings "$HERE/maven-settings.xml" --file "$HERE/pom-$1.xml" \
    -Dmaven.repo.local="$WORK/maven" -DoutputDirectory="$MIXTRACE_ENGINES/$1/lib" \
    dependency:copy-dependencies
}

build_flink() {
  copy_libraries flink &&
    "$PYTHON" "$HERE/assemble.py" "$MIXTRACE_ENGINES/flink/job-server.jar" \
      org.apache.beam.runners.flink.FlinkJobServerDriver "$MIXTRACE_ENGINES/flink/lib"
}

# Spark's own jars come with pyspark: only they are unpacked, nothing is installed.
build_spark() {
  copy_libraries spark &&
    "$PYTHON" -m pip download --quiet --no-deps --no-binary pyspark --dest "$WORK/pyspark" "$PYSPARK" &&
    mkdir -p "$MIXTRACE_ENGINES/spark/home/jars" &&
    tar -xzf "$WORK"/pyspark/pyspark-3.5.*.tar.gz -C "$MIXTRACE_ENGINES/spark/home/jars" \
      --wildcards --strip-components=3 '*/deps/jars/*.jar' &&
    "$PYTHON" "$HERE/assemble.py" "$MIXTRACE_ENGINES/spark/job-server.jar" \
      org.apache.beam.runners.spark.SparkJobServerDriver "$MIXTRACE_ENGINES/spark/lib" \
      "$MIXTRACE_ENGINES/spark/home/jars"
}

for engine in "${@:-all}"; do
  case "$engine" in
    prism | all) try prism "Go build, 2 to 3 minutes, 1.5 GB of scratch" build_prism ;;&
    flink | all) try flink "Maven, 1 to 3 minutes, 160 MB" build_flink ;;&
    spark | all) try spark "Maven and pip, 3 to 5 minutes, 420 MB" build_spark ;;&
    prism | flink | spark | all) ;;
    *) echo "$engine: no such engine; expected prism, flink or spark" ;;
  esac
done
exit 0
