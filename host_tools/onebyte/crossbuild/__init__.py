"""Native modules for every chip: their compilers, the build, what the files hold."""
