"""`python run.py export`."""
def add_arguments(p): pass
