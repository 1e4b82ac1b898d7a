"""The running agent: wires driver, sealer, journal and uplink, and owns every lifetime."""
