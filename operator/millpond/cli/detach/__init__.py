"""`millpond detach`: the first step of removal. Servers go on as plain ReplicaSets, which need no Millpond."""
