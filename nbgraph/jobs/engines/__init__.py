"""Where parts run: processes, threads, a cluster of Dask."""
