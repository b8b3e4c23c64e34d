"""The behaviours: a module for each promise, which its docstring says in a sentence."""
