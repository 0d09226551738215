"""From the bytes on a broker back to decisions, each once and in order."""
