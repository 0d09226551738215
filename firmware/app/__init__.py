"""What runs on the node: configuration, outbox, uplink, and the loop that wires everything."""
