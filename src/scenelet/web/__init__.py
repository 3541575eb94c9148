"""`scenelet serve`: a model as a service over HTTP, and a page to try it on."""
