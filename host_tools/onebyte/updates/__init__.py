"""Keys, releases and their way to the nodes: the library behind `onebyte pack` and others."""
