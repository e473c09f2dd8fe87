"""Token shards in the file formats of other trainers, with the way back from every row to its document."""
