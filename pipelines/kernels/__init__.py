"""Compiled kernels over Arrow string buffers: MinHash, duplicates, quality, language, BPE. Imports nothing itself."""
