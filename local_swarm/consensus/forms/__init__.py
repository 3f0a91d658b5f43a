"""One form for answers that say the same: syntax trees, canonical JSON, what a schema means."""
