"""How good the capacity is, on recorded cells whose capacity is known: `python -m bench.soh`.

The rows go through the product's own Meter. Errors are in percentage points of the capacity that the cell had at first.
"""
