"""The registry of batteries: declared data and what happened to each, in one small file that people can read."""
