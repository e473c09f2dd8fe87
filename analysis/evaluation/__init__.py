"""Scores of a trained proxy on held-out text: sums per component, never means."""
