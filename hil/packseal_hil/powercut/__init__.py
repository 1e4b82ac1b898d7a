"""Power cuts: from QEMU's log of writes to the disk that a cut would leave."""
