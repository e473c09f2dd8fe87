"""Influence by gradients: what training text did to a loss, predicted without retraining.

Everything is in one unit: *nats per token of the query if the unit is removed and nothing takes its place*
(fill = none). Positive: without the unit the loss rises, so the unit helps. A unit is a set of training rows (a
slice, a topic, a document); a query is a held-out text.

| file | what it is |
|---|---|
| `protocol.py` | units, queries, the contract `Attributor` |
| `gradients.py` | gradients of texts, streamed; the one place where dot products are taken |
| `tracin.py` | TracIn with Adam's preconditioner, over snapshots of the training |
| `ekfac.py` | influence functions with eigenvalue-corrected Kronecker factors |
| `exact_ngram.py` | exact leave-one-out of the n-gram of the same rows |
| `convex.py` | the oracle: a convex model whose influence function and retraining are both exact |
| `lds.py`, `validate.py` | how far predictions agree with retraining |
| `rungs.py`, `ladder.py` | how far cheap proxies rank interventions as a dear one does |
| `contrasts.py` | from units to contrasts of a design (`from_attribution`) |
| `tracing.py` | which slice raised which tokens of a text |
"""
