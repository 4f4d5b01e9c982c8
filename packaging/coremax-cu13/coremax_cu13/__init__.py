"""The CUDA backend of coremax: private, use the functions of the package coremax."""
