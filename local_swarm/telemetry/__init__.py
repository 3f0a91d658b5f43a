"""What the program says about its own work: `logs` (to stderr and files).

It knows no setting by itself: whoever starts the program hands it plain values. Import the module
that is needed; structlog takes a moment, so this package imports nothing.
"""
