"""What holds for every test."""

import signal

# A shell's background jobs ignore Ctrl-C, and so would every program a test starts; tests that interrupt need it.
signal.signal(signal.SIGINT, signal.default_int_handler)
