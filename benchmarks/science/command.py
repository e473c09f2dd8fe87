"""List and run studies, and make their page.

python -m benchmarks.science                                # list
python -m benchmarks.science truth --workspace build/demo   # run; a killed run goes on where it was
python -m benchmarks.science truth --keep                   # and put the results into the repository and its page
python -m benchmarks.science --target science               # all studies of a target
python -m benchmarks.science --page                         # make the page again from what is kept
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.science import page, results
from benchmarks.science.catalogue import STUDIES, module_of, names_of
from benchmarks.science.contract import Bench
from pipelines.contracts.errors import did_you_mean


def run(name: str, bench: Bench, *, small: bool = False, keep: bool = False) -> bool:
    """Run one study, print it and say whether all of its claims hold.

    Args:
        name: study.
        bench: where; the study's folder is made.
        small: tiny settings: shows that it works, proves nothing, is never kept.
        keep: put the results into the repository.
    """
    module = module_of(name)
    settings = module.SMALL if small else module.FULL
    bench.folder.mkdir(parents=True, exist_ok=True)
    with results.timed(bench.folder) as spent:
        found = module.measure(bench, settings)
    kept = results.record(name, settings, found, spent)
    results.write(bench.folder / "result.json", kept)
    if keep and not small:
        results.write(results.FOLDER / f"{name}.json", kept)
    print("\n".join(["", f"== {module.TITLE}", *module.lines(found)]))
    claims = module.claims(found)
    for claim in claims:
        print(f"{'holds' if claim.holds else 'FAILS'}: {claim.text}: {claim.found}")
    return all(claim.holds for claim in claims)


def listing() -> str:
    """Return all studies with their targets and what is kept of them."""
    records = results.kept_records()
    lines = []
    for name, target in STUDIES.items():
        kept = records.get(name)
        what = f"kept at {kept['commit']}, {kept['cpu_s']:.0f} CPU s" if kept else "not kept"
        lines.append(f"{name:<14} make {target:<18} {module_of(name).TITLE} ({what})")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.science", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", metavar="NAME", help="default: list them")
    parser.add_argument("--target", choices=sorted(set(STUDIES.values())), help="all studies of a target")
    parser.add_argument("--workspace", type=Path, default=Path("build/demo"), help="curated workspace")
    parser.add_argument("--design", type=Path, default=Path("designs/demo.yaml"), help="slices and weights")
    parser.add_argument("--out", type=Path, default=Path("build/science"), help="runs and results; delete to redo")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="training processes")
    parser.add_argument("--small", action="store_true", help="tiny settings, never kept")
    parser.add_argument("--keep", action="store_true", help="put the results into the repository, and its page")
    parser.add_argument("--page", action="store_true", help="make the page from what is kept")
    found = parser.parse_args(argv)
    for name in found.studies:
        if name not in STUDIES:
            parser.error(f"no such study: {name}. {did_you_mean(name, STUDIES)}")
    names = [*found.studies, *(names_of(found.target) if found.target else [])]
    if not names and not found.page:
        print(listing())
    holds = True
    for name in names:
        folder = found.out / (f"{name}-small" if found.small else name)
        bench = Bench(found.workspace, found.design, folder, found.workers)
        holds &= run(name, bench, small=found.small, keep=found.keep)
    if found.page or (found.keep and names):
        page.write()
    return 0 if holds else 1
