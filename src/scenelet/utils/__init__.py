"""Helpers without audio: console, files, processes, threads, text, HTML."""
