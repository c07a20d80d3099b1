"""Runs the command: python3 -m wordladder."""

from wordladder.command import main

main()
