"""Plain implementations that tests compare with."""


def in_order(scores, rows):
    """Rows by descending score, ties by row."""
    return sorted(rows, key=lambda row: (-float(scores[row]), row))
