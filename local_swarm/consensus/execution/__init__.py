"""Programs by what they do: which calls tell them apart, and what follows from the results. What
runs them is the sandbox's affair; nothing is run here."""
