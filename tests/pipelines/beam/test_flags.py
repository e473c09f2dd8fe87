"""Misspelt flags are errors with a suggestion, not Beam's silent warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.beam.flags import check_flags, flag_value, load_engine
from pipelines.contracts.errors import ConfigError


@pytest.mark.parametrize(
    "flags",
    [
        ("--runner=SparkRunner", "--spark_master_url=local[2]"),
        ("--runner", "PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"),
        ("--experiments=a", "--experiments=b"),
    ],
)
def test_beam_flags_pass(flags: tuple[str, ...]) -> None:
    check_flags(flags)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--dryrun",), "--dry-run"),
        (("--spark_master=local",), "--spark_master_url"),
        (("--runner=SparkRunner", "local[2]"), "does not belong to any flag"),
    ],
)
def test_misspelt_flags_are_refused(flags: tuple[str, ...], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        check_flags(flags)
    assert caught.value.exit_code == 2


def test_the_last_value_of_a_flag_wins() -> None:
    assert flag_value(("--runner=A", "--runner", "B"), "runner") == "B"
    assert flag_value(("--x=1",), "runner") is None


def test_engine_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('stall_timeout_s = 60\n[flags]\nrunner = "SparkRunner"\nno_auth = true\nexperiments = ["a", "b"]\n'
                    '[environment]\nSPARK_LOCAL_IP = "127.0.0.1"\n')  # fmt: skip
    engine = load_engine(str(path))
    assert engine.flags == ("--runner=SparkRunner", "--no_auth", "--experiments=a", "--experiments=b")
    assert engine.environment == {"SPARK_LOCAL_IP": "127.0.0.1"}
    assert engine.stall_s == 60.0
    path.write_text("flag = 1\n")
    with pytest.raises(ConfigError, match="wrong keys"):
        load_engine(str(path))
    with pytest.raises(ConfigError, match="no such engine file"):
        load_engine("sparc")
