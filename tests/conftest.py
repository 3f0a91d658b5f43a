"""What holds for all tests."""

import signal

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: tests that send
# SIGINT to one would wait in vain.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
