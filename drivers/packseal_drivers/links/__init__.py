"""Links: one wire each, read-only. None knows another."""
