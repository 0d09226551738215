"""Brokers and nodes on this machine: real firmware, recorded sensors, every byte checked."""
