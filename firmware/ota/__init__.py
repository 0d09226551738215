"""Updates over the air: what a node trusts, and which slot it runs."""
