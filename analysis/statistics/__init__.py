"""Statistics: arrays in, arrays out; every formula has its source and an oracle in the tests."""
