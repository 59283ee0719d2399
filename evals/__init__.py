"""How the bot behaves: scenarios for Pipecat's eval harness, and the command that runs them."""
