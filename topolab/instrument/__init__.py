"""The instrument: a program that a runtime starts beside the server (`python -m topolab.instrument`).

It is not a library of the lab, and it judges nothing. It holds N requests still, finds out where each one is, and lets
them go: `capacity.py` reads like that experiment; `gate.py` and `clients.py` are processes of their own. Or it offers
load, and follows each request to its end: `load.py`, with `generator.py` and `downstream.py` as processes of their own.
Results are JSON lines on standard output, commentary goes to standard error.
"""
