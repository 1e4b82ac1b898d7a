"""The demo: a recorded table or a simulated pack, the agent, a sink and its page, all on this machine."""
