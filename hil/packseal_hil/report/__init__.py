"""Reports: one page per run, for people who would rather look than read."""
