"""The same swarm with 3-grams: laws, leave-outs and optimum of a proxy whose runs are exact and cost a third of a second.

What a 3-gram makes of a mixture holds for 3-grams. Its canary fails: the made-up facts take 2 % of the counts, and on exact counts
even that stands out on other targets. So the product withholds the optimum, as it must; what fresh seeds measured is shown.
"""

from __future__ import annotations

from benchmarks.science import swarm
from benchmarks.science.contract import Bench, Claim, Results

TITLE = "Swarm of 3-grams: laws by counting"
FULL = swarm.Settings(model="ngram", runs=64, tokens=262_144)
SMALL = swarm.Settings(model="ngram", runs=20, leave_out=1, blocks=2, tokens=1024, eval_tokens=300, replicates=3,
                       laws=("linear", "LightGBM"), baselines=False)  # fmt: skip


def measure(bench: Bench, settings: swarm.Settings) -> Results:
    """Count the swarm, fit, confirm."""
    return swarm.measure(bench, settings)


def claims(results: Results) -> list[Claim]:
    """The laws predict; nothing is shown of a swarm whose controls fail."""
    failed = [row["control"] for row in results["controls"] if not row["passed"]]
    shown = [
        row["slice"] for row in results["law_weights"] if row["mixture"] == "optimum" and row["weight"] is not None
    ]
    return [
        *swarm.prediction_claims(results),
        Claim(
            "the weights of the optimum are withheld if a control fails",
            f"failed: {', '.join(failed) or 'none'}; {len(shown)} weights shown",
            not (failed and shown),
        ),
    ]


lines, charts = swarm.lines, swarm.charts
