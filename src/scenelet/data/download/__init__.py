"""Downloads of public data sets, for `scenelet fetch`.

- `fetch`: from the name of a data set to a checked folder.
- `esc50`, `zenodo`: the data sets ESC-50, ESC-10 and TAU, each with what is checked.
- `http`: download a file, and resume an interrupted download.
- `session`: retries, redirects, and the hosts that may be contacted; bulk jobs use it too.
- `unzip`: unpack an archive safely.
"""
