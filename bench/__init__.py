"""Measurements side by side: `python -m bench` prints what packseal costs against its peers and its own limits."""
