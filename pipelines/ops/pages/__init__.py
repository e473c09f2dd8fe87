"""HTML pages: one parse, a model of blocks, a second opinion where it is unsure, and what the page says of itself."""
