"""The virtual gateway: a Debian guest with the agent in it, under QEMU.

`image.ensure` builds and caches the guest, `machine.Machine` boots and commands it.
"""
