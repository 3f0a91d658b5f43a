"""Programs as their languages' grammars see them: Python by its own compiler, others by tree-sitter
where it is installed, by their words where it is not. Nothing is ever run."""
