"""Fuzzing: what reads bytes that somebody else wrote, given any bytes at all.

`targets` has the functions, `mutate` makes inputs without any library, `__main__` runs them under atheris; tests/test_fuzz.py
replays the corpus, in which every find is kept. The C++ entrances have targets of their own in tests/csrc/fuzz.
"""
