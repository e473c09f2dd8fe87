"""The measured learning rates that are kept with the code, and their use by presets."""

import json

import pytest

from analysis.models.presets import PRESETS, RATES_FILE, measured_rates, preset

ROWS = json.loads(RATES_FILE.read_text("utf-8"))


def test_rows_say_where_they_come_from():
    assert len({(row["preset"], row["lr"], row["tokens"], row["corpus"]) for row in ROWS}) == len(ROWS) > 0
    for row in ROWS:
        assert row["preset"] in PRESETS
        assert row["status"] == "finished" or row["bpb"] is None
        assert row["machine"] and row["torch"] and row["vocab_size"] > 255  # noqa: PT018


@pytest.mark.parametrize("name", sorted({row["preset"] for row in ROWS}))
def test_a_preset_takes_the_best_rate_at_the_most_tokens(name):
    mine = [row for row in ROWS if row["preset"] == name and row["bpb"] is not None]
    longest = [row for row in mine if row["tokens"] == max(r["tokens"] for r in mine)]
    assert len(longest) >= 3
    best = min(longest, key=lambda row: row["bpb"])
    assert measured_rates()[name] == preset(name, 4096).lr == best["lr"]
    assert preset(name, 4096, lr=0.5).lr == 0.5


def test_a_preset_that_was_not_measured_keeps_its_formula():
    assert "llama-150m" not in measured_rates()
    assert preset("llama-150m", 4096).lr == PRESETS["llama-150m"]["lr"]
