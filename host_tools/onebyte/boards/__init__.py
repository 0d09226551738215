"""Boards at this computer: which ones there are, and how an image gets onto them."""
