"""Statistics, arrays in and arrays out; knows nothing of studies."""
