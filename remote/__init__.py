"""Frames over the network: the agent, its readers, ssh and routers."""
