"""From labelled recordings to a model file, and the figures that say how good it is."""
