"""What can servers do, and how busy are they? From telemetry to knowledge."""
