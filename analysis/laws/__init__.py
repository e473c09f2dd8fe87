"""Mixture laws: from the weights of slices to the metrics of targets, and the best weights under limits.

Arrays in, arrays out: weights are [runs, slices] on the simplex, values [runs, targets]; no torch, no files.
"""
