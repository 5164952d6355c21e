"""One module, one scenario: `SCENARIO`, shown by `millpond demo <module>`."""
