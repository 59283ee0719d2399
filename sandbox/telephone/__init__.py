"""The telephone in the browser: one page on which somebody is the caller, and everybody who is rung for them."""
