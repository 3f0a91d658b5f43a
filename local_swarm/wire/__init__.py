"""What clients and engines say on the wire, as typed views over their own JSON.

A view reads and changes the fields we act on and leaves every other field as it came. Nothing here
does I/O.
"""
