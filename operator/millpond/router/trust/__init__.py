"""Who may talk to whom? The certificate authority, certificates, mutual TLS."""
