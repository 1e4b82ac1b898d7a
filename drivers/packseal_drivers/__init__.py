"""Drivers: a link, a framer and a profile under one name, giving samples."""
