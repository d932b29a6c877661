"""Pages as people see them: in a headless Chromium, driven by Playwright, in an environment of their own."""
