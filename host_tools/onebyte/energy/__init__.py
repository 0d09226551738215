"""How long a battery lasts: the boards' figures, a day's charge, and how it is shown."""
