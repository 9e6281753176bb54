"""Runs the examples of the package that is installed, and what they do not show."""

import doctest
import sys

import peripety

failed, tried = doctest.testmod(peripety, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
assert tried >= 8, tried

for wrong in (lambda: peripety.follow(source="net"), lambda: peripety.follow(after="x"), lambda: peripety.follow(events=False)):
    try:
        wrong()
    except ValueError as error:
        assert str(error), error
    else:
        raise AssertionError("it was taken")
try:
    peripety.block_info("")
except ValueError:
    pass
try:
    peripety.follow(source="journal", journal="/nowhere", follow=False)
except OSError as error:
    assert "/nowhere" in str(error), error
else:
    raise AssertionError("a journal that is not there was opened")
sys.exit(1 if failed else 0)
