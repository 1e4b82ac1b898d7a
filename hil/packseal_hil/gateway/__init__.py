"""The virtual gateway: a Debian guest with the agent in it, under QEMU."""
