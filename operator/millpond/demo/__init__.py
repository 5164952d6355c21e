"""How is the main job shown, with everything real? Scenarios, played, watched and judged."""
