"""One module for each command of `python run.py`."""
