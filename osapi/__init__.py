"""Dispatch typed jobs to a fleet of agents."""
