"""Studies on real training and simulation that say how far the product's own numbers can be trusted.

    python -m benchmarks.science                     # what there is
    python -m benchmarks.science oracles truth       # run some of it
    python -m benchmarks.science --target science    # run all of a Makefile target

Results are kept as `results/NAME.json`; `docs/reference/science.md` is made from them alone.
"""
