"""Speed, as ratios against a peer or a reference in the same run. Nothing here is a test."""
