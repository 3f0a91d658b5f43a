"""How well each answer is supported: likeness to the others, its own merits, voters' skills, and
what that says of the winner being right."""
