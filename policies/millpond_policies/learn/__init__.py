"""What can one server do, and how much will come? Learned online, per edition."""
