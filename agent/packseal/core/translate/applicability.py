"""Which fields must not be filled for a category of battery: what the field table says.

EC guidance "Digital Batteries Passport - data points by category" v1.0 (2026-07-28), points 61 to 66, marked "not to be
filled". Its category "industrial" covers stationary storage too. What is not required may still be filled.
"""

from packseal.core.fields import not_to_be_filled

__all__ = ["not_to_be_filled"]
