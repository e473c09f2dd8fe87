"""Personal data and secrets: find spans in a text and replace them by placeholders."""
