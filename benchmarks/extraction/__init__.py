"""Extraction of main content: labelled pages, the training of the block model, and the comparison with peers."""
