"""Mixture laws on real proxy runs: the learning curve of every law beside LightGBM, and an optimum with its credible set.

python -m benchmarks.regmix            # reads ../shared/data/regmix; about 5 minutes of processor time; resumes

512 runs to learn from, 256 to judge by (RegMix, Liu et al. 2024, arXiv 2407.01492; sail-sg/regmix, MIT). Everything that
is chosen is chosen by cross-validation inside the n runs of a draw. Results: benchmarks/regmix.json, docs/reference/laws.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.capped_simplex import upper_limits
from analysis.laws.catalogue import LAWS, SMOOTH
from analysis.laws.choice import ChosenLaw, choose, mean_spearman
from analysis.laws.intervals import fit_with_intervals
from analysis.laws.learning_curve import resampled_spearman
from analysis.laws.summary import Question, Tables, format_laws, format_mixtures, summarise
from analysis.laws.swarm import Swarm, swarm_of
from benchmarks.chain import keep_section, machine

FOLDER = Path("../shared/data/regmix")
PAGE = Path("docs/reference/laws.md")
RESULTS = Path("benchmarks/regmix.json")
DRAWS = {32: 10, 64: 10, 128: 5, 256: 3, 512: 1}
RESAMPLES = 2000


def read_swarm(folder: Path, split: str) -> Swarm:
    """Read one split of the published runs."""
    tables = []
    for kind in ("mixture", "pile_loss"):
        path = folder / f"{split}_{kind}_1m.csv"
        names = path.read_text("utf-8").split("\n", 1)[0].split(",")[1:]
        tables.append((names, np.loadtxt(path, delimiter=",", skiprows=1)))
    (slices, mixtures), (targets, losses) = tables
    if (mixtures[:, 0] != losses[:, 0]).any():
        raise ValueError(f"{folder}, {split}: the runs of the two files are not in one order")
    short = [name.removeprefix("train_the_pile_") for name in slices]
    metric = [name.removeprefix("metric/the_pile_").removesuffix("_val_loss") for name in targets]
    return swarm_of(short, metric, mixtures[:, 1:], losses[:, 1:])


def one_draw(train: Swarm, test: Swarm, n: int, draw: int) -> tuple[dict[str, np.ndarray], dict]:
    """Choose and fit on n random runs; return each law's predictions of the test runs, and what was chosen."""
    rows = np.random.default_rng([n, draw]).permutation(len(train.values))[:n]
    weights, values = train.weights[rows], train.values[rows]
    start = time.process_time()
    choice = choose(weights, values)
    about: dict = {"n": n, "draw": draw, "choice_cpu_s": time.process_time() - start, "chosen": choice.best.name}
    about["strength"] = choice.best.law.strength  # type: ignore[attr-defined]
    predictions, about["fit_cpu_s"], about["spearman"] = {}, {}, {}
    for name in LAWS:
        law = choice.best_of(name).law
        start = time.process_time()
        curve = law.fit(weights, values)
        about["fit_cpu_s"][name] = time.process_time() - start
        predictions[name] = curve.mean(test.weights)
        about["spearman"][name] = 100 * mean_spearman(predictions[name], test.values)
    about["cv_spearman"] = {name: 100 * choice.best_of(name).spearman for name in LAWS}
    return predictions, about


def remembered(file: Path, measure: Callable[[], dict]) -> dict:
    """Return what a file holds, measuring it first if there is none: a killed run goes on where it was."""
    if not file.exists():
        result = measure()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result), "utf-8")
        print(f"measured {file.stem}", flush=True)
    return json.loads(file.read_text("utf-8"))


def resamples(test: Swarm) -> np.ndarray:
    """Return the bootstrap samples of test runs [resamples, runs]: the same for every law, n and draw."""
    return np.random.default_rng(0).integers(0, len(test.values), (RESAMPLES, len(test.values)))


def measured_draw(train: Swarm, test: Swarm, n: int, draw: int) -> dict:
    """Measure one draw: what was chosen, every law's rank correlation, and the bootstrapped differences to LightGBM."""
    predictions, about = one_draw(train, test, n, draw)
    sample = resamples(test)
    ours, theirs = (
        resampled_spearman(predictions[name], test.values, sample) for name in (about["chosen"], "LightGBM")
    )
    return {**about, "differences": (ours - theirs).round(6).tolist()}


def learning_curve(train: Swarm, test: Swarm, cache: Path) -> list[dict]:
    """Measure every n."""
    measured = []
    for n, draws in DRAWS.items():
        abouts = [
            remembered(cache / f"{n}-{draw}.json", functools.partial(measured_draw, train, test, n, draw))
            for draw in range(draws)
        ]
        mean = np.mean([about.pop("differences") for about in abouts], axis=0)
        difference = float(np.mean([a["spearman"][a["chosen"]] - a["spearman"]["LightGBM"] for a in abouts]))
        lo, hi = np.quantile(mean, [0.025, 0.975])
        measured.append({"n": n, "difference": difference, "lo": float(lo), "hi": float(hi), "draws": abouts})
    return measured


def as_published(train: Swarm, test: Swarm, folder: Path) -> dict:
    """Compare with LightGBM on the weights as published: rows sum to .996 to 1.004, in the order of the file."""
    mixtures = [
        np.loadtxt(folder / f"{split}_mixture_1m.csv", delimiter=",", skiprows=1)[:, 1:] for split in ("train", "test")
    ]
    theirs = LightGBMLaw().fit(mixtures[0], train.values).mean(mixtures[1])
    ours = ChosenLaw(SMOOTH).fit(train.weights, train.values).mean(test.weights)
    sample = resamples(test)
    gains = resampled_spearman(ours, test.values, sample) - resampled_spearman(theirs, test.values, sample)
    lo, hi = np.quantile(gains, [0.025, 0.975])
    scores = [100 * mean_spearman(predicted, test.values) for predicted in (ours, theirs)]
    return {"chosen": scores[0], "LightGBM": scores[1], "lo": float(lo), "hi": float(hi)}


