"""The words of the program as frozen values: no I/O, no decisions, nothing of ours imported.

Sizes are bytes; `ctx` is tokens per slot.
"""
