"""Models of text quality that are trained from chosen documents: fastText classifiers and n-gram perplexity."""
