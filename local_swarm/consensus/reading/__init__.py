"""The answer in what a model wrote: reasoning, fences and talk taken off, bodies made whole."""
