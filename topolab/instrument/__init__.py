"""The instrument: a program that a runtime starts beside the server (`python -m topolab.instrument`).

It is not a library of the lab and not a load tester: it holds N requests still, finds out where each one is,
and lets them go. `capacity.py` reads like the experiment; `gate.py` and `clients.py` are processes of their own.
Results are JSON lines on standard output, commentary goes to standard error.
"""
