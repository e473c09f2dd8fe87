#!/usr/bin/env bash
# What the tests need beyond Python. Every step is best effort: without it, tests are skipped with the reason.
# Cold 2 to 4 minutes (nearly all of it building Prism), seconds when all is there.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
LIMIT_S=240

cache="${MIXTRACE_ENGINES:-${XDG_CACHE_HOME:-$HOME/.cache}/mixtrace/engines}"
if [[ ! -e "$cache/prism/ready" ]]; then
  timeout "$LIMIT_S" "$here/engines/setup.sh" prism || echo "prism: not set up within $LIMIT_S s"
fi

if [[ -x "$here/../.venv/bin/python" ]]; then  # the Debian installation guide: natural near-duplicates, 35 MB
  (cd "$here/.." && timeout "$LIMIT_S" .venv/bin/python -m benchmarks.duplicates.corpora >/dev/null) ||
    echo "installation guide: not fetched; its test is skipped"
fi

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "chromium: not there, and not root with apt-get; browser tests are skipped"
  else
    echo "chromium: installing with apt-get ..."
    log="$(mktemp)"
    if ! (apt-get update -q && DEBIAN_FRONTEND=noninteractive timeout "$LIMIT_S" \
      apt-get install -q -y --no-install-recommends chromium) >"$log" 2>&1; then
      echo "chromium: not installed: $(tail -n 1 "$log" | cut -c-200); browser tests are skipped"
    fi
    rm -f "$log"
  fi
fi
exit 0
