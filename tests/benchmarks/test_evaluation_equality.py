"""The table of equality: what it compares without a run, and how it is laid out."""

from benchmarks.evaluation_equality import Row, classification_row, table


def test_classification_equals_scikit_learn_and_the_table_says_so():
    row = classification_row(20)
    assert row.cases == 20
    assert row.difference <= row.allowed
    lines = table([row, Row("peer", "nats", 1234, 2.5e-6, 1e-4)]).splitlines()
    assert lines[0].count("|") == lines[1].count("|") == lines[3].count("|")
    assert lines[3] == "| peer | nats | 1,234 | 2.5e-06 | 0.0001 |"
