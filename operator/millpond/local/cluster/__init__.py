"""An embedded Kubernetes: the real control plane and process nodes as ordinary processes of this user."""
