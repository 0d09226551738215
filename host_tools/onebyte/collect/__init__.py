"""From a device's samples to a labelled data set on disk."""
