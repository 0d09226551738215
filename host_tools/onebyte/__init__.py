"""Onebyte's host tools: from labelled recordings to a model file, and from result bytes to lines.

The library does the work; `onebyte.cli` and `onebyte.commands` only parse arguments and print.
"""
