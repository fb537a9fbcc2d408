"""Python looks for garbage less often: in what imports make there is next to none, and looking takes a fifth of their
time, and a second when a process ends.
"""

import atexit
import gc


def look_less_often() -> None:
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)
