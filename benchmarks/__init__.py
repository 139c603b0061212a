"""How fast the lab itself is, side by side with what bounds it. `make bench` prints the figures of this machine."""
