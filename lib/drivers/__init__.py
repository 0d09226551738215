"""Sensors, one a file: the bus is handed in, samples come as rows of int16."""
