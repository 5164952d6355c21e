"""Which processes does Millpond consist of? `operator`, `router`, and on a laptop `node`, `cluster`, `demo`."""
