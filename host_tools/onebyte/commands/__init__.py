"""One file a command: each has a click command named `command` that calls the library."""

# What `onebyte --help` shows, in this order; `short_help` of a command says it in 23 characters.
GROUPS = {
    "Models": ("train", "evaluate", "pareto", "inspect", "convert", "export"),
    "Boards": ("flash", "provision", "deploy", "collect", "doctor", "repl", "logs", "run"),
    "Updates": ("keygen", "pack", "sign", "verify", "publish", "rollback", "rotate-keys"),
    "Nodes": ("monitor", "battery", "simulate"),
    "Demos": ("demo", "demo-rp2040", "demo-ota", "demo-board"),
}

# Those that need this package alone. The others also read what lies around it: kernels, firmware,
# boards, models.
ANYWHERE = {
    *("inspect", "convert", "flash", "repl", "logs", "run", "monitor"),
    *("keygen", "sign", "verify", "publish", "rollback", "rotate-keys"),
}
