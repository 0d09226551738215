"""Runs before main.py: a file in the current folder must not stand in for a module."""

import sys

sys.path[:] = [".frozen", "/lib", "/"]
