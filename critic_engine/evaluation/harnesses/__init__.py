"""Methods as models of other evaluation programs, and runs as their logs; only its own modules import a program."""
