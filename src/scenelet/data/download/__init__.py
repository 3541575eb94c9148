"""Downloads of public data sets, for `scenelet fetch`.

- `fetch`: from the name of a data set to a checked folder.
- `esc10`, `zenodo`: the data sets ESC-10 and TAU, each with what is checked.
- `http`: download a file, with retries and resuming.
- `unzip`: unpack an archive safely.
"""