def curve_lines(measured: list[dict]) -> list[str]:
    """Draw the learning curve as a table."""
    names = list(LAWS)
    lines = ["| runs | draws | " + " | ".join(names) + " | chosen | chosen − LightGBM (95 %) | chosen law |",
             "|---" * (len(names) + 5) + "|"]  # fmt: skip
    for row in measured:
        draws = row["draws"]
        mean = [f"{np.mean([d['spearman'][name] for d in draws]):.2f}" for name in names]
        chosen = f"{np.mean([d['spearman'][d['chosen']] for d in draws]):.2f}"
        kinds = sorted({d["chosen"] for d in draws})
        what = ", ".join(f"{kind} {sum(d['chosen'] == kind for d in draws)}" for kind in kinds)
        gain = f"**{row['difference']:+.2f}** [{row['lo']:+.2f}, {row['hi']:+.2f}]"
        lines.append(f"| {row['n']} | {len(draws)} | " + " | ".join(mean) + f" | {chosen} | {gain} | {what} |")
    last = measured[-1]["draws"][0]
    seconds = ", ".join(f"{name} {spent:.2f}" for name, spent in last["fit_cpu_s"].items())
    return [*lines, "", f"Processor seconds for all 13 domains at n = 512 (one thread, shared machine): {seconds}; choosing among "
            f"all laws and strengths by 5-fold cross-validation: {last['choice_cpu_s']:.1f}."]  # fmt: skip


def coverage(train: Swarm, test: Swarm, n: int = 256) -> dict:
    """Measure how many test runs lie inside the 95 % intervals of the law that is chosen anew in each fold."""
    rows = np.random.default_rng([n, 0]).permutation(len(train.values))[:n]
    found = fit_with_intervals(ChosenLaw(SMOOTH), train.weights[rows], train.values[rows])
    predicted = found.predict(test.weights)
    inside = (test.values >= predicted.lo) & (test.values <= predicted.hi)
    width = float(np.median(predicted.hi - predicted.lo))
    return {
        "n": n,
        "coverage": float(inside.mean()),
        "least_of_a_domain": float(inside.mean(0).min()),
        "median_width_nats": width,
    }


def interval_lines(results: dict) -> list[str]:
    """Say what was measured beside the learning curve."""
    raw, inside = results["as_published"], results["intervals"]
    return [f"LightGBM on the weights as published (rows not scaled to sum to 1), n = 512: {raw['LightGBM']:.2f}; the chosen law "
            f"{raw['chosen']:.2f}, difference {raw['chosen'] - raw['LightGBM']:+.2f} [{raw['lo']:+.2f}, {raw['hi']:+.2f}].", "",
            f"95 % CV+ intervals, law chosen anew in each fold, n = {inside['n']}: {inside['coverage']:.1%} of the 256 x 13 test values lie "
            f"inside (least of a domain {inside['least_of_a_domain']:.1%}); median width {inside['median_width_nats']:.3f} nats."]  # fmt: skip


def optimum(train: Swarm, replicates: int) -> Tables:
    """Find the mixture with the lowest mean loss over the 13 domains under a cap and an epoch limit."""
    natural = train.weights.mean(0)
    tokens = {name: round(1e11 * share) for name, share in zip(train.slices, natural, strict=True)}
    upper = upper_limits(train.slices, {"pile_cc": 0.1}, tokens, 10**11, 4)
    importance = np.full(len(train.targets), 1 / len(train.targets))
    return summarise(train, Question(natural, upper, importance), replicates=replicates)


def optimum_lines(tables: Tables) -> list[str]:
    """Draw the optimum."""
    gap = next(row["gap"] for row in tables["mixtures"] if row["mixture"] == "optimum")
    return [*format_laws(tables), "",
            "Utility: mean loss over the 13 domains. Limits: pile_cc at most 10 %, every slice at most 4 epochs, one epoch being the "
            "natural mixture (here the mean of the swarm, as the runs state no other). 95 %: bootstrap over runs. By the law, no mixture "
            f"under the limits is better than the optimum by more than {gap:.0e} nats.", "",
            *format_mixtures(tables, "nats")]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the published runs")
    parser.add_argument(
        "--cache", type=Path, default=Path("build/regmix"), help="finished draws; delete to measure anew"
    )
    parser.add_argument("--replicates", type=int, default=100, help="bootstrap samples of the optimum")
    options = parser.parse_args()
    train, test = read_swarm(options.data, "train"), read_swarm(options.data, "test")
    where = f"{machine()}, scipy {version('scipy')}, lightgbm {version('lightgbm')}; machine shared with other work"
    results = {
        "machine": where,
        "curve": learning_curve(train, test, options.cache),
        "as_published": remembered(
            options.cache / "as_published.json", lambda: as_published(train, test, options.data)
        ),
        "intervals": remembered(options.cache / "intervals.json", lambda: coverage(train, test)),
        "optimum": remembered(options.cache / "optimum.json", lambda: optimum(train, options.replicates)),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    lines = [f"{where}.", "", *curve_lines(results["curve"]), "", *interval_lines(results)]
    keep_section("regmix", lines, PAGE)
    keep_section("optimum", optimum_lines(results["optimum"]), PAGE)
    print("\n".join([*lines, "", *optimum_lines(results["optimum"])]))


if __name__ == "__main__":
    main()
