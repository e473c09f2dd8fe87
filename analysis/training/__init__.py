"""Training of proxies: one process per core, resumable to bit-equal weights."""
