"""The Bluetooth road: what is asked and listened to, whether it may be believed, and the adapter that is shared."""
