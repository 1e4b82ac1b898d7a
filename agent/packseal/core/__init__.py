"""Pure values and functions: no I/O, clock, event loop or thread. The agent, the sink and the readers share it."""
