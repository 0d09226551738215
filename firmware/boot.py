"""Runs before main.py, which opens more folders: until then no file stands in for a module."""

import sys

sys.path[:] = [".frozen"]
